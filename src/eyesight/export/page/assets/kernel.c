/* The arithmetic of the page: convolutions, poolings and what lies between them, four numbers at a time.
 *
 * In: places in the module's memory. Out: float32 numbers there. It allocates nothing, calls nothing and knows no
 * network. Built by `make kernel`; the bytes are committed as kernel.wasm, and a test builds them again.
 *
 * Numbers of a picture lie row by row, the channels of a pixel side by side, their count filled up with zeros to a
 * multiple of 4. Letters: H, W size of what comes in; h, w of what goes out; C channels in, N channels out.
 */
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define ROWS 48 /* pixels whose windows are laid side by side at a time: they stay in the cache */

typedef v128_t four;

static inline four splat(float x) { return wasm_f32x4_splat(x); }
static inline four load(const float *p) { return wasm_v128_load(p); }
static inline void store(float *p, four x) { wasm_v128_store(p, x); }
static inline four add(four a, four b) { return wasm_f32x4_add(a, b); }
static inline four sub(four a, four b) { return wasm_f32x4_sub(a, b); }
static inline four mul(four a, four b) { return wasm_f32x4_mul(a, b); }
static inline four quotient(four a, four b) { return wasm_f32x4_div(a, b); }

enum { NONE, RELU, RELU6, TANH, GELU, SILU };

/* e^x to the last bits of a float, for x from -87 to 87. Source: Cephes, expf. */
static four exponential(four x) {
  x = wasm_f32x4_max(wasm_f32x4_min(x, splat(87.f)), splat(-87.f));
  four n = wasm_f32x4_nearest(mul(x, splat(1.44269504088896341f)));
  x = sub(x, mul(n, splat(0.693359375f)));
  x = sub(x, mul(n, splat(-2.12194440e-4f)));
  four y = splat(1.9875691500e-4f);
  y = add(mul(y, x), splat(1.3981999507e-3f));
  y = add(mul(y, x), splat(8.3334519073e-3f));
  y = add(mul(y, x), splat(4.1665795894e-2f));
  y = add(mul(y, x), splat(1.6666665459e-1f));
  y = add(mul(y, x), splat(5.0000001201e-1f));
  y = add(add(mul(y, mul(x, x)), x), splat(1.f));
  four power = wasm_i32x4_shl(wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_splat(127)), 23);
  return mul(y, power);
}

/* The error function to 2e-7. Source: Abramowitz and Stegun, "Handbook of mathematical functions", 7.1.26. */
static four error_function(four x) {
  four size = wasm_f32x4_abs(x), one = splat(1.f);
  four t = quotient(one, add(one, mul(size, splat(0.3275911f))));
  four y = splat(1.061405429f);
  y = add(mul(y, t), splat(-1.453152027f));
  y = add(mul(y, t), splat(1.421413741f));
  y = add(mul(y, t), splat(-0.284496736f));
  y = add(mul(y, t), splat(0.254829592f));
  y = sub(one, mul(mul(y, t), exponential(wasm_f32x4_neg(mul(x, x)))));
  return wasm_v128_bitselect(wasm_f32x4_neg(y), y, wasm_f32x4_lt(x, splat(0.f)));
}

static inline four activate(four x, int function) {
  four one = splat(1.f);
  switch (function) {
    case RELU: return wasm_f32x4_max(x, splat(0.f));
    case RELU6: return wasm_f32x4_min(wasm_f32x4_max(x, splat(0.f)), splat(6.f));
    case TANH: return sub(one, quotient(splat(2.f), add(exponential(add(x, x)), one)));
    case GELU: return mul(mul(x, splat(.5f)), add(one, error_function(mul(x, splat(.70710678118654752f)))));
    case SILU: return quotient(x, add(one, exponential(wasm_f32x4_neg(x))));
    default: return x;
  }
}

/* 4 pixels (rows of `a`, `step` numbers apart) times 8 filters; `last` where only 4 of the filters are real. */
static void four_by_eight(const float *a, int step, const float *weight, const float *bias, int length, float *out,
                          int N, int function, int rows, int last) {
  const float *a0 = a, *a1 = rows > 1 ? a + step : a, *a2 = rows > 2 ? a + 2 * step : a;
  const float *a3 = rows > 3 ? a + 3 * step : a;
  four b0 = load(bias), b1 = load(bias + 4);
  four c00 = b0, c01 = b1, c10 = b0, c11 = b1, c20 = b0, c21 = b1, c30 = b0, c31 = b1;
  for (int k = 0; k < length; k++) {
    four w0 = load(weight), w1 = load(weight + 4), x;
    weight += 8;
    x = splat(a0[k]), c00 = add(c00, mul(x, w0)), c01 = add(c01, mul(x, w1));
    x = splat(a1[k]), c10 = add(c10, mul(x, w0)), c11 = add(c11, mul(x, w1));
    x = splat(a2[k]), c20 = add(c20, mul(x, w0)), c21 = add(c21, mul(x, w1));
    x = splat(a3[k]), c30 = add(c30, mul(x, w0)), c31 = add(c31, mul(x, w1));
  }
  four sums[8] = {c00, c01, c10, c11, c20, c21, c30, c31};
#pragma unroll
  for (int r = 0; r < 4; r++) {
    if (r >= rows) return;
    store(out + r * N, activate(sums[2 * r], function));
    if (!last) store(out + r * N + 4, activate(sums[2 * r + 1], function));
  }
}

/* Lay the windows of some output pixels side by side: (rows, k, k, C). */
static void lay_out(const float *in, int H, int W, int C, int k, int stride, int top, int left, int w, int first,
                    int rows, float *out) {
  for (int p = first; p < first + rows; p++) {
    int y = p / w * stride - top, x = p % w * stride - left;
    for (int i = 0; i < k; i++)
      for (int j = 0; j < k; j++, out += C) {
        int inside = y + i >= 0 && y + i < H && x + j >= 0 && x + j < W;
        const float *from = in + ((y + i) * W + x + j) * C;
        for (int c = 0; c < C; c += 4) store(out + c, inside ? load(from + c) : splat(0.f));
      }
  }
}

/* A convolution or, of one pixel, a dense layer. `weight`: (N / 8, k, k, C, 8); `bias`: N filled up to whole 8;
 * `scratch`: room for 48 windows. */
EXPORT(conv)
void conv(const float *in, int H, int W, int C, int k, int stride, int top, int left, float *out, int h, int w, int N,
          const float *weight, const float *bias, int function, float *scratch) {
  int length = k * k * C, direct = k == 1 && stride == 1;
  for (int first = 0; first < h * w; first += ROWS) {
    int rows = h * w - first < ROWS ? h * w - first : ROWS;
    const float *a = in + first * C;
    if (!direct) lay_out(in, H, W, C, k, stride, top, left, w, first, rows, scratch), a = scratch;
    for (int n = 0; n < N; n += 8)
      for (int r = 0; r < rows; r += 4)
        four_by_eight(a + r * length, length, weight + n * length, bias + n, length, out + (first + r) * N + n, N,
                      function, rows - r, N - n < 8);
  }
}

/* One window of 4 times `fours` channels, each by itself; several at once, as each sum waits for its last number. */
static inline __attribute__((always_inline)) void window(const float *in, int row, int C, const float *weight,
                                                         int weight_row, int rows, int columns, const float *bias,
                                                         int fours, float *out, int function) {
  four sums[4];
#pragma unroll
  for (int f = 0; f < fours; f++) sums[f] = load(bias + 4 * f);
  for (int i = 0; i < rows; i++, in += row, weight += weight_row)
    for (int j = 0, at = 0; j < columns; j++, at += C)
#pragma unroll
      for (int f = 0; f < fours; f++)
        sums[f] = add(sums[f], mul(load(in + at + 4 * f), load(weight + at + 4 * f)));
#pragma unroll
  for (int f = 0; f < fours; f++) store(out + 4 * f, activate(sums[f], function));
}

/* A convolution of each channel alone. `weight`: (k, k, C). */
EXPORT(depthwise)
void depthwise(const float *in, int H, int W, int C, int k, int stride, int top, int left, float *out, int h, int w,
               const float *weight, const float *bias, int function) {
  for (int y = 0; y < h; y++) {
    int i0 = top - y * stride, i1 = H + top - y * stride;
    if (i0 < 0) i0 = 0;
    if (i1 > k) i1 = k;
    for (int x = 0; x < w; x++, out += C) {
      int j0 = left - x * stride, j1 = W + left - x * stride;
      if (j0 < 0) j0 = 0;
      if (j1 > k) j1 = k;
      const float *corner = in + ((y * stride - top + i0) * W + x * stride - left + j0) * C;
      const float *first = weight + (i0 * k + j0) * C;
      int c = 0;
      for (; c + 16 <= C; c += 16)
        window(corner + c, W * C, C, first + c, k * C, i1 - i0, j1 - j0, bias + c, 4, out + c, function);
      for (; c < C; c += 4)
        window(corner + c, W * C, C, first + c, k * C, i1 - i0, j1 - j0, bias + c, 1, out + c, function);
    }
  }
}

/* The largest number of each window, which may reach over the right and the bottom edge. */
EXPORT(largest)
void largest(const float *in, int H, int W, int C, int rows, int columns, int stride, float *out, int h, int w) {
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++, out += C)
      for (int c = 0; c < C; c += 4) {
        const float *corner = in + (y * stride * W + x * stride) * C + c;
        four best = load(corner);
        for (int i = 0; i < rows && y * stride + i < H; i++)
          for (int j = 0; j < columns && x * stride + j < W; j++)
            best = wasm_f32x4_pmax(best, load(corner + (i * W + j) * C));
        store(out + c, best);
      }
}

/* The means over a grid of h x w windows that cover the picture, as even as can be. */
EXPORT(mean)
void mean(const float *in, int H, int W, int C, float *out, int h, int w) {
  for (int y = 0; y < h; y++) {
    int y0 = y * H / h, y1 = ((y + 1) * H + h - 1) / h;
    for (int x = 0; x < w; x++, out += C) {
      int x0 = x * W / w, x1 = ((x + 1) * W + w - 1) / w;
      for (int c = 0; c < C; c += 4) {
        four whole = splat(0.f);
        for (int i = y0; i < y1; i++) {
          four line = splat(0.f);
          for (int j = x0; j < x1; j++) line = add(line, load(in + (i * W + j) * C + c));
          whole = add(whole, line);
        }
        store(out + c, quotient(whole, splat((float)((y1 - y0) * (x1 - x0)))));
      }
    }
  }
}

/* Every channel times its factor, plus its shift. */
EXPORT(affine)
void affine(const float *in, int pixels, int C, const float *scale, const float *shift, float *out, int function) {
  for (int p = 0; p < pixels; p++, in += C, out += C)
    for (int c = 0; c < C; c += 4)
      store(out + c, activate(add(mul(load(in + c), load(scale + c)), load(shift + c)), function));
}

/* Two pictures, number by number. */
EXPORT(sum)
void sum(const float *one, const float *other, int count, float *out, int function) {
  for (int i = 0; i < count; i += 4) store(out + i, activate(add(load(one + i), load(other + i)), function));
}

/* An activation alone. */
EXPORT(activation)
void activation(const float *in, int count, float *out, int function) {
  for (int i = 0; i < count; i += 4) store(out + i, activate(load(in + i), function));
}

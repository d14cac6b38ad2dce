// What the kernel does, in plain JavaScript, for browsers without SIMD: see kernel.c for each function. Slower.

const PIXELS_AT_A_TIME = 48; // as in kernel.c

/** The error function to 2e-7. Source: Abramowitz and Stegun, 7.1.26. */
function errorFunction(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const ACTIVATIONS = [
  (x) => x,
  (x) => Math.max(x, 0),
  (x) => Math.min(Math.max(x, 0), 6),
  Math.tanh,
  (x) => 0.5 * x * (1 + errorFunction(x * Math.SQRT1_2)),
  (x) => x / (1 + Math.exp(-x)),
];

/** Return the kernel with room for so many bytes. */
function startJavaScriptKernel(bytes) {
  const heap = new Float32Array(Math.ceil(bytes / 4));

  function activateAll(out, count, number) {
    if (number === 0) return;
    const activate = ACTIVATIONS[number];
    for (let i = out; i < out + count; i++) heap[i] = activate(heap[i]);
  }

  function layOut(input, H, W, C, k, stride, top, left, w, first, rows, out) {
    for (let p = first; p < first + rows; p++) {
      const y = Math.floor(p / w) * stride - top, x = (p % w) * stride - left;
      for (let i = 0; i < k; i++) {
        for (let j = 0; j < k; j++, out += C) {
          const from = input + ((y + i) * W + x + j) * C;
          if (y + i >= 0 && y + i < H && x + j >= 0 && x + j < W) heap.copyWithin(out, from, from + C);
          else heap.fill(0, out, out + C);
        }
      }
    }
  }

  /** One pixel times 8 filters. */
  function multiply(a, length, weight, bias, out, filters) {
    let s0 = heap[bias], s1 = heap[bias + 1], s2 = heap[bias + 2], s3 = heap[bias + 3];
    let s4 = heap[bias + 4], s5 = heap[bias + 5], s6 = heap[bias + 6], s7 = heap[bias + 7];
    for (let k = a; k < a + length; k++, weight += 8) {
      const x = heap[k];
      if (x === 0) continue; // after ReLU many are
      s0 += x * heap[weight], s1 += x * heap[weight + 1], s2 += x * heap[weight + 2], s3 += x * heap[weight + 3];
      s4 += x * heap[weight + 4], s5 += x * heap[weight + 5], s6 += x * heap[weight + 6], s7 += x * heap[weight + 7];
    }
    heap[out] = s0, heap[out + 1] = s1, heap[out + 2] = s2, heap[out + 3] = s3;
    if (filters > 4) heap[out + 4] = s4, heap[out + 5] = s5, heap[out + 6] = s6, heap[out + 7] = s7;
  }

  function conv(input, H, W, C, k, stride, top, left, out, h, w, N, weight, bias, number, scratch) {
    input >>= 2, out >>= 2, weight >>= 2, bias >>= 2, scratch >>= 2;
    const length = k * k * C, direct = k === 1 && stride === 1;
    for (let first = 0; first < h * w; first += PIXELS_AT_A_TIME) {
      const rows = Math.min(h * w - first, PIXELS_AT_A_TIME);
      if (!direct) layOut(input, H, W, C, k, stride, top, left, w, first, rows, scratch);
      const a = direct ? input + first * C : scratch;
      for (let n = 0; n < N; n += 8) {
        for (let r = 0; r < rows; r++) {
          multiply(a + r * length, length, weight + n * length, bias + n, out + (first + r) * N + n, N - n);
        }
      }
    }
    activateAll(out, h * w * N, number);
  }

  function depthwise(input, H, W, C, k, stride, top, left, out, h, w, weight, bias, number) {
    input >>= 2, out >>= 2, weight >>= 2, bias >>= 2;
    const sums = new Float64Array(C);
    for (let y = 0, to = out; y < h; y++) {
      for (let x = 0; x < w; x++, to += C) {
        for (let c = 0; c < C; c++) sums[c] = heap[bias + c];
        for (let i = 0; i < k; i++) {
          const row = y * stride - top + i;
          if (row < 0 || row >= H) continue;
          for (let j = 0; j < k; j++) {
            const column = x * stride - left + j;
            if (column < 0 || column >= W) continue;
            const from = input + (row * W + column) * C, by = weight + (i * k + j) * C;
            for (let c = 0; c < C; c++) sums[c] += heap[from + c] * heap[by + c];
          }
        }
        heap.set(sums, to);
      }
    }
    activateAll(out, h * w * C, number);
  }

  function largest(input, H, W, C, rows, columns, stride, out, h, w) {
    input >>= 2, out >>= 2;
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++, out += C) {
        const corner = input + (y * stride * W + x * stride) * C;
        for (let c = 0; c < C; c++) {
          let best = heap[corner + c];
          for (let i = 0; i < rows && y * stride + i < H; i++) {
            for (let j = 0; j < columns && x * stride + j < W; j++) {
              best = Math.max(best, heap[corner + (i * W + j) * C + c]);
            }
          }
          heap[out + c] = best;
        }
      }
    }
  }

  function mean(input, H, W, C, out, h, w) {
    input >>= 2, out >>= 2;
    for (let y = 0; y < h; y++) {
      const [y0, y1] = meanWindow(y, H, h);
      for (let x = 0; x < w; x++, out += C) {
        const [x0, x1] = meanWindow(x, W, w);
        for (let c = 0; c < C; c++) {
          let whole = 0;
          for (let i = y0; i < y1; i++) for (let j = x0; j < x1; j++) whole += heap[input + (i * W + j) * C + c];
          heap[out + c] = whole / ((y1 - y0) * (x1 - x0));
        }
      }
    }
  }

  function affine(input, pixels, C, scale, shift, out, number) {
    input >>= 2, out >>= 2, scale >>= 2, shift >>= 2;
    for (let i = 0; i < pixels * C; i++) heap[out + i] = heap[input + i] * heap[scale + i % C] + heap[shift + i % C];
    activateAll(out, pixels * C, number);
  }

  function sum(one, other, count, out, number) {
    one >>= 2, other >>= 2, out >>= 2;
    for (let i = 0; i < count; i++) heap[out + i] = heap[one + i] + heap[other + i];
    activateAll(out, count, number);
  }

  function activation(input, count, out, number) {
    heap.copyWithin(out >> 2, input >> 2, (input >> 2) + count);
    activateAll(out >> 2, count, number);
  }

  return { name: "JavaScript", start: 0, heap, conv, depthwise, largest, mean, affine, sum, activation };
}

/** Return the first place of a window of means along a side, and the place after its last. */
function meanWindow(i, side, windows) {
  return [Math.floor(i * side / windows), Math.ceil((i + 1) * side / windows)];
}

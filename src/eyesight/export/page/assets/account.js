// How a number came about: the window that was looked at, and every product, largest or mean that made it.

/** Return the account of one number of an operation's value.
 *
 *  What it holds: `says`, a sentence; `groups`, one for each channel that was looked at, with its window (rows of
 *  numbers, null outside of the picture), the kernel (rows of numbers) and the sum of their products; `bias`; `sum`,
 *  all together; `function` and `value`, after it. Not every kind has everything.
 */
function accountOf(network, operation, y, x, c) {
  const account = ACCOUNTS[operation.kind](network, operation, y, x, c);
  return { function: operation.function, value: network.number(operation.out, y, x, c), ...account };
}

/** Return a window of a value: rows of numbers, null where it reaches over the edge. */
function windowOf(network, value, top, left, rows, columns, c) {
  const [H, W] = network.shapes[value];
  const inside = (row, column) => row >= 0 && row < H && column >= 0 && column < W;
  return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (__, j) =>
    (inside(top + i, left + j) ? network.number(value, top + i, left + j, c) : null)));
}

/** Return pairs of a window's numbers and the kernel's, place by place; zeros stand around a picture. */
const productsOf = (window, kernel) => window.flatMap((row, i) => row.map((number, j) => [number ?? 0, kernel[i][j]]));

const add = (numbers) => numbers.reduce((a, b) => a + b, 0);

function slide(network, operation, y, x, c) {
  const { kernel: side = 1, stride = 1, top = 0, left = 0, in: [value] } = operation;
  const alone = operation.kind === "depthwise", { shape } = network.products[operation.product];
  const first = alone ? c : network.firstChannel(operation, c), count = alone ? 1 : shape[3];
  const corner = [y * stride - top, x * stride - left];
  const groups = Array.from({ length: count }, (_, i) => {
    const window = windowOf(network, value, ...corner, side, side, first + i);
    const kernel = window.map((row, p) => row.map((__, q) => network.weight(operation, c, p, q, i)));
    return { channel: first + i, window, kernel, sum: add(productsOf(window, kernel).map(([a, b]) => a * b)) };
  });
  const bias = network._at(operation.bias)[c];
  return { groups, bias, sum: add(groups.map((group) => group.sum)) + bias, corner, size: [side, side] };
}

const ACCOUNTS = {
  conv: slide,
  depthwise: slide,
  dense: slide,
  largest(network, operation, y, x, c) {
    const { rows, columns, stride, in: [value] } = operation, corner = [y * stride, x * stride];
    return { groups: [{ channel: c, window: windowOf(network, value, ...corner, rows, columns, c) }], corner, size: [rows, columns] };
  },
  mean(network, operation, y, x, c) {
    const [H, W] = network.shapes[operation.in[0]], [h, w] = network.shapes[operation.out];
    const [top, bottom] = meanWindow(y, H, h), [left, right] = meanWindow(x, W, w), size = [bottom - top, right - left];
    const window = windowOf(network, operation.in[0], top, left, ...size, c);
    return { groups: [{ channel: c, window }], sum: add(window.flat()), corner: [top, left], size };
  },
  affine(network, operation, y, x, c) {
    const number = network.number(operation.in[0], y, x, c);
    const [scale, shift] = [operation.scale, operation.shift].map((place) => network._at(place)[c]);
    const group = { channel: c, window: [[number]], kernel: [[scale]], sum: number * scale };
    return { groups: [group], bias: shift, sum: number * scale + shift, corner: [y, x], size: [1, 1] };
  },
  sum(network, operation, y, x, c) {
    const parts = operation.in.map((value) => network.number(value, y, x, c));
    return { parts, sum: add(parts), corner: [y, x], size: [1, 1] };
  },
  activation(network, operation, y, x, c) {
    return { sum: network.number(operation.in[0], y, x, c), corner: [y, x], size: [1, 1] };
  },
  pad(network, operation, y, x, c) {
    const corner = [y - operation.top, x - operation.left];
    return { groups: [{ channel: c, window: windowOf(network, operation.in[0], ...corner, 1, 1, c) }], corner, size: [1, 1] };
  },
  flatten(network, operation, _, __, c) {
    const [H, W] = network.shapes[operation.in[0]], channel = Math.floor(c / (H * W)), place = c % (H * W);
    const corner = [Math.floor(place / W), place % W];
    return { groups: [{ channel, window: windowOf(network, operation.in[0], ...corner, 1, 1, channel) }], corner, size: [1, 1] };
  },
};

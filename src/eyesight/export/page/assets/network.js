// The network at work: a program of operations, its weights, and every value that it computes, all in one memory.

const SHARES = { one: [[1, 0]], shift: [[0.5, 0], [0.25, -1], [0.25, 1]] }; // of a view, and by how much it is moved

const up = (count, step) => Math.ceil(count / step) * step;

/** A network; `run` computes it, and afterwards every value of the picture as it is can be looked at. */
class Network {
  /** `description`: what the page says of the network. */
  constructor(description) {
    Object.assign(this, description);
    const moved = SHARES[this.views.includes("shift") ? "shift" : "one"];
    const mirrored = this.views.includes("mirror") ? [false, true] : [false];
    this.looks = moved.flatMap(([share, by]) => mirrored.map((mirror) => ({ share: share / mirrored.length, by, mirror })));
    this._placeAll();
  }

  /** Say where everything lies, from 0, in bytes: values, weights, biases, scales, and room for windows. */
  _placeAll() {
    let end = 0;
    const place = (count) => { const start = end; end += up(count * 4, 16); return start; };
    this.values = this.shapes.map(([h, w, c]) => place(h * w * up(c, 4)));
    let scratch = 0;
    for (const operation of this.operations) {
      const [H, W, C] = this.shapes[operation.in[0]];
      if (operation.product !== undefined) {
        const filters = this.shapes[operation.out][2], kernel = operation.kernel ?? 1;
        const alone = operation.kind === "depthwise";
        const length = kernel * kernel * up(C, 4);
        operation.weight = place(alone ? length : length * up(filters, 8));
        operation.bias = place(up(filters, 8));
        scratch = Math.max(scratch, length * PIXELS_AT_A_TIME);
      } else if (operation.affine !== undefined) {
        [operation.scale, operation.shift] = [place(up(C, 4)), place(up(C, 4))];
      }
    }
    this.scratch = place(scratch);
    this.bytes = end;
  }

  /** Take a kernel with room for `bytes`, and fill in weights and other numbers. */
  start(kernel, weights, numbers) {
    this.kernel = kernel;
    this.heap = kernel.heap;
    const floats = new Float32Array(numbers.buffer, 0, numbers.byteLength >> 2);
    const weightAt = numbersOf(weights, this.bits);
    const biases = this.operations.filter((operation) => operation.product !== undefined);
    let number = 0, first = 0;
    for (const operation of biases) {
      const { shape: [filters, , , inputs], shape } = this.products[operation.product];
      const scales = this.bits < 32 ? floats.subarray(number, number += filters) : null;
      this._at(operation.bias).set(floats.subarray(number, number += filters));
      this._fill(operation, weightAt, first, scales);
      first += filters * shape[1] * shape[2] * inputs;
    }
    for (const operation of this.operations.filter((each) => each.affine !== undefined)) {
      const count = this.shapes[operation.out][2];
      this._at(operation.scale).set(floats.subarray(number, number += count));
      this._at(operation.shift).set(floats.subarray(number, number += count));
    }
  }

  /** Return the memory from a place on. */
  _at(place) { return this.heap.subarray(this.kernel.start + place >> 2); }

  /** Fill in the weights of an operation, in the kernel's order. */
  _fill(operation, weightAt, first, scales) {
    const { shape: [filters, rows, columns, inputs] } = this.products[operation.product];
    const weight = this._at(operation.weight);
    for (let o = 0, i = first; o < filters; o++) {
      const scale = scales === null ? 1 : scales[o];
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++) {
          for (let c = 0; c < inputs; c++, i++) weight[this._weightPlace(operation, o, y, x, c)] = weightAt(i) * scale;
        }
      }
    }
  }

  /** Return where the weight of filter `o` at (y, x) for channel `c` of its group lies, from the operation's first. */
  _weightPlace(operation, o, y, x, c) {
    const held = up(this.shapes[operation.in[0]][2], 4), kernel = operation.kernel ?? 1;
    if (operation.kind === "depthwise") return (y * kernel + x) * held + o;
    const channel = this.firstChannel(operation, o) + c;
    return ((o >> 3) * kernel * kernel * held + (y * kernel + x) * held + channel) * 8 + (o & 7);
  }

  /** Return the first of the channels that a filter sees. */
  firstChannel(operation, o) {
    const { shape: [filters, , , inputs], groups } = this.products[operation.product];
    return Math.floor(o / (filters / groups)) * inputs;
  }

  /** Return the weight of filter `o` at (y, x) for channel `c` of its group. */
  weight(operation, o, y, x, c) { return this._at(operation.weight)[this._weightPlace(operation, o, y, x, c)]; }

  /** Return one number of a value: row, column, channel. */
  number(value, y, x, c) {
    const [, w, channels] = this.shapes[value];
    return this._at(this.values[value])[(y * w + x) * up(channels, 4) + c];
  }

  /** Return one channel of a value: (h · w) numbers. */
  channel(value, c) {
    const [h, w, channels] = this.shapes[value], held = up(channels, 4), memory = this._at(this.values[value]);
    return Float32Array.from({ length: h * w }, (_, i) => memory[i * held + c]);
  }

  /** Return the logits of a picture: `pixels` are bytes (height, width, channels). */
  run(pixels) {
    const logits = new Float64Array(this.classes.length);
    for (const { share, by, mirror } of [...this.looks].reverse()) { // the picture as it is comes last, to be looked at
      this._normalise(pixels, by, mirror);
      for (const operation of this.operations) this._perform(operation);
      for (let k = 0; k < logits.length; k++) logits[k] += share * this.number(this.shapes.length - 1, 0, 0, k);
    }
    return logits.map((logit) => logit / this.temperature);
  }

  /** Return the probabilities of a picture. */
  probabilities(pixels) { return softmax(this.run(pixels)); }

  /** Put a view of the picture, as the network wants it, where the first operation finds it. */
  _normalise(pixels, by, mirror) {
    const { height, width, channels, scale, shift } = this, held = up(channels, 4), memory = this._at(this.values[0]);
    const inside = (place, side) => Math.min(Math.max(place, 0), side - 1);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = (inside(y + by, height) * width + inside((mirror ? width - 1 - x : x) + by, width)) * channels;
        for (let c = 0; c < channels; c++) {
          memory[(y * width + x) * held + c] = Math.fround(pixels[from + c] * scale[c]) + shift[c];
        }
      }
    }
  }

  _perform(operation) {
    const { kernel } = this, place = (where) => kernel.start + where;
    const [input, output] = [this.values[operation.in[0]], this.values[operation.out]].map(place);
    const [H, W, C] = this.shapes[operation.in[0]], [h, w, N] = this.shapes[operation.out];
    const number = FUNCTIONS[operation.function ?? "none"], held = up(C, 4);
    const { kernel: k = 1, stride = 1, top = 0, left = 0 } = operation;
    switch (operation.kind) {
      case "conv": case "dense":
        return kernel.conv(input, H, W, held, k, stride, top, left, output, h, w, up(N, 4), place(operation.weight),
          place(operation.bias), number, place(this.scratch));
      case "depthwise":
        return kernel.depthwise(input, H, W, held, k, stride, top, left, output, h, w, place(operation.weight),
          place(operation.bias), number);
      case "largest": return kernel.largest(input, H, W, held, operation.rows, operation.columns, stride, output, h, w);
      case "mean": return kernel.mean(input, H, W, held, output, h, w);
      case "affine":
        return kernel.affine(input, H * W, held, place(operation.scale), place(operation.shift), output, number);
      case "sum": return kernel.sum(input, place(this.values[operation.in[1]]), h * w * up(N, 4), output, number);
      case "activation": return kernel.activation(input, h * w * held, output, number);
      case "pad": return this._pad(operation);
      case "flatten": return this._flatten(operation);
    }
    throw new Error(`unknown operation: ${operation.kind}`);
  }

  /** Copy the rows; the zeros around them are never written over. */
  _pad({ in: [from], out, top, left }) {
    const [H, W, C] = this.shapes[from], held = up(C, 4), w = this.shapes[out][1];
    const [input, output] = [from, out].map((value) => this._at(this.values[value]));
    for (let y = 0; y < H; y++) {
      output.set(input.subarray(y * W * held, (y + 1) * W * held), ((y + top) * w + left) * held);
    }
  }

  /** Lay all numbers in a line, channel after channel. */
  _flatten({ in: [from], out }) {
    const [H, W, C] = this.shapes[from], held = up(C, 4);
    const [input, output] = [from, out].map((value) => this._at(this.values[value]));
    for (let c = 0, i = 0; c < C; c++) for (let p = 0; p < H * W; p++, i++) output[i] = input[p * held + c];
  }
}

/** Return probabilities of logits. */
function softmax(logits) {
  const most = Math.max(...logits), powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

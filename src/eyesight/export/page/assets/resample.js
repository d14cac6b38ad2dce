// From any size to the network's: what eyesight/pictures/resample.py does, and Pillow's bilinear filter, bit for bit.
//
// A picture is { width, height, channels, row(y) }: `row` gives a line of bytes, the channels side by side. Lines are
// asked for from top to bottom, so that of a large photo only a strip is ever held. A fitted picture is a whole one:
// { width, height, channels, data }.

const f32 = Math.fround;

/** Return a whole picture as one that gives its rows. */
function rowsOf({ width, height, channels, data }) {
  const length = width * channels;
  return { width, height, channels, row: (y) => data.subarray(y * length, (y + 1) * length) };
}

/** Bring a picture to a size; the right size passes untouched. Returns bytes (height, width, channels). */
function fitPicture(picture, { width, height, fit, resample }) {
  if (picture.width === width && picture.height === height) return copy(picture);
  if (fit === "pad") return contain(picture, width, height);
  if (fit === "stretch") return stretch(picture, width, height);
  if (resample === "bilinear") return bilinear(picture, width, height, middleOf(picture, width / height));
  const box = middle(picture.width, picture.height, width, height);
  return (box[2] - box[0] >= width ? areaMeans : bilinear)(picture, width, height, box);
}

function copy({ width, height, channels, row }) {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) data.set(row(y), y * width * channels);
  return data;
}

/** The whole picture at a size of perhaps another shape. */
function stretch(picture, width, height) {
  const whole = [0, 0, picture.width, picture.height];
  const down = picture.height >= height, across = picture.width >= width;
  if (down && across) return areaMeans(picture, width, height, whole);
  if (!down && !across) return bilinear(picture, width, height, whole);
  const between = [across ? width : picture.width, down ? height : picture.height]; // first what shrinks
  const data = areaMeans(picture, ...between, whole);
  const shrunk = rowsOf({ width: between[0], height: between[1], channels: picture.channels, data });
  return bilinear(shrunk, width, height, [0, 0, ...between]);
}

/** The whole picture in its own shape, in the middle of a black one. */
function contain(picture, width, height) {
  const { channels } = picture, scale = Math.min(width / picture.width, height / picture.height);
  const [across, down] = [picture.width, picture.height].map((side) => Math.max(1, roundHalfEven(side * scale)));
  const inner = across === picture.width && down === picture.height ? copy(picture) : stretch(picture, across, down);
  const data = new Uint8Array(width * height * channels);
  const top = Math.floor((height - down) / 2), left = Math.floor((width - across) / 2);
  for (let y = 0; y < down; y++) {
    data.set(inner.subarray(y * across * channels, (y + 1) * across * channels), ((top + y) * width + left) * channels);
  }
  return data;
}

function roundHalfEven(x) {
  const below = Math.floor(x), rest = x - below;
  if (rest !== 0.5) return Math.round(x);
  return below % 2 ? below + 1 : below;
}

/** The part of a picture that covers a size; what is left out before it is a whole number of new pixels. */
function middle(across, down, width, height) {
  if (across * height >= down * width) {
    const left = Math.floor((across * height - down * width) / (2 * down)) * down / height;
    return [left, 0, Math.min(left + width * down / height, across), down];
  }
  const top = Math.floor((down * width - across * height) / (2 * across)) * across / width;
  return [0, top, across, Math.min(top + height * across / width, down)];
}

/** The middle of a picture in a shape, as Pillow's ImageOps.fit cuts it. */
function middleOf({ width, height }, ratio) {
  const own = width / height;
  const across = own === ratio || own < ratio ? width : ratio * height;
  const down = own === ratio || own >= ratio ? height : width / ratio;
  const left = (width - across) * 0.5, top = (height - down) * 0.5;
  return [left, top, left + across, top + down];
}

/** The means over equal parts of a box; pixels on a border count by their share. In float32, as there. */
function areaMeans(picture, width, height, [left, top, right, bottom]) {
  const { channels } = picture, length = picture.width * channels;
  const columns = sharesOf(width, left, right, picture.width), rows = sharesOf(height, top, bottom, picture.height);
  const data = new Uint8Array(width * height * channels), line = new Float32Array(length);
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let t = 0; t < rows.touched; t++) {
      const share = rows.shares[t * height + y];
      if (share === 0) continue; // adds nothing
      const pixels = picture.row(rows.picks[t * height + y]);
      for (let i = 0; i < length; i++) line[i] += f32(pixels[i] * share);
    }
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let t = 0; t < columns.touched; t++) {
          const place = t * width + x;
          sum = f32(sum + f32(line[columns.picks[place] * channels + c] * columns.shares[place]));
        }
        data[(y * width + x) * channels + c] = f32(sum + 0.5);
      }
    }
  }
  return data;
}

/** Cut a part of a line into equal parts: the pixels that each touches, (touched, count), and their shares. */
function sharesOf(count, start, stop, length) {
  const step = (stop - start) / count;
  const edges = Float64Array.from({ length: count + 1 }, (_, i) => (i === count ? stop : i * step + start));
  let touched = 0;
  for (let i = 0; i < count; i++) touched = Math.max(touched, Math.ceil(edges[i + 1]) - Math.floor(edges[i]));
  const picks = new Int32Array(touched * count), shares = new Float32Array(touched * count);
  for (let t = 0; t < touched; t++) {
    for (let i = 0; i < count; i++) {
      const pixel = Math.floor(edges[i]) + t, width = edges[i + 1] - edges[i];
      const inside = Math.min(pixel + 1, edges[i + 1]) - Math.max(pixel, edges[i]);
      picks[t * count + i] = Math.min(pixel, length - 1);
      shares[t * count + i] = Math.max(inside, 0) / width;
    }
  }
  return { picks, shares, touched };
}

const FINE = 1 << 22; // of which Pillow's weights are whole parts

/** Pillow's bilinear filter, which looks at more pixels where it shrinks: first across, then down, each to bytes. */
function bilinear(picture, width, height, box) {
  const { channels } = picture, [left, top, right, bottom] = box.map(f32); // as Pillow takes them
  const columns = tapsOf(width, left, right, picture.width), rows = tapsOf(height, top, bottom, picture.height);
  const across = width !== picture.width || left !== 0 || right !== picture.width;
  const first = rows[0].first, last = rows[height - 1].first + rows[height - 1].weights.length;
  const length = width * channels, between = new Uint8Array((last - first) * length);
  for (let y = first; y < last; y++) {
    const pixels = picture.row(y), to = between.subarray((y - first) * length, (y - first + 1) * length);
    if (!across) to.set(pixels);
    else for (let i = 0; i < length; i++) to[i] = weighted(pixels, columns[Math.floor(i / channels)], channels, i % channels);
  }
  if (height === picture.height && top === 0 && bottom === picture.height) return between;
  const data = new Uint8Array(height * length);
  for (let y = 0; y < height; y++) {
    const { first: start, weights } = rows[y], taps = { first: start - first, weights };
    for (let i = 0; i < length; i++) data[y * length + i] = weighted(between, taps, length, i);
  }
  return data;
}

/** The sum of numbers that lie `step` apart, each times its weight, as a byte. */
function weighted(numbers, { first, weights }, step, offset) {
  let sum = FINE / 2;
  for (let t = 0; t < weights.length; t++) sum += numbers[(first + t) * step + offset] * weights[t];
  return Math.min(Math.max(Math.floor(sum / FINE), 0), 255);
}

/** For each new pixel the first old one that counts, and the weights from there on. */
function tapsOf(count, start, stop, length) {
  const scale = f32(stop - start) / count, wide = Math.max(scale, 1);
  return Array.from({ length: count }, (_, i) => {
    const center = start + (i + 0.5) * scale;
    const first = Math.max(Math.trunc(center - wide + 0.5), 0);
    const last = Math.min(Math.trunc(center + wide + 0.5), length);
    const raw = Array.from({ length: last - first }, (__, t) => {
      return Math.max(0, 1 - Math.abs((t + first - center + 0.5) * (1 / wide)));
    });
    const sum = raw.reduce((a, b) => a + b, 0);
    return { first, weights: raw.map((weight) => Math.trunc(0.5 + (sum ? weight / sum : weight) * FINE)) };
  });
}

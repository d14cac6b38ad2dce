// Which parts of the picture speak for a class: exact where the network ends in a global pooling and one dense layer.

const COVERED = 7; // parts in a row that are covered one after the other where there is no exact map

/** Return how the parts of the picture can be told for this network: "mean", "largest" or "covered". */
function kindOfAttention(network) {
  const last = network.operations.at(-1);
  if (last.kind !== "dense" || last.function) return { kind: "covered" };
  const pool = makerOf(network, last.in[0]);
  const [h, w] = pool ? network.shapes[pool.out] : [0, 0];
  if (!pool || h * w !== 1 || !["mean", "largest"].includes(pool.kind)) return { kind: "covered" };
  const [H, W] = network.shapes[pool.in[0]];
  if (H * W === 1 || (pool.kind === "largest" && (pool.rows < H || pool.columns < W))) return { kind: "covered" };
  return { kind: pool.kind, dense: last, value: pool.in[0] };
}

/** Return the operation that made a value, looking through flattening of single pixels. */
function makerOf(network, value) {
  const maker = network.operations.find((operation) => operation.out === value);
  const [h, w] = maker ? network.shapes[maker.in[0]] : [0, 0];
  return maker?.kind === "flatten" && h * w === 1 ? makerOf(network, maker.in[0]) : maker;
}

/** Return what each place of the last feature maps adds to the logit of class `k`: { height, width, parts, bias }.
 *
 *  With a mean, the parts' mean and the bias are the logit; with the largest, their sum and the bias are.
 *  Source: Zhou et al., "Learning deep features for discriminative localization", CVPR 2016.
 */
function classActivationMap(network, { kind, dense, value }, k) {
  const [height, width, channels] = network.shapes[value], parts = new Float64Array(height * width);
  for (let c = 0; c < channels; c++) {
    const weight = network.weight(dense, k, 0, 0, c), map = network.channel(value, c);
    if (kind === "mean") map.forEach((number, p) => { parts[p] += weight * number; });
    else { // of many equal ones each gets its share
      const most = Math.max(...map), places = [...map.keys()].filter((p) => map[p] === most);
      for (const p of places) parts[p] += weight * most / places.length;
    }
  }
  return { height, width, parts, bias: network._at(dense.bias)[k] };
}

/** Return by how much the probability of class `k` falls when a part is covered by the picture's mean, part by part.
 *
 *  `stopped`: asked between parts; where it says so, null is returned. The network holds other values afterwards.
 *  Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.
 */
async function coverParts(network, pixels, k, stopped) {
  const { height, width, channels } = network, before = network.probabilities(pixels)[k];
  const rows = Math.min(COVERED, height), columns = Math.min(COVERED, width), parts = new Float64Array(rows * columns);
  const means = Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let i = c; i < pixels.length; i += channels) sum += pixels[i];
    return Math.round(sum * channels / pixels.length);
  });
  for (let part = 0; part < parts.length; part++) {
    const covered = pixels.slice(), [y0, y1] = meanWindow(Math.floor(part / columns), height, rows);
    const [x0, x1] = meanWindow(part % columns, width, columns);
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) covered.set(means, (y * width + x) * channels);
    parts[part] = before - network.probabilities(covered)[k];
    if (part % 8 === 7) await new Promise((resolve) => setTimeout(resolve));
    if (stopped()) return null;
  }
  return { height: rows, width: columns, parts };
}

/** Draw parts over the picture: orange speaks for the class, blue against it. */
function drawAttention(canvas, pixels, network, { height, width, parts }) {
  drawBytes(canvas, pixels, network.width, network.height, network.channels);
  const small = document.createElement("canvas"), image = new ImageData(width, height);
  const most = Math.max(...parts.map(Math.abs)) || 1;
  parts.forEach((part, i) => image.data.set([...signedColour(part / most * 2), 230 * Math.min(Math.abs(part / most), 1)], i * 4));
  Object.assign(small, { width, height });
  small.getContext("2d").putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, network.width, network.height);
}

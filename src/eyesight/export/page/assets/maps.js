// Feature maps as pictures: one small canvas for each channel of a value, or one for all numbers of a flat one.

const FLAT_COLUMNS = 32; // cells in a row where a value has no height and width

/** What can be looked at of a value: maps of `height` × `width` cells, so many of them. */
function mapsOf(network, value) {
  const [h, w, c] = network.shapes[value];
  if (h * w > 1) return { height: h, width: w, count: c, flat: false };
  const width = Math.min(c, FLAT_COLUMNS);
  return { height: Math.ceil(c / width), width, count: 1, flat: true, cells: c };
}

/** Return the numbers of a map, row by row. */
function numbersOfMap(network, value, map) {
  const { flat, cells } = mapsOf(network, value);
  if (!flat) return network.channel(value, map);
  return Float32Array.from({ length: cells }, (_, c) => network.number(value, 0, 0, c));
}

/** Return row, column and channel of a cell of a map; null where there is none. */
function placeOf(network, value, map, row, column) {
  const { height, width, flat, cells } = mapsOf(network, value);
  if (row < 0 || column < 0 || row >= height || column >= width) return null;
  if (!flat) return [row, column, map];
  return row * width + column < cells ? [0, 0, row * width + column] : null;
}

/** Draw a map: from black to white where nothing is negative, else blue for negative and orange for positive. */
function drawMap(canvas, network, value, map) {
  const { height, width } = mapsOf(network, value), numbers = numbersOfMap(network, value, map);
  let low = Infinity, high = -Infinity;
  for (const number of numbers) low = Math.min(low, number), high = Math.max(high, number);
  const most = Math.max(Math.abs(low), Math.abs(high)) || 1, image = new ImageData(width, height);
  numbers.forEach((number, i) => {
    const grey = Math.round(255 * number / most);
    image.data.set(low < 0 ? [...signedColour(number / most), 255] : [grey, grey, grey, 255], i * 4);
  });
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return [low, high];
}

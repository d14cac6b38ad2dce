// One number of a feature map, looked at: where it stands, the window it came from, and its account written out.

const WRITTEN = 12; // channels, or products of a dense layer, that are written out; the others are added up
const WIDEST = 11; // columns of a window that is written as a table

/** Return a table of a window or kernel; `marked` says of a number whether it matters. */
function gridOf(rows, caption, { signed = false, marked = () => false } = {}) {
  const numbers = rows.flat().filter((number) => number !== null);
  const most = Math.max(...numbers.map(Math.abs), 0) || 1;
  const body = rows.map((row) => element("tr", {}, ...row.map((number) => {
    if (number === null) return element("td", { class: "outside", title: "outside of the picture" }, "0");
    const shade = signed ? `--share: ${Math.round(Math.abs(number) / most * 55)}%` : undefined;
    const kind = `${signed ? (number < 0 ? "negative" : "positive") : ""} ${marked(number) ? "marked" : ""}`.trim();
    return element("td", { class: kind || undefined, style: shade }, write(number));
  })));
  return element("table", { class: "grid" }, element("caption", {}, caption), element("tbody", {}, ...body));
}

const sumLine = (text) => element("p", { class: "sum" }, text);

/** Return how a number came about, as elements. `channel`: of the window to show; `choose`: called with another. */
function tellAccount(network, operation, account, channel, choose) {
  const { groups = [], kind } = { ...account, kind: operation.kind };
  if (kind === "sum") return [sumLine(`${account.parts.map(factor).join(" + ")} = ${write(account.sum)}`), ...tellFunction(account)];
  if (kind === "activation") return tellFunction(account);
  if (kind === "largest") return tellLargest(account);
  if (kind === "mean") return tellMean(account);
  if (kind === "pad" || kind === "flatten") return tellCopy(account);
  if (kind === "affine") {
    const [{ window: [[number]], kernel: [[scale]] }] = groups;
    return [sumLine(`${factor(number)}×${factor(scale)} + ${factor(account.bias)} = ${write(account.sum)}`), ...tellFunction(account)];
  }
  if (kind === "dense") return tellDense(account);
  return tellWindows(account, channel, choose);
}

/** The window and kernel of one channel with their products, and the sums of all channels. */
function tellWindows(account, channel, choose) {
  const { groups } = account, shown = groups.find((group) => group.channel === channel) ?? strongest(groups)[0];
  const name = groups.length > 1 ? ` in channel ${shown.channel + 1}` : "";
  const parts = [element("div", { class: "equation" },
    gridOf(shown.window, `window${name}`), element("span", { "aria-hidden": "true" }, "×"),
    gridOf(shown.kernel, `kernel${name}`, { signed: true }), element("span", { "aria-hidden": "true" }, "→"),
    element("span", { class: "total" }, write(shown.sum))),
  sumLine(writeProducts(productsOf(shown.window, shown.kernel))), sumLine(`= ${write(shown.sum)}`)];
  if (groups.length > 1) {
    const chosen = strongest(groups).slice(0, WRITTEN);
    const options = chosen.map((group) => element("option", { value: group.channel, selected: group === shown },
      `${group.channel + 1}: ${write(group.sum)}`));
    const select = element("select", { change: (event) => choose(Number(event.target.value)) }, ...options);
    parts.unshift(element("label", {}, `One of ${groups.length} channels, the strongest first: `, select));
    parts.push(sumLine(`all channels: ${writeSum(groups)}`));
  }
  return [...parts, sumLine(`with the bias: ${write(account.sum - account.bias)} + ${factor(account.bias)} = ${write(account.sum)}`),
    ...tellFunction(account)];
}

const strongest = (groups) => [...groups].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum) || a.channel - b.channel);

/** Write the sums of all channels; of many, the strongest, and the others together. */
function writeSum(groups) {
  const chosen = groups.length > WRITTEN + 1 ? strongest(groups).slice(0, WRITTEN) : groups;
  const rest = add(groups.filter((group) => !chosen.includes(group)).map((group) => group.sum));
  const others = groups.length > chosen.length ? ` + ${factor(rest)} (${groups.length - chosen.length} others)` : "";
  return `${chosen.map((group) => factor(group.sum)).join(" + ")}${others} = ${write(add(groups.map((group) => group.sum)))}`;
}

function tellDense(account) {
  const { groups } = account, chosen = strongest(groups).slice(0, WRITTEN), rest = groups.length - chosen.length;
  const products = writeProducts(chosen.map(({ window: [[number]], kernel: [[weight]] }) => [number, weight]));
  const others = add(groups.map((group) => group.sum)) - add(chosen.map((group) => group.sum));
  return [element("p", {}, `${groups.length} numbers times ${groups.length} weights, the strongest products first:`),
    sumLine(`${products}${rest ? ` + ${factor(others)} (${rest} others)` : ""}`),
    sumLine(`with the bias: ${write(account.sum - account.bias)} + ${factor(account.bias)} = ${write(account.sum)}`), ...tellFunction(account)];
}

function tellLargest({ groups: [{ window }], value }) {
  const told = sumLine(`the largest of ${window.flat().filter((number) => number !== null).length} numbers: ${write(value)}`);
  return window[0].length > WIDEST ? [told] : [gridOf(window, "window", { marked: (number) => number === value }), told];
}

function tellMean({ groups: [{ window }], sum, value }) {
  const count = window.flat().length, told = sumLine(`their mean: ${write(sum)} / ${count} = ${write(value)}`);
  return window[0].length > WIDEST ? [told] : [gridOf(window, "window"), told];
}

function tellCopy({ groups: [{ window: [[number]] }], value }) {
  return [sumLine(number === null ? "a zero, put around the picture" : `taken over as it is: ${write(value)}`)];
}

function tellFunction({ function: name, sum, value }) {
  return name ? [sumLine(`${name}(${write(sum)}) = ${write(value)}`)] : [];
}

/** The panel under a layer's maps. `place`: { map, row, column }. */
class Inspector {
  constructor(network) {
    this.network = network;
    this.canvas = element("canvas", { tabindex: "0", class: "large", role: "application",
      "aria-label": "feature map: arrow keys go from cell to cell",
      click: (event) => this._click(event), keydown: (event) => this._key(event) });
    this.told = element("p", { class: "cell", role: "status" });
    this.account = element("div", { class: "account" });
    const close = element("button", { type: "button", click: () => this.close() }, "Close");
    this.source = element("canvas", { class: "source", role: "img" });
    this.before = element("figure", {}, this.source, element("figcaption", {}, "what comes in, and the window"));
    this.panel = element("div", { class: "inspector", role: "group" }, element("header", {}, this.told, close),
      element("div", { class: "sides" }, this.before,
        element("figure", {}, this.canvas, element("figcaption", {}, "this map, and the number in it")), this.account));
  }

  /** Look at a cell of an operation's map, in a panel that is put after `after`. */
  open(operation, place, after) {
    this.channel = undefined;
    Object.assign(this, { operation, place });
    this.panel.setAttribute("aria-label", `a number of ${operation.path}`);
    after.after(this.panel);
    this.refresh();
    this.canvas.focus();
  }

  close() {
    const before = this.panel.previousElementSibling?.querySelector("button");
    this.operation = undefined;
    this.panel.remove();
    before?.focus();
  }

  /** Tell the same cell anew, of another picture. */
  refresh() {
    const { network, operation, place } = this;
    if (!operation) return;
    const { map, row, column } = place, [y, x, c] = placeOf(network, operation.out, map, row, column);
    const account = accountOf(network, operation, y, x, c), { count, flat } = mapsOf(network, operation.out);
    drawMap(this.canvas, network, operation.out, map);
    frame(this.canvas, row, column, 1, 1);
    this._showSource(account);
    const where = flat ? `number ${c + 1}` : `map ${c + 1} of ${count}, row ${y + 1}, column ${x + 1}`;
    this.told.textContent = `${where}: ${write(account.value)}`;
    this.told.dataset.value = account.value;
    this.account.replaceChildren(...tellAccount(network, operation, account, this.channel, (channel) => {
      this.channel = channel;
      this.refresh();
      this.account.querySelector("select")?.focus();
    }));
  }

  /** Draw the map that the account looks at, with the window in it. */
  _showSource({ groups, corner: [top, left], size: [rows, columns] }) {
    const { network, operation } = this, [value] = operation.in, { flat, width } = mapsOf(network, value);
    const shown = groups?.find((group) => group.channel === this.channel) ?? strongest(groups ?? [])[0];
    const channel = shown?.channel ?? placeOf(network, operation.out, this.place.map, this.place.row, this.place.column)[2];
    drawMap(this.source, network, value, flat ? 0 : channel);
    if (!flat) frame(this.source, top, left, rows, columns);
    else if (operation.kind !== "dense") frame(this.source, Math.floor(channel / width), channel % width, 1, 1);
    this.source.setAttribute("aria-label", flat || operation.kind === "dense" ? "what comes in"
      : `channel ${channel + 1} of what comes in; the window is rows ${top + 1} to ${top + rows}, columns ${left + 1} to ${left + columns}`);
  }

  _move(row, column) {
    if (!placeOf(this.network, this.operation.out, this.place.map, row, column)) return;
    Object.assign(this.place, { row, column });
    this.refresh();
  }

  _click(event) {
    this._move(...cellAt(event, this.canvas, mapsOf(this.network, this.operation.out)));
  }

  _key(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Escape") this.close();
    if (!step) return;
    event.preventDefault();
    this._move(this.place.row + step[0], this.place.column + step[1]);
  }
}

/** Return row and column of the cell under a click; of a key, the middle one. */
function cellAt(event, canvas, { height, width }) {
  if (!event.detail) return [Math.floor((height - 1) / 2), Math.floor((width - 1) / 2)];
  const box = canvas.getBoundingClientRect();
  const share = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
  return [[share[0], height], [share[1], width]].map(([part, side]) => Math.min(Math.max(Math.floor(part * side), 0), side - 1));
}

/** Draw a frame around cells of a map, after making a pixel of each cell larger. */
function frame(canvas, row, column, rows, columns) {
  const { width, height } = canvas, scale = Math.max(1, Math.ceil(320 / Math.max(width, height)));
  const copy = element("canvas");
  Object.assign(copy, { width, height });
  copy.getContext("2d").drawImage(canvas, 0, 0);
  Object.assign(canvas, { width: width * scale, height: height * scale });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(copy, 0, 0, canvas.width, canvas.height);
  const thick = Math.min(Math.max(3, scale / 8), 6), inside = scale > 3 * thick ? thick / 2 : -thick / 2; // so that a tiny cell is seen
  Object.assign(context, { lineWidth: thick, strokeStyle: "#e0009b" });
  const side = (cells) => cells * scale - 2 * inside;
  context.strokeRect(column * scale + inside, row * scale + inside, side(columns), side(rows));
}

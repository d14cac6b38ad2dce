// The page: it starts the network, takes pictures, and shows what the network says of them and how.

const SHOWN_MAPS = 16; // of a layer, until all are asked for
const OPEN_LAYERS = 3; // at the start, in a network of many layers
const FEW_LAYERS = 12;
const SHOWN_CLASSES = 10; // all of them where there are no more, else the first five
const CALM = 1500; // ms between two answers that a screen reader hears, while the picture moves

const byId = (id) => document.getElementById(id);

class Page {
  constructor(network) {
    this.network = network;
    this.attention = kindOfAttention(network);
    this.inspector = new Inspector(network);
    this.told = { text: "", at: 0 };
    this.order = [];
  }

  /** Show everything that does not depend on a picture, and listen to the reader. */
  build() {
    const { network } = this, { width, height, channels, classes } = network;
    byId("about").textContent = `${network.name}: pictures of ${width}×${height} pixels${channels === 1 ? " in grey" : ""}, `
      + `${classes.length} classes. It computes in this page (${network.kernel.name}); no picture leaves your device.`;
    byId("slow").hidden = network.kernel.name !== "JavaScript";
    this.layers = network.operations.map((operation, i) => this._layer(operation, i));
    byId("layers").append(...this.layers.map((layer) => layer.details));
    for (const [id, open] of [["open", true], ["close", false]]) {
      byId(id).addEventListener("click", () => this.layers.forEach((layer) => { layer.details.open = open; }));
    }
    listenForFiles(byId("file"), byId("ask"), (file) => this.takeFile(file));
    this.camera = new Camera(byId("camera"), (...frame) => this._take(pictureOf(...frame, channels)), (text) => this._fail(text));
    if (channels === 1 && Math.max(width, height) <= LARGEST_DRAWN) this._buildDrawing();
    this._buildExamples();
    this._buildAttention();
    byId("work").hidden = true;
  }

  _layer(operation, i) {
    const [h, w, c] = this.network.shapes[operation.out], { count } = mapsOf(this.network, operation.out);
    const shape = h * w > 1 ? `${c} ${c > 1 ? "maps" : "map"} of ${w}×${h}` : `${c} numbers`;
    const maps = element("div", { class: "maps" });
    const more = element("button", { type: "button", hidden: count <= SHOWN_MAPS, click: () => {
      layer.all = true;
      more.hidden = true;
      this._drawLayer(layer);
    } }, `Show all ${count} maps`);
    const summary = element("summary", {}, element("strong", {}, operation.path.replace(/^(features|head)\./, "")),
      ` ${operation.says} `, element("span", { class: "dim" }, shape));
    const open = this.network.operations.length <= FEW_LAYERS || i < OPEN_LAYERS;
    const layer = { operation, maps, all: false, details: element("details", { open }, summary, maps, more) };
    layer.details.addEventListener("toggle", () => { if (layer.details.open) this._drawLayer(layer); });
    return layer;
  }

  /** Draw the maps of a layer, with a button for each that opens its numbers. */
  _drawLayer({ operation, maps, all }) {
    if (!this.pixels) return;
    const { network } = this, { count, flat, width } = mapsOf(network, operation.out), shown = all ? count : Math.min(count, SHOWN_MAPS);
    for (let map = maps.childElementCount; map < shown; map++) {
      const canvas = element("canvas", { style: flat ? `width: min(${width}rem, 84vw)` : undefined }), name = flat ? `the numbers of ${operation.path}` : `map ${map + 1} of ${operation.path}`;
      maps.append(element("button", { type: "button", "aria-label": `look into ${name}`, title: `look into ${name}`, class: flat ? "flat" : undefined,
        click: (event) => {
          const [row, column] = cellAt(event, canvas, mapsOf(network, operation.out));
          const there = placeOf(network, operation.out, map, row, column);
          this.inspector.open(operation, { map, row: there ? row : 0, column: there ? column : 0 }, maps);
        } }, canvas));
    }
    [...maps.children].forEach((button, map) => drawMap(button.firstChild, network, operation.out, map));
  }

  _buildDrawing() {
    const dark = this.network.shift.every((shift, c) => -shift / this.network.scale[c] < 127.5); // ground as in training
    const drawing = new Drawing(this.network, dark, () => {
      const { canvas } = drawing;
      this.camera.stop();
      this._take(pictureOf(canvas, canvas.width, canvas.height, this.network.channels));
    });
    const clear = element("button", { type: "button", click: () => { drawing.clear(); drawing.change(); } }, "Clear");
    const swap = element("button", { type: "button", click: () => { drawing.dark = !drawing.dark; drawing.clear(); drawing.change(); } },
      "Swap black and white");
    byId("draw").append(element("p", {}, "Or draw:"), drawing.canvas, element("div", { class: "buttons" }, clear, swap));
    byId("draw").hidden = false;
  }

  _buildExamples() {
    const examples = [...document.querySelectorAll("#examples img")];
    byId("examples").hidden = !examples.length;
    for (const image of examples) {
      image.parentElement.addEventListener("click", async () => {
        this.camera.stop();
        await image.decode();
        this._take(pictureOf(image, image.naturalWidth, image.naturalHeight, this.network.channels));
      });
    }
  }

  _buildAttention() {
    const options = this.network.classes.map((name, k) => element("option", { value: k }, name));
    byId("class").append(...options);
    byId("class").addEventListener("change", () => { this.followed = Number(byId("class").value); this._showAttention(); });
    byId("cover").addEventListener("click", () => this._coverParts());
    byId("cover").hidden = this.attention.kind !== "covered";
  }

  /** Take a file: show what the network says of it, or why it cannot. */
  async takeFile(file) {
    this.camera.stop();
    try {
      this._take(await pictureInFile(file, this.network.channels));
    } catch (error) {
      this._fail(error.message);
    }
  }

  _fail(text) {
    byId("trouble").textContent = text;
    byId("trouble").hidden = false;
  }

  _take(picture) { this.show(fitPicture(picture, this.network)); }

  /** Show what the network says of pixels: bytes (height, width, channels) of its own size. */
  show(pixels) {
    const { network } = this;
    byId("trouble").hidden = true;
    this.pixels = pixels;
    const started = performance.now(), probabilities = network.probabilities(pixels);
    this.took = performance.now() - started;
    this.order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
    this.followed = this.order[0];
    byId("work").hidden = false;
    drawBytes(byId("seen"), pixels, network.width, network.height, network.channels);
    this._showAnswer(probabilities);
    for (const layer of this.layers) if (layer.details.open) this._drawLayer(layer);
    this.inspector.refresh();
    this._showAttention();
    return probabilities;
  }

  _showAnswer(probabilities) {
    const { classes, threshold } = this.network, [best] = this.order, sure = threshold === null || probabilities[best] >= threshold;
    const named = `${classes[best]}, ${percent(probabilities[best])}`;
    byId("answer").textContent = byId("short").textContent = sure ? named : `unsure (perhaps ${named})`;
    byId("answer").classList.toggle("unsure", !sure);
    const now = performance.now(), text = sure ? classes[best] : "unsure";
    if (text !== this.told.text || now - this.told.at > CALM) {
      byId("told").textContent = byId("answer").textContent;
      this.told = { text, at: now };
    }
    const shown = this.order.slice(0, classes.length <= SHOWN_CLASSES ? SHOWN_CLASSES : 5);
    byId("bars").replaceChildren(...shown.map((k) => element("li", {},
      element("span", { class: "name" }, classes[k]),
      element("span", { class: "bar", "aria-hidden": "true" }, element("span", { style: `width: ${probabilities[k] * 100}%` })),
      element("span", { class: "number" }, percent(probabilities[k])))));
    byId("took").textContent = `${this.took.toFixed(1)} ms`;
  }

  _showAttention() {
    byId("class").value = this.followed;
    const name = this.network.classes[this.followed], canvas = byId("attention");
    this.covering = null;
    if (this.attention.kind === "covered") {
      drawBytes(canvas, this.pixels, this.network.width, this.network.height, this.network.channels);
      byId("attention-says").textContent = "This network does not end with a pooling over the whole picture and one dense layer, so "
        + "there is no exact map. Instead parts of the picture can be covered one after the other.";
      return;
    }
    const found = classActivationMap(this.network, this.attention, this.followed), { parts, bias, height, width } = found;
    drawAttention(canvas, this.pixels, this.network, found);
    const sum = add([...parts]), mean = this.attention.kind === "mean", whole = mean ? sum / parts.length : sum;
    byId("attention-says").textContent = `What each of ${width}×${height} places adds to the score of ${name} (exact): orange speaks `
      + `for it, blue against. Their ${mean ? "mean" : "sum"} ${write(whole)} and the bias ${write(bias)} make the score ${write(whole + bias)}.`;
    canvas.dataset.score = whole + bias;
  }

  async _coverParts() {
    const run = {}, pixels = this.pixels;
    this.covering = run;
    byId("attention-says").textContent = "Covering parts …";
    const found = await coverParts(this.network, pixels, this.followed, () => this.covering !== run);
    if (!found) return;
    this.network.run(pixels); // so that the maps are those of the picture again
    drawAttention(byId("attention"), pixels, this.network, found);
    byId("attention-says").textContent = `Orange: covered by the picture's mean colour, this part lowers the probability of `
      + `${this.network.classes[this.followed]}, at most by ${percent(Math.max(...found.parts))}; blue: it raises it.`;
  }
}

/** Start the kernel, compiled where the browser can, else in JavaScript; ?js=1 asks for the latter. */
async function startKernel(bytes) {
  if (new URLSearchParams(location.search).get("js") === "1") return startJavaScriptKernel(bytes);
  try {
    return await startWasmKernel(byId("kernel").textContent, bytes);
  } catch {
    return startJavaScriptKernel(bytes);
  }
}

async function start() {
  const network = new Network(JSON.parse(byId("description").textContent));
  const [weights, numbers, kernel] = await Promise.all([unpack("weights"), unpack("numbers"), startKernel(network.bytes)]);
  network.start(kernel, weights, numbers);
  const page = new Page(network);
  page.build();
  document.body.classList.add("ready");
  return page;
}

const ready = start();
ready.catch((error) => {
  byId("about").textContent = `This page cannot start: ${error.message}`;
});

// For programs: probabilities of pixels of the network's own size, the account of a number, and the parts themselves.
globalThis.eyesight = {
  ready: ready.then((page) => page.network.kernel.name),
  async predictPixels(pixels, height, width, channels) {
    const { network } = await ready;
    if (channels !== network.channels || pixels.length !== height * width * channels) {
      throw new Error(`expected bytes (height, width, ${network.channels}); received: ${pixels.length} bytes for ${height}×${width}×${channels}`);
    }
    return network.probabilities(fitPicture(rowsOf({ width, height, channels, data: pixels }), network));
  },
  fit(pixels, height, width, channels, how) { return fitPicture(rowsOf({ width, height, channels, data: pixels }), how); },
  async fitFile(file) {
    const { network } = await ready;
    return fitPicture(await pictureInFile(file, network.channels), network);
  },
  async show(pixels) { return (await ready).show(pixels); },
  async account(operation, y, x, c) {
    const { network } = await ready;
    return accountOf(network, network.operations[operation], y, x, c);
  },
  async network() { return (await ready).network; },
};

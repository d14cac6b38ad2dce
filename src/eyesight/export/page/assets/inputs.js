// Ways to give the page a picture: a file, a drop, a paste, the camera, the reader's own hand.

const LARGEST_DRAWN = 64; // pixels: networks for larger pictures were not trained on drawings
const DRAWING = 280; // pixels of the canvas to draw on, about

/** Take files that are chosen, dropped anywhere or pasted; `take` gets each file. */
function listenForFiles(input, zone, take) {
  input.addEventListener("change", () => { if (input.files[0]) take(input.files[0]); input.value = ""; });
  document.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files[0]) take(event.clipboardData.files[0]);
  });
}

/** The camera: a button that starts and stops it; `take` gets a canvas for every picture, when the one before is done. */
class Camera {
  constructor(button, take, fail) {
    Object.assign(this, { button, take, fail, stream: null });
    this.video = element("video", { muted: true, playsinline: true });
    if (!navigator.mediaDevices?.getUserMedia) button.hidden = true;
    button.addEventListener("click", () => (this.stream ? this.stop() : this.start()));
  }

  async start() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      return this.fail("The camera cannot be used: there is none, or the browser was not allowed to.");
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    this.button.textContent = "Stop the camera";
    this._next();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.button.textContent = "Use the camera";
  }

  _next() {
    if (!this.stream) return;
    this.take(this.video, this.video.videoWidth, this.video.videoHeight);
    requestAnimationFrame(() => this._next());
  }
}

/** A canvas to draw on with a mouse, a finger, or the arrow keys (the space bar puts the pen down and up). */
class Drawing {
  /** `dark`: whether the ground is black and the pen white. */
  constructor(network, dark, change) {
    const scale = Math.max(1, Math.round(DRAWING / Math.max(network.width, network.height)));
    this.canvas = element("canvas", { tabindex: "0", class: "drawing", role: "application",
      "aria-label": "drawing area: arrow keys move the pen, the space bar puts it down and up",
      pointerdown: (event) => this._down(event), pointermove: (event) => this._drag(event),
      pointerup: () => change(), keydown: (event) => this._key(event) });
    Object.assign(this.canvas, { width: network.width * scale, height: network.height * scale });
    Object.assign(this, { change, dark });
    this.thickness = Math.max(this.canvas.width, this.canvas.height) / 12;
    this.clear();
  }

  clear() {
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = this.dark ? "black" : "white";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    Object.assign(this, { pen: [this.canvas.width / 2, this.canvas.height / 2], down: false });
  }

  _line(to) {
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(context, { strokeStyle: this.dark ? "white" : "black", lineWidth: this.thickness, lineCap: "round" });
    context.beginPath();
    context.moveTo(...this.pen);
    context.lineTo(...to);
    context.stroke();
    this.pen = to;
  }

  _place(event) {
    const box = this.canvas.getBoundingClientRect(), { width, height } = this.canvas;
    return [(event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height];
  }

  _down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pen = this._place(event);
    this._line(this.pen);
    this.change();
  }

  _drag(event) {
    if (!event.buttons) return;
    this._line(this._place(event));
    this.change();
  }

  _key(event) {
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (event.key === " ") this.down = !this.down;
    if (!step && event.key !== " ") return;
    event.preventDefault();
    const to = this.pen.map((part, i) => part + (step?.[i] ?? 0) * this.thickness / 2);
    if (this.down) this._line(to), this.change();
    this.pen = to;
  }
}

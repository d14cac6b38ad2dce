// From what a reader gives to a picture with rows of bytes: upright, on white, grey or colour, as the classifier sees it.

const STRIP = 4 << 20; // pixels read at a time
const LONGEST = 32767; // side in pixels of what browsers draw

/** Return a canvas to read pixels from, with as little done to their colours as a browser allows. */
function readingCanvas(width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  return canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
}

/** Return the picture in a file: turned as its EXIF data say, without conversion of colours. */
async function pictureInFile(file, channels) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name || "this"}: not a picture that this browser can read`);
  }
  if (Math.max(bitmap.width, bitmap.height) > LONGEST) {
    throw new Error(`${file.name}: expected at most ${write(LONGEST)} pixels a side; received: ${bitmap.width}×${bitmap.height}`);
  }
  return pictureOf(bitmap, bitmap.width, bitmap.height, channels);
}

/** Return anything that can be drawn as a picture; it is drawn strip by strip, as its rows are asked for. */
function pictureOf(source, width, height, channels) {
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP / width)));
  const context = readingCanvas(width, rows);
  let first = -1, strip = null;
  const row = (y) => {
    if (first < 0 || y < first || y >= first + rows) {
      first = y;
      context.fillStyle = "white"; // under what is transparent
      context.fillRect(0, 0, width, rows);
      context.drawImage(source, 0, -y);
      strip = bytesOfPixels(context.getImageData(0, 0, width, rows).data, channels);
    }
    return strip.subarray((y - first) * width * channels, (y - first + 1) * width * channels);
  };
  return { width, height, channels, row };
}

/** Return bytes (count, channels) of pixels with red, green, blue and alpha; grey as Pillow weighs it. */
function bytesOfPixels(pixels, channels) {
  const count = pixels.length / 4, bytes = new Uint8Array(count * channels);
  for (let i = 0, from = 0; i < count; i++, from += 4) {
    const red = pixels[from], green = pixels[from + 1], blue = pixels[from + 2];
    if (channels === 1) bytes[i] = (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16;
    else bytes[i * 3] = red, bytes[i * 3 + 1] = green, bytes[i * 3 + 2] = blue;
  }
  return bytes;
}

/** Draw bytes (height, width, channels) on a canvas, pixel for pixel. */
function drawBytes(canvas, bytes, width, height, channels) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[i * 4 + c] = bytes[i * channels + (channels === 1 ? 0 : c)];
    image.data[i * 4 + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

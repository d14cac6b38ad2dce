// From the text in the page to numbers: packed bytes, and whole numbers with a scale for each filter.

/** Return the bytes that text in base64 stands for. */
function bytesOf(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** Return the unpacked bytes of all pieces of the page that have this name, and drop their text. */
async function unpack(name) {
  const elements = [...document.querySelectorAll(`script.${name}`)];
  const packed = new Blob(elements.map((element) => bytesOf(element.textContent)));
  for (const element of elements) element.remove();
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the weights; it is too old");
  const stream = packed.stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Return a function that gives the number at a place, as it was before its bytes were laid apart. */
function numbersOf(bytes, bits) {
  const count = Math.floor(bytes.length * 8 / bits);
  const second = count, third = 2 * count, fourth = 3 * count;
  switch (bits) {
    case 16: return (i) => (bytes[i] << 8 | bytes[second + i]) - 32768;
    case 20: return (i) => (bytes[i] << 12 | bytes[second + i] << 4 | bytes[third + (i >> 1)] >> (i & 1 ? 0 : 4) & 15) - 524288;
    case 24: return (i) => (bytes[i] << 16 | bytes[second + i] << 8 | bytes[third + i]) - 8388608;
  }
  const word = new DataView(new ArrayBuffer(4));
  return (i) => {
    word.setUint32(0, bytes[i] << 24 | bytes[second + i] << 16 | bytes[third + i] << 8 | bytes[fourth + i]);
    return word.getFloat32(0);
  };
}

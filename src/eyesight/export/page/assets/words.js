// Numbers and sums as the lessons write them, and the elements of the page.

/** Write a number as briefly as it can be read: 35, 4.75, −0.5, 0.667, 1.2e−5. */
function write(value) {
  if (Math.abs(value - Math.round(value)) < 1e-9 && Math.abs(value) < 1e9) {
    return minus((Math.round(value) || 0).toLocaleString("en"));
  }
  const size = Math.abs(value);
  if (size >= 0.001 && size < 10000) return minus(value.toFixed(3).replace(/\.?0+$/, ""));
  return minus(value.toPrecision(3).replace(/\.?0+(?=e|$)/, ""));
}

const minus = (text) => text.replaceAll("-", "−");

/** Write a number inside a sum or a product: negative ones in brackets. */
function factor(value) {
  const text = write(value);
  return text.startsWith("−") ? `(${text})` : text;
}

/** Write the products of two lines of numbers as a sum, without its result: 10×1 + 2×(−1). */
const writeProducts = (products) => products.map(([a, b]) => `${factor(a)}×${factor(b)}`).join(" + ");

/** Write a share: 93.1 %; never 100 where a little is missing. */
function percent(share) {
  if (share < 0.0005) return share === 0 ? "0 %" : "< 0.1 %";
  return share > 0.9995 && share < 1 ? "> 99.9 %" : `${(share * 100).toFixed(share === 1 ? 0 : 1)} %`;
}

/** Return an element with attributes and children; functions are listeners. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Return the colour of a number between −1 and 1: blue, neutral, orange; red, green, blue. */
function signedColour(share) {
  const size = Math.min(Math.abs(share), 1), end = share < 0 ? [33, 102, 172] : [217, 95, 2];
  return end.map((part) => 247 + (part - 247) * size);
}

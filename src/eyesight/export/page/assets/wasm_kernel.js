// The kernel as compiled: see kernel.c. Places are bytes in its memory.

const FUNCTIONS = { none: 0, relu: 1, relu6: 2, tanh: 3, gelu: 4, silu: 5 };
const PAGE = 65536; // bytes of WebAssembly's memory that come at a time

/** Return the kernel with room for so many bytes, which lie from `kernel.start`; fails where there is no SIMD. */
async function startWasmKernel(text, bytes) {
  const { instance } = await WebAssembly.instantiate(bytesOf(text));
  const { memory, __heap_base: base, ...functions } = instance.exports;
  const start = (base.value + 15) & ~15;
  memory.grow(Math.max(0, Math.ceil((start + bytes) / PAGE) - memory.buffer.byteLength / PAGE));
  return { name: "WebAssembly", start, heap: new Float32Array(memory.buffer), ...functions };
}

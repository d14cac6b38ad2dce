"""The page's kernel, from C to the bytes that are committed: `make kernel`.

In: assets/kernel.c, and the compiler of the package ziglang, which gives the same bytes everywhere. Out:
assets/kernel.wasm. Only who changes the kernel needs it; a test builds the bytes again and compares them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parent / "assets" / "kernel.c"
COMPILED: Final = SOURCE.with_suffix(".wasm")
_STACK = 16_384  # bytes: the kernel holds a handful of numbers
_OPTIONS: Final = (
    "-target wasm32-freestanding -msimd128 -O3 -ffreestanding -nostdlib -Wall -Wextra -Werror "
    f"-Wl,--no-entry -Wl,--export=__heap_base -Wl,-z,stack-size={_STACK} -Wl,--strip-all"
).split()


def build_kernel(output: Path = COMPILED) -> None:
    """Compile the kernel.

    Raises:
        CalledProcessError: the compiler refuses it, or is not installed.
    """
    command = [sys.executable, "-m", "ziglang", "cc", *_OPTIONS, "-o", str(output), SOURCE.name]
    subprocess.run(command, check=True, cwd=SOURCE.parent)


if __name__ == "__main__":
    build_kernel()

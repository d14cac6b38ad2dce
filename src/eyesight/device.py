"""Where and how the arithmetic runs: device, precision, threads, memory.

In: what the user asked for ("auto" or a name). Out: what this machine will use. `auto` decides once, from the CPU's
flags and a test of its results; the answer is saved with the run. It knows nothing of networks or data.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F

from .errors import UsageError

Precision = Literal["fp32", "bf16"]

_process = os.getpid()  # that has torch's threads; in one forked off it they are gone, see `_fork`

_BF16_TOLERANCE = 0.02  # relative norm; right kernels give 0.002 to 0.005, the wrong ones seen gave 0.5 and more


def choose_device(name: str) -> torch.device:
    """Return the device to use: `auto` is the first GPU if there is one, else the CPU.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=device).item()  # sums of losses are kept in float64
    except (RuntimeError, TypeError, AssertionError, NotImplementedError, AttributeError):
        raise UsageError(
            f"{name} is not usable with this machine and build of torch; try auto or cpu", field="device"
        ) from None
    return device


def choose_precision(name: str, device: torch.device) -> Precision:
    """Return the number format for convolutions and dense layers; weights stay float32 in any case.

    `auto` takes bf16 where the hardware has it and its results here agree with float32, else fp32.
    """
    if name == "fp32":
        return "fp32"
    if name == "bf16":
        return "bf16"
    if name != "auto":
        raise UsageError(f"expected auto, fp32 or bf16; received: {name!r}", field="precision")
    return "bf16" if _has_fast_bf16(device) and bf16_is_right(device) else "fp32"


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):  # older, or told to be (ATEN_CPU_CAPABILITY)
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@functools.cache
def bf16_is_right(device: torch.device) -> bool:
    """Compare small bf16 convolutions and dense layers, forward and backward, with float32; takes about 20 ms."""
    generator = torch.Generator().manual_seed(0)
    for n, channels, side, out in ((1, 1, 28, 6), (32, 3, 32, 32), (32, 32, 15, 64), (5, 64, 7, 64)):
        x = torch.randn(n, channels, side, side, generator=generator).contiguous(memory_format=torch.channels_last)
        w = torch.randn(out, channels, 3, 3, generator=generator) / (3 * channels**0.5)
        v = torch.randn(10, out * side * side, generator=generator) / (out**0.5 * side)
        results = []
        for dtype in (torch.float32, torch.bfloat16):
            leaves = [t.to(device, dtype).requires_grad_() for t in (x, w, v)]
            y = F.linear(F.conv2d(leaves[0], leaves[1], padding=1).flatten(1), leaves[2])
            # a fixed direction, the same for both, so that rounding of y does not enter the gradients
            direction = torch.arange(y.numel(), device=device).reshape(y.shape).remainder(7).sub(3)
            results.append(
                [t.detach().float() for t in (y, *torch.autograd.grad((y * direction).float().sum(), leaves))]
            )
        for exact, rounded in zip(*results, strict=True):
            if not float((exact - rounded).norm()) <= _BF16_TOLERANCE * float(exact.norm()):
                return False
    return True


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which a network computes at this precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def input_dtype(precision: Precision) -> torch.dtype:
    """Return the type of the numbers handed to a network."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


@functools.cache
def keep_freed_memory() -> bool:
    """Make the C library keep freed blocks for the next step instead of returning them to the system.

    Training frees and asks for the same large blocks at every step; giving them back costs a page fault for every
    4 KiB. Affects this process until it ends; only with glibc, elsewhere nothing happens. MALLOC_… variables that the
    user set are respected.

    Returns:
        Whether the setting was made.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    m_trim_threshold, m_top_pad, m_mmap_threshold = -1, -2, -3  # malloc.h
    settings = ((m_mmap_threshold, 1 << 30), (m_trim_threshold, (1 << 31) - 1), (m_top_pad, 16 << 20))
    return all(mallopt(name, value) == 1 for name, value in settings)


@contextlib.contextmanager
def threads(asked: object = "auto") -> Iterator[None]:
    """Let torch compute with so many CPU threads inside this context; as many as it has where no number is asked for.

    Whatever happened inside, it has as many as before afterwards.
    """
    before = torch.get_num_threads()
    try:
        if isinstance(asked, int):
            set_threads(asked)
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def set_threads(count: int) -> None:
    """Let torch compute with so many CPU threads; with one in a process that was forked off."""
    torch.set_num_threads(1 if is_forked() else count)


def is_forked() -> bool:
    """Tell whether this process was forked off one that had torch, and so can only use one of torch's threads."""
    return os.getpid() != _process


def _fork() -> None:
    """Go on with one thread in a forked child: OpenMP would wait for ever for threads that only the parent has."""
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_fork)


@contextlib.contextmanager
def torch_defaults() -> Iterator[None]:
    """Let torch compute inside this context as it does when it starts, whatever the program around it has set.

    That is: float32 on the CPU, with gradients, and no autocast but our own. Afterwards all is as it was before.
    """
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.callback(torch.set_default_dtype, dtype)
        torch.set_default_dtype(torch.float32)
        yield


def set_first_threads(asked: int | str | Sequence[tuple[int, int]]) -> int:
    """Let torch have the threads that a training prepares itself with; return how many it had.

    One where it chooses them itself, which is what its first updates are made with: first weights can depend on it.
    """
    available = torch.get_num_threads()
    if isinstance(asked, int):
        set_threads(asked)
    else:
        set_threads(1 if isinstance(asked, str) else asked[0][1])
    return available


def synchronise(device: str | torch.device) -> None:
    """Wait until a device has done what it was given; a CPU always has."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


@contextlib.contextmanager
def repeatable(device: torch.device, wanted: bool) -> Iterator[None]:
    """Make a GPU compute the same numbers every time, inside this context; the settings of before come back.

    Slower kernels are taken, and an operation that has none that repeats is an error. A CPU's results repeat anyway.
    """
    if not wanted or device.type == "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS when it first starts
    try:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark

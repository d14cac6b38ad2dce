"""Many picture files at once, decoded in all cores and written to where they belong.

In: paths, a size, the files that pixels go to. Out: for every path what was read of it, or why it is no picture. It
knows nothing of what is kept of earlier times.

Each worker is given `Job`s: some paths, and the rows of a file that their pixels are written to, so that pixels never
pass from one process to another. For many files the workers are processes, as most of the work on a small picture is
Python's; for few they are threads, which need no time to start. A process is another `python -m` of this module, which
neither runs the user's program again, as multiprocessing's would, nor shares anything with this one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from zlib_ng import zlib_ng

from ..environment import available_cores
from ..pictures.ahead import read_or_reason
from ..pictures.preprocess import Pixels, Preprocessing

Resize = Literal["crop", "pad", "stretch"]

CHANNELS: Final = 3
KINDS = ("", "PNG", "JPEG", "GIF", "BMP", "WEBP")  # of files that are often named as another; "" for all others

_HELD = 64 << 20  # bytes; a larger file is hashed piece by piece
_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a named pipe would wait for somebody to write to it
_READY = b"ready\n"
_TOGETHER = (16, 128)  # files that are worth asking for at a time; of a process
_MANY = 2_000  # files, from which on processes are worth the half a second that they take to start


class Job(NamedTuple):
    """Files for one worker.

    Attributes:
        file: what their pixels are written to.
        row: in it, of the first of them.
        paths: of the files.
    """

    file: str
    row: int
    paths: Sequence[str]


class Read(NamedTuple):
    """What was read of one file.

    Attributes:
        size, changed: of the file, in bytes and nanoseconds.
        digest: SHA-256 of its bytes, in hexadecimal.
        checksum: CRC-32 of its pixels.
        grey: whether all its pixels are.
        kind: index into `KINDS`.
    """

    size: int
    changed: int
    digest: str
    checksum: int
    grey: bool
    kind: int


Result = Read | str  # or why a file is no picture


class Decoder:
    """Workers that decode; a context, at whose end they have stopped.

    Args:
        side: of the square that pictures are brought to, in pixels.
        resize: how.
        files: about how many there will be.

    Attributes:
        workers: how many there are.
        together: files that a job should have at most.
    """

    def __init__(self, side: int, resize: Resize, *, files: int) -> None:
        self.side, self.resize = side, resize
        self.workers = available_cores()
        self.together = _TOGETHER[files >= _MANY]
        self._apart = files >= _MANY and self.workers > 1 and bool(sys.executable)
        self._own = threading.local()
        self._processes: list[_Process] = []
        self._stopped = threading.Event()  # a break then waits for a picture, not for all that a thread was given
        self._preprocessing = preprocessing_for(side, resize)
        self._running = deque[tuple[Job, Future[list[Result]]]]()

    def __enter__(self) -> Decoder:
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
        for process in self._processes:
            process.close()

    def decode(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, list[Result]]]:
        """Yield jobs in their order, each with its results.

        Raises:
            OSError: pixels cannot be written.
        """
        left = iter(jobs)
        while True:
            while len(self._running) < 3 * self.workers and (job := next(left, None)) is not None:
                self._running.append((job, self._pool.submit(self._work, job)))
            if not self._running:
                return
            job, future = self._running[0]
            results = future.result()
            self._running.popleft()
            yield job, results

    def stop(self) -> Iterator[tuple[Job, list[Result]]]:
        """End early, and yield what has been done by then and was not yielded yet."""
        self._stopped.set()
        for _, future in self._running:
            future.cancel()
        for job, future in self._running:
            with contextlib.suppress(Exception):  # what led here is the one to tell
                if not future.cancelled():
                    yield job, future.result()
        self._running.clear()

    def _work(self, job: Job) -> list[Result]:
        process = self._process() if self._apart else None
        if process is None:
            return decode_job(job, self._preprocessing, self._stopped)
        try:
            return process.ask(job)
        except (EOFError, BrokenPipeError):  # a decoder that crashed, or a system that is out of memory
            self._own.process = None
            self._processes.remove(process)
            process.close()
            if len(job.paths) == 1:
                return ["the decoder crashed on it"]
            parts = (Job(job.file, job.row + i, [path]) for i, path in enumerate(job.paths))
            return [result for part in parts if not self._stopped.is_set() for result in self._work(part)]

    def _process(self) -> _Process | None:
        """Return the process of this thread; None where none can be started."""
        process: _Process | None = getattr(self._own, "process", None)
        if process is None:
            try:
                process = self._own.process = _Process(self.side, self.resize)
            except OSError:
                self._apart = False
                return None
            self._processes.append(process)
        return process


class _Process:
    """A worker of its own, asked in lines of JSON.

    Raises:
        OSError: it does not start.
    """

    def __init__(self, side: int, resize: Resize) -> None:
        package = str(Path(__file__).parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(side), resize],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is for the process that asks
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != _READY:
            self.close()
            raise OSError(errno.ECHILD, "no decoder could be started")

    def ask(self, job: Job) -> list[Result]:
        """Have a job done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer.endswith(b"\n"):
            raise EOFError
        results = json.loads(answer)
        if isinstance(results, dict):
            raise OSError(results["errno"], results["text"], job.file)
        return [result if isinstance(result, str) else Read(*result) for result in results]

    def close(self) -> None:
        """End it."""
        self._process.kill()  # it has nothing to lose, and what it is still at is not wanted
        with contextlib.suppress(OSError):
            self._process.communicate()


def preprocessing_for(side: int, resize: Resize) -> Preprocessing:
    """Return how pictures come to be squares in color."""
    return Preprocessing(
        height=side, width=side, channels=CHANNELS, fit=resize, mean=(0,) * CHANNELS, std=(1,) * CHANNELS
    )


def decode_job(job: Job, preprocessing: Preprocessing, stopped: threading.Event | None = None) -> list[Result]:
    """Decode files and write their pixels; where `stopped` is set meanwhile, of the first of them only.

    Raises:
        OSError: pixels cannot be written.
    """
    pixels = np.zeros((len(job.paths), *preprocessing.shape), np.uint8)
    results = list[Result]()
    for path, row in zip(job.paths, pixels, strict=True):
        if stopped is not None and stopped.is_set():
            break
        results.append(decode_file(path, preprocessing, row))
    handle = os.open(job.file, os.O_WRONLY)
    try:
        _write(handle, pixels[: len(results)], job.row * pixels[0].nbytes)
    finally:
        os.close(handle)
    return results


def decode_file(path: str, preprocessing: Preprocessing, out: Pixels) -> Result:
    """Decode one file into `out`, uint8 (H, W, 3), which stays as it is where that cannot be done."""
    try:
        handle = os.open(path, _READING)
        try:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                return "not a file"
            data, digest = _contents(handle, about.st_size)
        finally:
            os.close(handle)
    except OSError as error:
        return reason_of(error, path)
    pixels = read_or_reason(data if len(data) == about.st_size else Path(path), preprocessing)
    if isinstance(pixels, str):
        return pixels
    out[...] = pixels
    return Read(about.st_size, about.st_mtime_ns, digest, zlib_ng.crc32(out), _is_grey(out), _kind(data))


def _contents(handle: int, size: int) -> tuple[bytes, str]:
    """Return what is in a file, of one that is too large only the beginning, and its SHA-256."""
    if size <= _HELD:
        data = os.read(handle, size)
        while len(data) < size and (more := os.read(handle, size - len(data))):  # as the system gives it in parts
            data += more
        return data, hashlib.sha256(data).hexdigest()
    digest, head = hashlib.sha256(), b""
    while part := os.read(handle, 1 << 20):
        digest.update(part)
        head = head or part
    return head, digest.hexdigest()


def digest_of(path: str) -> bytes | None:
    """Return the SHA-256 of what is in a file; None where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None


def reason_of(error: OSError, path: str) -> str:
    """Say why a file cannot be opened."""
    gone = error.errno == errno.ENOENT and os.path.lexists(path)
    other = error.errno in (errno.EISDIR, errno.ENXIO)  # a folder; a socket
    return "a link to nothing" if gone else "not a file" if other else (error.strerror or str(error)).lower()


def _is_grey(pixels: Pixels) -> bool:
    red, green, blue = pixels[len(pixels) // 2, len(pixels) // 2].tolist()
    if not red == green == blue:  # most are seen to be none by one pixel
        return False
    red, green, blue = (pixels[..., channel] for channel in range(CHANNELS))
    return bool((red == green).all()) and bool((green == blue).all())


def _kind(head: bytes) -> int:
    """Return which of `KINDS` a file is."""
    if head.startswith(b"\x89PNG"):
        return 1
    if head.startswith(b"\xff\xd8"):
        return 2
    if head.startswith(b"GIF8"):
        return 3
    if head.startswith(b"BM"):
        return 4
    return 5 if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else 0


def _write(handle: int, pixels: Pixels, place: int) -> None:
    """Write all of some pixels; not through a mapping, where a full disk would end the process."""
    left = pixels.reshape(-1).data
    while left:
        written = os.pwrite(handle, left, place)
        left, place = left[written:], place + written


def serve() -> None:
    """Do the jobs that come in lines of JSON, until there are no more."""
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    preprocessing = preprocessing_for(int(sys.argv[1]), sys.argv[2])  # type: ignore[arg-type]
    for line in sys.stdin.buffer:
        answer: object
        try:
            answer = decode_job(Job(*json.loads(line)), preprocessing)
        except OSError as error:
            answer = {"errno": error.errno, "text": error.strerror}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()

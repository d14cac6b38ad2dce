"""Features of pictures, computed once: what a pretrained network makes of them, kept in the user's cache.

In: a pretrained network, pictures that are known by what is in them. Out: features (N, F). Those of a picture that was
seen before are read, so that a second training starts in a second and ten new photos cost ten. It knows no classes.

A folder of the cache holds the features that one network makes. Each of its files is written whole and never changed:

    …-N.safetensors    keys: uint8 (n, 32); features: float32 (n, F)

so that an interruption costs the pictures since the last file, and several processes may add files at once.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import PIL

from ..backbones import body_weights, cached_file, describe_backbone
from ..data.cache import cache_folder
from ..data.dataset import Ints, Pixels, Split
from ..data.mapped import new_matrix, release
from ..data.photo_store import PhotoStore
from ..engine.features import Features
from ..environment import available_cores
from ..errors import FormatError
from ..formats import Arrays, read_tensors, write_tensors
from ..models.network import NetworkWeights
from ..pictures.ahead import read_or_reason
from ..pictures.preprocess import Preprocessing

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]  # pictures done, of how many whose features are not known yet

FORMAT: Final = "eyesight-features"
VERSION: Final = 1
_TOGETHER = 64  # pictures that are computed at a time: a signal waits for no more than these
_FILE = 512  # pictures in a file
_FILE_SECONDS = 5.0  # or as many as are computed in this time
_RELEASED = 16  # files that are read before what was filled may leave memory
_HASHED = 8 << 20  # bytes of pictures that are hashed at a time


class Pictures(Protocol):
    """Pictures of the size that a network takes, each known by a digest before it is read."""

    def digests(self) -> list[bytes]:
        """Return what tells each picture from others: (N) of 32 bytes."""

    def read(self, ids: Ints) -> tuple[Ints, Pixels]:
        """Return pictures uint8 (n, H, W, C), and which of `ids` they are; those that cannot be read are left out."""


@dataclass(frozen=True, eq=False)
class SplitPictures:
    """The pictures of a split."""

    split: Split

    def digests(self) -> list[bytes]:
        """Return digests of the files of photos, or of the pixels where there are no files."""
        store = self.split.store
        if isinstance(store, PhotoStore):
            return [digest.tobytes() for digest in store.digests[self.split.rows]]
        batches = self.split.batches(memory=_HASHED)
        return [hashlib.sha256(picture.tobytes()).digest() for batch in batches for picture in batch]

    def read(self, ids: Ints) -> tuple[Ints, Pixels]:
        """Return all the pictures that are asked for."""
        return ids, self.split.gather(ids)


class FilePictures:
    """Pictures in files, each read when it is asked for, in as many threads as there are cores.

    Args:
        paths: of the files.
        preprocessing: what a network expects of them.

    Attributes:
        reasons: why files could not be read, by path, as far as they were asked for.
    """

    def __init__(self, paths: Sequence[Path], preprocessing: Preprocessing) -> None:
        self.paths, self.preprocessing = paths, preprocessing
        self.reasons: dict[Path, str] = {}

    def digests(self) -> list[bytes]:
        """Return digests of the files' bytes; one that cannot be opened gets one of its name, and is never known."""
        with ThreadPoolExecutor(available_cores()) as pool:
            return list(pool.map(self._digest, self.paths))

    def read(self, ids: Ints) -> tuple[Ints, Pixels]:
        """Return those of the pictures that can be read."""
        with ThreadPoolExecutor(available_cores()) as pool:
            found = list(pool.map(self._read, [self.paths[i] for i in ids.tolist()]))
        good = [i for i, pixels in enumerate(found) if pixels is not None]
        none = np.empty((0, *self.preprocessing.shape), np.uint8)
        return ids[good], np.stack([pixels for pixels in found if pixels is not None]) if good else none

    def _digest(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError:
            return hashlib.sha256(f"unreadable {path}".encode("utf-8", "surrogateescape")).digest()

    def _read(self, path: Path) -> Pixels | None:
        found = read_or_reason(path, self.preprocessing)
        if isinstance(found, str):
            self.reasons[path] = found
            return None
        return found


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its last layer, ready to make features.

    Attributes:
        name: one of `backbones.BACKBONES`.
        features: the network at work.
        preprocessing: what it expects of pictures.
        weights: the whole network, with its last layer.
    """

    name: str
    features: Features
    preprocessing: Preprocessing
    weights: NetworkWeights

    @property
    def folder(self) -> Path:
        """Where its features are kept."""
        return cache_folder() / "features" / cached_file(self.name).stem

    def keys(self, digests: Sequence[bytes], *, mirror: bool) -> list[bytes]:
        """Return what the features of pictures are known by: the picture, how it is read, and which view of it."""
        how = f"{self.preprocessing.model_dump_json()} {PIL.__version__} {'mirror' if mirror else ''}".encode()
        return [hashlib.sha256(digest + how).digest() for digest in digests]


@dataclass(frozen=True)
class Embedded:
    """Features of pictures.

    Attributes:
        features: float32 (N, F); rows of pictures that could not be read are zero.
        computed: how many pictures were computed, rather than found in the cache.
        known: (N,) whether a row holds features.
        problems: of the cache, in words.
    """

    features: Floats
    computed: int
    known: npt.NDArray[np.bool_]
    problems: tuple[str, ...]


def open_backbone(
    name: str, *, channels: int = 3, fit: Literal["crop", "pad", "stretch"] = "crop", threads: int | None = None
) -> Backbone:
    """Return a pretrained network, ready to make features.

    Args:
        name: one of `backbones.BACKBONES`.
        channels: of the pictures.
        fit: how pictures of another size are brought to the one that it takes.
        threads: of the CPU, that compute; None for as many as the process may use.

    Raises:
        DataNotFoundError, FormatError: see `load_backbone`.
    """
    _, usual = describe_backbone(name)
    of_channels = {"channels": channels, "mean": usual.mean[:channels], "std": usual.std[:channels]}
    preprocessing = usual.model_copy(update={"fit": fit, **of_channels})
    weights = body_weights(name, channels=channels)
    return Backbone(name, Features(weights, preprocessing, threads=threads), preprocessing, weights)


def embed(
    backbone: Backbone, pictures: Pictures, *, mirror: bool = False, progress: Progress | None = None
) -> Embedded:
    """Return the features of pictures, or of their mirror images; what is computed is kept.

    Args:
        backbone: what makes them.
        pictures: whose they are.
        mirror: whether the network sees each picture mirrored left to right.
        progress: called after every few pictures; what it raises ends the work, and nothing that was computed is lost.
    """
    keys = backbone.keys(pictures.digests(), mirror=mirror)
    cache = _Cache(backbone.folder, backbone.features.width)
    found = new_matrix(len(keys), backbone.features.width, cache_folder())
    known = cache.fill(keys, found)
    wanted = np.flatnonzero(~known)
    done = 0
    try:
        for part, (ids, pixels) in _ahead(pictures, np.split(wanted, range(_TOGETHER, len(wanted), _TOGETHER))):
            if len(ids):
                found[ids] = backbone.features.of(pixels[:, :, ::-1] if mirror else pixels)
                known[ids] = True
                cache.add([keys[i] for i in ids.tolist()], found[ids])
            done += len(part)
            if done % _FILE == 0:
                release(found)
            if progress is not None and len(part):
                progress(done, len(wanted))
    finally:
        cache.flush()
        release(found)
    return Embedded(found, int(known[wanted].sum()), known, tuple(cache.problems))


def _ahead(pictures: Pictures, parts: Sequence[Ints]) -> Iterator[tuple[Ints, tuple[Ints, Pixels]]]:
    """Yield parts with their pictures, each of which is read while the one before is computed."""
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        coming = reader.submit(pictures.read, parts[0])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            read = coming.result()
            if following is not None:
                coming = reader.submit(pictures.read, following)
            yield part, read


class _Cache:
    """The files of features in one folder."""

    def __init__(self, folder: Path, width: int) -> None:
        self.folder, self.width = folder, width
        self.problems: list[str] = []
        self._keys: list[bytes] = []
        self._rows: list[Floats] = []
        self._since = time.monotonic()

    def fill(self, keys: Sequence[bytes], out: Floats) -> npt.NDArray[np.bool_]:
        """Put the features that are there into `out`, and return of which pictures they are: (N,)."""
        places: dict[bytes, list[int]] = {}
        for i, key in enumerate(keys):
            places.setdefault(key, []).append(i)
        known = np.zeros(len(keys), np.bool_)
        for number, (own, rows) in enumerate(self._files()):
            for j, key in enumerate(own):
                if (wanted := places.get(key)) is not None:
                    out[wanted] = rows[j]
                    known[wanted] = True
            if number % _RELEASED == 0:
                release(out)
        return known

    def _files(self) -> Iterator[tuple[list[bytes], Floats]]:
        """Yield keys and features of every file; a damaged one is removed, and its pictures are computed again."""
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                arrays, about, _ = read_tensors(path)
                keys, rows = arrays["keys"], arrays["features"]
                if (about.get("format"), about.get("version")) != (FORMAT, VERSION):
                    raise FormatError(f"{path}: not a file of features of this version")
                if keys.shape != (len(rows), 32) or rows.shape[1:] != (self.width,) or rows.dtype != np.float32:
                    raise FormatError(f"{path}: its keys and features do not fit together")
            except (FormatError, KeyError, IndexError) as error:
                self.problems.append(f"{error}; its features are computed again")
                path.unlink(missing_ok=True)
                continue
            yield [key.tobytes() for key in keys], rows

    def add(self, keys: list[bytes], rows: Floats) -> None:
        """Keep features; on the disk when there are enough of them, or after some time."""
        self._keys += keys
        self._rows.append(rows)
        if len(self._keys) >= _FILE or time.monotonic() - self._since > _FILE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is not on the disk yet; where that fails, training goes on without."""
        self._since = time.monotonic()
        if not self._keys:
            return
        keys = np.frombuffer(b"".join(self._keys), np.uint8).reshape(-1, 32)
        name = f"{hashlib.sha256(keys.tobytes()).hexdigest()[:12]}-{secrets.token_hex(4)}.safetensors"
        arrays: Arrays = {"keys": keys, "features": np.concatenate(self._rows)}
        self._keys, self._rows = [], []
        try:
            write_tensors(self.folder / name, arrays, {"format": FORMAT, "version": VERSION})
        except OSError as error:
            self.problems.append(f"{self.folder}: features cannot be kept for the next time ({error.strerror})")

"""Which pictures show the same: copies, copies that were changed a little, and other views of one scene.

In: thumbnails, shapes, digests and features of pictures. Out: pairs, and groups of pictures that hang together. It
reads no file and knows no labels.

What might be a copy is found by correlation of coarse thumbnails, as they are and mirrored, and by features. What is
one is decided by laying one thumbnail over the other, moved and scaled until they fit best (Lucas and Kanade), with
brightness and contrast free: a copy then agrees nearly pixel by pixel, and two photos of one class do not.

Letters: N pictures, P pairs, F features.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..pictures.preprocess import Pixels

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
How = Literal["same file", "same pixels", "changed", "mirrored", "scene"]

SIDE = 48  # pixels of a thumbnail, which two pictures are compared by

# Measured by benchmarks/check.py on hymenoptera. Of copies, whatever was done to them, the least is 0.94 and 0.73; of
# two photos of its own the most is 0.91, with 0.31 of detail.
LIKE_COARSE = 0.7  # correlation of coarse thumbnails from which on two pictures are laid over each other
LIKE_FEATURES = 0.55  # cosine of features from which on they are
SAME, SAME_DETAIL = 0.9, 0.6  # correlation of thumbnails that fit, and of their fine detail: a copy
SCENE = 0.72  # cosine of features: perhaps another view of one scene
_CROP = 0.16  # by which a copy may be larger or smaller, or of another shape
_FLAT = 4.0  # grey levels of contrast below which a thumbnail shows nothing to compare
_BLOCK = 2048  # pictures compared with all others at a time
_TOGETHER = 256  # pairs laid over each other at a time
_COARSE = 12  # pixels a side
_MOST = 50  # others that a picture is laid over: a set of a thousand like pictures shall not take a day
_ROUNDS = 8  # of moving


@dataclass(frozen=True)
class Pair:
    """Two pictures that show the same.

    Attributes:
        first, second: their numbers, the lower one first.
        how: the same file byte by byte; the same pixels; changed a little (saved anew, resized, cropped, brighter);
            mirrored, and perhaps changed; or another view of one scene.
        likeness: correlation or cosine, 1 for the same.
    """

    first: int
    second: int
    how: How
    likeness: float


def find_pairs(
    digests: Sequence[str],
    pixels: Sequence[str],
    thumbnails: Pixels,
    shapes: Floats,
    features: Floats | None,
) -> list[Pair]:
    """Return the pairs of pictures that show the same.

    Args:
        digests, pixels: (N) of files, and of what they show.
        thumbnails: (N, S, S) grey; none for copies alone.
        shapes: (N,) width divided by height.
        features: (N, F); None for none.
    """
    pairs = [*_equal(digests, "same file")]
    known = {(pair.first, pair.second) for pair in pairs}
    pairs += [pair for pair in _equal(pixels, "same pixels") if (pair.first, pair.second) not in known]
    known |= {(pair.first, pair.second) for pair in pairs}
    if not len(thumbnails):
        return pairs
    cosines, found = _candidates(thumbnails, shapes, features)
    found = np.array([pair for pair in found.tolist() if tuple(pair) not in known], np.int64).reshape(-1, 2)
    straight = fits(thumbnails[found[:, 0]], thumbnails[found[:, 1]])
    turned = np.zeros_like(straight)
    rest = found[straight == 0]
    turned[straight == 0] = fits(thumbnails[rest[:, 0]], thumbnails[rest[:, 1], :, ::-1])
    for (i, j), direct, mirrored in zip(found.tolist(), straight.tolist(), turned.tolist(), strict=True):
        if max(direct, mirrored) > 0:
            pairs.append(Pair(i, j, "changed" if direct >= mirrored else "mirrored", max(direct, mirrored)))
        elif (cosine := cosines.get((i, j), 0.0)) >= SCENE:
            pairs.append(Pair(i, j, "scene", cosine))
    return pairs


def group(pairs: Iterable[Pair], count: int) -> list[list[int]]:
    """Return the pictures that hang together by pairs, as ascending lists of two or more.

    >>> group([Pair(0, 2, "scene", 0.9), Pair(2, 3, "changed", 0.99)], 5)
    [[0, 2, 3]]
    """
    parents = list(range(count))

    def top(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    for pair in pairs:
        low, high = sorted((top(pair.first), top(pair.second)))
        parents[high] = low
    members = defaultdict[int, list[int]](list)
    for i in range(count):
        members[top(i)].append(i)
    return [found for found in members.values() if len(found) > 1]


def _equal(values: Sequence[str], how: How) -> Iterator[Pair]:
    """Yield each later picture that equals an earlier one, with the first of them."""
    first: dict[str, int] = {}
    for i, value in enumerate(values):
        if (earlier := first.setdefault(value, i)) != i:
            yield Pair(earlier, i, how, 1.0)


def _candidates(
    thumbnails: Pixels, shapes: Floats, features: Floats | None
) -> tuple[dict[tuple[int, int], float], Ints]:
    """Return the cosines of pairs that may show one scene, and all pairs (P, 2) that are to be looked at closely."""
    count, side = thumbnails.shape[:2]
    means = thumbnails.reshape(count, _COARSE, side // _COARSE, _COARSE, side // _COARSE).mean(axis=(2, 4))
    coarse, turned = _normalised(means.reshape(count, -1)), _normalised(means[:, :, ::-1].reshape(count, -1))
    # what all pictures have in common says nothing of two of them
    unit = None if features is None else _normalised(features - features.mean(axis=0))
    shows = thumbnails.reshape(count, -1).std(axis=1) >= _FLAT
    cosines: dict[tuple[int, int], float] = {}
    parts = [np.empty((0, 2), np.int64)]
    for start in range(0, count, _BLOCK):
        block = slice(start, min(start + _BLOCK, count))
        later = np.arange(count)[None] > np.arange(block.start, block.stop)[:, None]
        later &= shows[block, None] & shows[None]
        near = np.abs(np.log(shapes[block, None] / shapes[None])) <= _CROP
        likeness = np.maximum(coarse[block] @ coarse.T, coarse[block] @ turned.T) - LIKE_COARSE
        likeness[~near] = -1
        if unit is not None:
            cosine = unit[block] @ unit.T
            likeness = np.maximum(likeness, np.where(near, cosine - LIKE_FEATURES, cosine - SCENE))
            rows, columns = np.nonzero(later & (cosine >= SCENE))
            places = zip((rows + start).tolist(), columns.tolist(), strict=True)
            cosines |= dict(zip(places, cosine[rows, columns].tolist(), strict=True))
        likeness[~later] = -1
        if count > _MOST:
            least = np.partition(likeness, count - _MOST, axis=1)[:, count - _MOST, None]
            likeness[likeness < least] = -1
        rows, columns = np.nonzero(likeness >= 0)
        parts.append(np.stack([rows + start, columns], axis=1))
    return cosines, np.concatenate(parts)


def _normalised(values: npt.NDArray[np.floating]) -> Floats:
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9), np.float32)


def fits(first: Pixels, second: Pixels) -> Floats:
    """Return how well thumbnails agree once one is laid over the other: correlations (P,), 0 where they are no copies.

    Args:
        first, second: uint8 (P, S, S).
    """
    parts = [
        _fit(first[start : start + _TOGETHER].astype(np.float32), second[start : start + _TOGETHER].astype(np.float32))
        for start in range(0, len(first), _TOGETHER)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _fit(moving: Floats, fixed: Floats) -> Floats:
    """Move and scale pictures until they agree best with others, and return how well.

    Gauss-Newton on scale and shift in x and y, gain and offset: first on small pictures, which forgive larger shifts.
    """
    place = np.tile(np.array([1, 1, 0, 0], np.float32), (len(moving), 1))  # scale x, scale y, shift x, shift y
    moving, fixed = _smooth(moving), _smooth(fixed)
    result, left = np.zeros(len(moving), np.float32), np.arange(len(moving))
    for factor, least in ((4, LIKE_COARSE), (2, SAME - 0.1), (1, SAME)):
        a, b = _shrink(moving[left], factor), _shrink(fixed[left], factor)
        for _ in range(_ROUNDS):
            place = _step(a, b, place)
        agreement = _agreement(a, b, place)
        good = agreement >= least  # most pairs are no copies, which a small picture tells as well
        left, place, agreement = left[good], place[good], agreement[good]
        if not len(left):
            return result
    detail = _agreement(_detail(moving[left]), _detail(fixed[left]), place)
    result[left] = np.where(detail >= SAME_DETAIL, agreement, np.float32(0))
    return result


def _detail(pictures: Floats) -> Floats:
    """Return what is finer than about four pixels: a subject before a white wall is like any other without it."""
    return np.asarray(pictures - _smooth(_smooth(_smooth(pictures))), np.float32)


def _shrink(pictures: Floats, factor: int) -> Floats:
    pairs, side = pictures.shape[0], pictures.shape[1] // factor
    return np.asarray(pictures.reshape(pairs, side, factor, side, factor).mean(axis=(2, 4)), np.float32)


def _smooth(pictures: Floats) -> Floats:
    """Return pictures blurred by 1-2-1, which takes away what resizing and JPEG change most."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), "edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16, np.float32)


def _sample(pictures: Floats, place: Floats) -> tuple[Floats, npt.NDArray[np.bool_], Floats, Floats]:
    """Return pictures (P, S, S) as seen through moved windows, where they have pixels, and the grids u, v (-1 to 1)."""
    pairs, side = pictures.shape[:2]
    line = ((np.arange(side, dtype=np.float32) + 0.5) / side) * 2 - 1
    x = (place[:, 0, None] * line + place[:, 2, None] + 1) * side / 2 - 0.5  # (P, S) columns
    y = (place[:, 1, None] * line + place[:, 3, None] + 1) * side / 2 - 0.5
    inside = ((y >= 0) & (y <= side - 1))[:, :, None] & ((x >= 0) & (x <= side - 1))[:, None, :]
    left, top = (np.clip(np.floor(z), 0, side - 2).astype(np.int64) for z in (x, y))
    right_share, low_share = np.clip(x - left, 0, 1)[:, None, :], np.clip(y - top, 0, 1)[:, :, None]
    which = np.arange(pairs)[:, None, None]
    rows, columns = top[:, :, None], left[:, None, :]
    upper = pictures[which, rows, columns] * (1 - right_share) + pictures[which, rows, columns + 1] * right_share
    lower = (
        pictures[which, rows + 1, columns] * (1 - right_share) + pictures[which, rows + 1, columns + 1] * right_share
    )
    return upper * (1 - low_share) + lower * low_share, inside, line[None, None, :], line[None, :, None]


def _step(moving: Floats, fixed: Floats, place: Floats) -> Floats:
    """Return places one step nearer to where pictures agree."""
    pairs, side = moving.shape[:2]
    seen, inside, u, v = _sample(moving, place)
    slope_y, slope_x = np.gradient(seen, axis=(1, 2))
    slope_x, slope_y = slope_x * side / 2, slope_y * side / 2
    # the slopes are those of what is seen; d seen / d u is the slope of the picture times the scale, near 1
    ones = np.ones_like(seen)
    columns = np.stack([slope_x * u, slope_y * v, slope_x, slope_y, -fixed, ones], axis=-1) * inside[..., None]
    matrix = columns.reshape(pairs, -1, 6)
    wanted = -(seen * inside).reshape(pairs, -1, 1)
    square = matrix.transpose(0, 2, 1) @ matrix
    diagonal = np.einsum("pii->pi", square)
    damped = square + 1e-3 * np.eye(6, dtype=np.float32) * np.maximum(diagonal.mean(axis=1), 1e-6)[:, None, None] * 1e-3
    change = np.linalg.solve(damped.astype(np.float64), (matrix.transpose(0, 2, 1) @ wanted).astype(np.float64))
    moved = place + np.clip(change[:, :4, 0], -0.1, 0.1).astype(np.float32)
    usual = np.array([1, 1, 0, 0], np.float32)
    return np.asarray(np.clip(moved, usual - _CROP, usual + _CROP))


def _agreement(moving: Floats, fixed: Floats, place: Floats) -> Floats:
    """Return the correlation of each pair where they overlap."""
    seen, inside, _, _ = _sample(moving, place)
    number = np.maximum(inside.sum(axis=(1, 2)), 1)

    def centred(values: Floats) -> Floats:
        mean = (values * inside).sum(axis=(1, 2)) / number
        return np.asarray((values - mean[:, None, None]) * inside)

    a, b = centred(seen), centred(fixed)
    scale = np.sqrt(np.square(a).sum(axis=(1, 2)) * np.square(b).sum(axis=(1, 2)))
    return np.asarray((a * b).sum(axis=(1, 2)) / np.maximum(scale, 1e-6), np.float32)

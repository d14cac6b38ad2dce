"""How many photos a second get features, decoding included, against ONNX Runtime alone.

    python benchmarks/features.py FOLDER [--backbone efficientnet-lite0] [--photos 400] [--repeats 3] [--json FILE]

In one run, by turns, in this process, all cores:

    onnxruntime   the same graph on arrays that are decoded already
    files         `training.features.embed` of files: hashed, decoded, cropped to 224, computed and kept
    cached        the same of photos that lie decoded in the cache, as `eyesight train` has them

Exit code 1 where files are below 100 photos a second and below 85 % of ONNX Runtime's own rate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import machine

LEAST, SHARE = 100.0, 0.85  # photos a second; of ONNX Runtime's rate


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(folder: Path, name: str, most: int, repeats: int) -> dict[str, Any]:
    """Measure by turns."""
    from eyesight.data.cache import decode_all
    from eyesight.pictures.sources import picture_files
    from eyesight.training.features import FilePictures, embed, open_backbone

    backbone = open_backbone(name)
    paths = picture_files([str(folder)])[:most]
    source = FilePictures(paths, backbone.preprocessing)
    ids, pixels = source.read(np.arange(len(paths)))
    side = backbone.preprocessing.height

    class Stored:
        """Photos as the cache has them."""

        def __init__(self) -> None:
            self.found = decode_all(folder, sorted(map(str, paths)), side=side, resize="crop")

        def digests(self) -> list[bytes]:
            return [digest.tobytes() for digest in self.found.known.digests]

        def read(self, ids: Any) -> Any:
            return ids, self.found.records.take(self.found.known.rows[ids])

    backbone.features.of(pixels[:64])
    seconds: dict[str, list[float]] = {"onnxruntime": [], "files": [], "cached": []}
    for _ in range(repeats):
        seconds["onnxruntime"].append(seconds_of(lambda: backbone.features.of(pixels)))
        for what, pictures in (("files", source), ("cached", Stored())):
            with tempfile.TemporaryDirectory() as cache:
                os.environ["EYESIGHT_CACHE"] = cache
                seconds[what].append(seconds_of(lambda pictures=pictures: embed(backbone, pictures)))
    rates = {what: len(ids) / statistics.median(values) for what, values in seconds.items()}
    pairs = zip(seconds["onnxruntime"], seconds["files"], strict=True)
    share = statistics.median(bare / ours for bare, ours in pairs)
    return {"backbone": name, "photos": len(ids), "seconds": seconds, "rates": rates, "share": share}


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    about = machine.announce()
    from eyesight.backbones import load_backbone

    load_backbone(arguments.backbone)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["EYESIGHT_CACHE"] = cache
        found = measure(arguments.folder, arguments.backbone, arguments.photos, arguments.repeats)
    rates = ", ".join(f"{what} {rate:.1f}/s" for what, rate in found["rates"].items())
    print(f"{found['backbone']}, {found['photos']} photos: {rates}; files at {found['share']:.0%} of onnxruntime")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": about, "result": found}, indent=2), encoding="utf-8")
    return int(found["rates"]["files"] < LEAST and found["share"] < SHARE)


if __name__ == "__main__":
    sys.exit(main())

"""What `eyesight data check` finds of faults that were planted in photos, and what it finds in the photos themselves.

    python benchmarks/check.py [--data FOLDER] [--seeds 3] [--copies 100] [--backbone efficientnet-lite0] [--json FILE]

FOLDER holds photos of two classes or more; hymenoptera (397 photos of ants and bees) if not given. Once: the
photos as they are, where every group of copies is listed to be looked at. Then for each seed: `--copies`
photos drawn by chance, and of each six copies: saved anew (JPEG quality 60), resized (half the sides),
cropped by 5 % (of both sides, at a place drawn by chance; and 5 % off every edge), brightened (by 1.3) and
mirrored. Recall: share of the copies that are put into one group with their original. Precision: share of the
pairs in groups of copies that come from one photo. Then 5 % of the labels swapped: share of those ranked in
the top 5 % that are swapped ones; and faulty files and pictures: cut, empty, dark, of one colour, blurred.

Exit code 1 where recall of the first three falls below 95 %, precision on the photos themselves or with copies below
98 %, or fewer than half of the top 5 % are swapped labels.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

import eyesight
from eyesight.quality.check import Check

CHANGES: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "saved anew": lambda picture, _: picture,
    "resized": lambda picture, _: picture.resize((max(1, picture.width // 2), max(1, picture.height // 2))),
    "cropped 5 %": lambda picture, rng: crop(picture, rng.random(), rng.random()),
    "cropped 5 % an edge": lambda picture, _: ImageOps.crop(picture, min(picture.size) // 20),
    "brightened": lambda picture, _: ImageEnhance.Brightness(picture).enhance(1.3),
    "mirrored": lambda picture, _: ImageOps.mirror(picture),
}  # fmt: skip
REQUIRED = ("saved anew", "resized", "cropped 5 %")
RECALL, PRECISION, RANKED = 0.95, 0.98, 0.5
SWAPPED = 0.05


def crop(picture: Image.Image, across: float, down: float) -> Image.Image:
    """Return a picture of 95 % of the sides."""
    width, height = round(0.95 * picture.width), round(0.95 * picture.height)
    left, top = int(across * (picture.width - width)), int(down * (picture.height - height))
    return picture.crop((left, top, left + width, top + height))


def copy_groups(check: Check) -> list[list[str]]:
    """Return the groups of copies, as ids."""
    kinds = ("copy", "leak", "contradiction")
    return [[check.collection.items[i].id for i in f.pictures] for f in check.findings if f.kind in kinds]


def plant_copies(source: Path, target: Path, count: int, seed: int) -> dict[str, tuple[str, str]]:
    """Copy the photos, and add changed copies; return original and change by the id of the copy."""
    shutil.copytree(source, target)
    rng = random.Random(seed)
    planted = {}
    for path in rng.sample(sorted(path for path in target.rglob("*") if path.is_file()), count):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        for number, (name, change) in enumerate(CHANGES.items()):
            copy = path.with_name(f"{path.stem}-copy{number}.jpg")
            change(picture, rng).save(copy, quality=60 if name == "saved anew" else 90)
            planted[copy.relative_to(target).as_posix()] = path.relative_to(target).as_posix(), name
    return planted


def measure_copies(source: Path, folder: Path, count: int, seed: int, backbone: str) -> dict[str, float]:
    """Return recall by change, and precision over all."""
    planted = plant_copies(source, folder / "copies", count, seed)
    group_of = {}
    right = total = 0
    for number, group in enumerate(copy_groups(eyesight.check_data(folder / "copies", backbone=backbone))):
        origins = [planted[id_][0] if id_ in planted else id_ for id_ in group]
        group_of |= dict.fromkeys(group, number)
        pairs = [a == b for i, a in enumerate(origins) for b in origins[:i]]
        right, total = right + sum(pairs), total + len(pairs)
    found = defaultdict[str, list[bool]](list)
    for id_, (origin, name) in planted.items():
        found[name].append(id_ in group_of and group_of[id_] == group_of.get(origin))
    return {name: statistics.mean(hits) for name, hits in found.items()} | {"precision": right / max(total, 1)}


def measure_labels(source: Path, folder: Path, seed: int, backbone: str) -> dict[str, float]:
    """Swap labels; return what share of the top are swapped ones, and what share of those called likely wrong."""
    rng = random.Random(seed)
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    classes = sorted({path.parent.name for path in paths})
    swapped = set(rng.sample(paths, round(SWAPPED * len(paths))))
    table = folder / "swapped.csv"
    lines = ["image,label"]
    for path in paths:
        label = path.parent.name
        lines.append(f"{path},{rng.choice([name for name in classes if name != label]) if path in swapped else label}")
    table.write_text("\n".join(lines) + "\n")
    check = eyesight.check_data(table, backbone=backbone)
    order = [Path(check.collection.items[i].path) in swapped for i in check.ranked]
    likely = [Path(check.collection.items[f.pictures[0]].path) in swapped for f in check.of("label")]
    return {
        "swapped among the top 5 %": sum(order[: len(swapped)]) / len(swapped),
        "likely wrong, found": sum(likely) / len(swapped),
        "likely wrong, right": sum(likely) / max(len(likely), 1),
    }


def measure_files(source: Path, folder: Path, seed: int, backbone: str) -> dict[str, float]:
    """Spoil ten photos of each kind; return the share that is found as what it is."""
    target = folder / "spoiled"
    shutil.copytree(source, target)
    kinds = ("empty", "cut", "blank", "dark", "blurred")
    rng = random.Random(seed)
    paths = rng.sample(sorted(path for path in target.rglob("*.jpg")), 10 * len(kinds))
    spoiled = {path.relative_to(target).as_posix(): kinds[i % len(kinds)] for i, path in enumerate(paths)}
    for path, kind in zip(paths, spoiled.values(), strict=True):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        if kind == "empty":
            path.write_bytes(b"")
        elif kind == "cut":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        elif kind == "blank":
            Image.new("RGB", picture.size, tuple(rng.randrange(256) for _ in range(3))).save(path)
        elif kind == "dark":
            ImageEnhance.Brightness(picture).enhance(0.15).save(path)
        else:
            picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 125)).save(path)
    check = eyesight.check_data(target, backbone=backbone)
    wanted = {"empty": ("unreadable",), "cut": ("unreadable",), "dark": ("dark", "blank")}
    result = {}
    for kind in kinds:
        found = {
            check.collection.items[i].id
            for name in wanted.get(kind, (kind,))
            for finding in check.of(name)
            for i in finding.pictures
        }
        result[f"{kind}, found"] = sum(spoiled.get(id_) == kind for id_ in found) / 10
    return result


def print_rows(rows: list[dict[str, float]]) -> dict[str, float]:
    """Print mean and range of every figure; return the means."""
    means = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
    for name, mean in means.items():
        values = [row[name] for row in rows]
        print(f"  {name:<28} {mean:7.1%}   ({min(values):.1%} to {max(values):.1%}, n = {len(rows)})")
    return means


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "hymenoptera"
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    own = eyesight.check_data(asked.data, backbone=asked.backbone)
    counts = {kind: len(own.of(kind)) for kind in dict.fromkeys(f.kind for f in own.findings)}
    groups = copy_groups(own)
    print(f"{asked.data.name} as it is: {counts}, {len(groups)} groups of copies")
    for group in groups:
        print("  to be looked at:", " = ".join(group))
    rows = []
    for seed in range(asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(
                measure_copies(asked.data, Path(folder), asked.copies, seed, asked.backbone)
                | measure_labels(asked.data, Path(folder), seed, asked.backbone)
                | measure_files(asked.data, Path(folder), seed, asked.backbone)
            )
    print(f"planted faults, {asked.copies} photos with {len(CHANGES)} copies each, {asked.backbone}")
    means = print_rows(rows)
    if asked.json:
        asked.json.write_text(
            json.dumps({"own": counts, "own_groups": groups, "rows": rows, "means": means}, indent=2) + "\n"
        )
    good = (
        all(means[name] >= RECALL for name in REQUIRED)
        and means["precision"] >= PRECISION
        and means["swapped among the top 5 %"] >= RANKED
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

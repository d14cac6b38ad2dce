"""A folder of files trains to the same weights as the named dataset whose pictures they hold, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import eyesight
from eyesight.formats import read_tensors


def write_files(data: eyesight.Dataset, folder: Path) -> Path:
    """Write a dataset as PNG files that are named in its order, and a table that says what they are."""
    lines = ["image,label,split"]
    for name, split in data.splits().items():
        (folder / name).mkdir(parents=True)
        for i, (picture, label) in enumerate(zip(split.gather(np.arange(len(split))), split.labels, strict=True)):
            Image.fromarray(picture.squeeze()).save(folder / name / f"{i:05d}.png")
            lines.append(f"{name}/{i:05d}.png,{data.classes[label]},{name}")
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_files_train_to_the_weights_of_the_named_set(tmp_path: Path) -> None:
    named = eyesight.load_data("digits", validation=0)
    table = write_files(named, tmp_path / "files")
    weights = []
    for data in ("digits", table):
        opened = eyesight.load_data(data, validation="test")
        output = tmp_path / f"run-{len(weights)}"
        run = eyesight.train(opened, model="mlp", epochs=1, output=output, progress=False, threads=1)
        weights.append(read_tensors(run.path / "model.safetensors")[0])
    assert weights[0].keys() == weights[1].keys()
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name], err_msg=name)

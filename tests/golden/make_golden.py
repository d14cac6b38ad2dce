"""Write the golden files: what this version of eyesight writes, kept so that later versions prove they still read it.

Run `python tests/golden/make_golden.py tests/golden/v1` once for every version of a format, into a new folder; files
of older versions stay as they are. `expected.json` holds what reading them must give.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

import eyesight
from eyesight.evaluation.judge import judge


def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw 4x4 grey pictures, dark (0) or bright (1), and their labels; no random numbers, so they never change."""
    labels = np.arange(count) % 2
    pixels = np.arange(count * 16).reshape(count, 4, 4) * 37 % 100
    return (pixels + 150 * labels[:, None, None]).astype(np.uint8), labels


def make(folder: Path) -> None:
    """Train on tiny arrays and keep what was written."""
    data = eyesight.from_arrays(pictures(40), test=pictures(10), classes=["dark", "bright"], validation=0.2)
    with tempfile.TemporaryDirectory() as temporary:
        run = eyesight.train(
            data, model="small-cnn-1pool", epochs=3, batch_size=8, seed=1, threads=1, precision="fp32",
            output=Path(temporary) / "run", progress=False,
        )  # fmt: skip
        evaluation = run.evaluate()
        kept = folder / "run"
        kept.mkdir(parents=True)
        for name in ("run.json", "config.yaml", "environment.json", "metrics.jsonl", "events.jsonl"):
            shutil.copy(run.path / name, kept / name)
        environment = json.loads((kept / "environment.json").read_text())
        environment |= {"platform": "Linux", "processor": "any"}  # whose machine it was is nobody's business
        environment["identity"]["processor"] = "any"
        (kept / "environment.json").write_text(json.dumps(environment, indent=2) + "\n")
        shutil.copy(run.model_file, kept / "model.safetensors")
        shutil.copy(evaluation.folder / "predictions.safetensors", folder / "predictions.safetensors")
        shutil.copy(evaluation.folder / "report.json", folder / "report.json")
        report = judge(evaluation.predictions)
        expected = {
            "logits": run.classifier.logits(pictures(10)[0][..., None]).tolist(),
            "model": run.classifier.checksum,
            "data": evaluation.predictions.data,
            "accuracy": report.accuracy,
            "loss": report.loss,
            "metrics": [{key: row[key] for key in ("epoch", "loss", "val_accuracy")} for row in run.metrics()],
        }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))

"""A process that is forked off after torch has computed: it has none of torch's threads, and must not wait for them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import multiprocessing, sys, warnings
import numpy as np, torch, eyesight

torch.set_num_threads(2)
pictures = list(np.random.default_rng(0).integers(0, 256, (64, 8, 8), dtype=np.uint8))

def train(output, threads=2):
    return eyesight.train("digits", model="lenet5", epochs=1, output=output, progress=False, threads=threads)

def train_in_child(threads):
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        run = train(f"child-{threads}", threads)
    return run.status, run.config.machine.threads, [str(note.message) for note in notes]

classifier = train("parent").classifier
with multiprocessing.get_context("fork").Pool(1) as pool:
    if sys.argv[1] == "predict":
        classifier.network  # torch's weights, which the child turns into an engine of its own
        print(pool.map(classifier.predict, [pictures])[0] == classifier.predict(pictures))
    elif sys.argv[1] == "torch":
        print(len(pool.apply(classifier._torch_logits, (np.stack(pictures)[..., None],))))  # as for a user's module
    else:
        for threads in (2, "auto"):
            print(pool.apply(train_in_child, (threads,)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("predict", ["True"]),
        ("torch", ["64"]),
        (
            "train",
            [
                "('complete', 1, ['this process was forked off one that had used torch, and can only use one thread'])",
                "('complete', 1, [])",
            ],
        ),
    ],
)
def test_a_forked_child_predicts_and_trains_after_a_training(what: str, said: list[str]) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, what], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.stdout.splitlines() == said, done.stderr

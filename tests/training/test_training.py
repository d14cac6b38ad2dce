"""The training loop: what it promises of seeds, optimizers, schedules, weights kept, failures and events."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import eyesight
from eyesight.classifier import Classifier
from eyesight.errors import TrainingError, UsageError
from eyesight.formats import read_tensors
from eyesight.metrics import cross_entropy, softmax
from eyesight.predictions import predict_split
from eyesight.training import checkpoint
from eyesight.training import loop as loop_module
from eyesight.training.batches import Batches
from eyesight.training.events import CheckpointSaved, Ended, EpochEnded, Event, Progress, Started, Warned
from eyesight.training.loop import Loop
from eyesight.training.optim.optimizers import OPTIMIZERS
from eyesight.training.optim.schedules import SCHEDULES

Arrays = dict[str, np.ndarray]


class Dense(nn.Module):
    """The smallest network that learns bars."""

    def __init__(self, inputs: int = 12 * 12 * 3, outputs: int = 3) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)
        nn.init.zeros_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x.flatten(1))


class Noisy(nn.Module):
    """A network whose every update depends on torch's own random numbers and on buffers."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4 * 100, 3)
        with torch.no_grad():
            for p in (self.conv.weight, self.conv.bias, self.head.weight, self.head.bias):
                p.uniform_(-0.1, 0.1, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.norm(self.conv(x)).relu().flatten(1)))


def train(data: Any, output: str | Path, **options: Any) -> eyesight.Run:
    defaults = {"epochs": 2, "threads": 1, "precision": "fp32", "progress": False}
    return eyesight.train(data, output=output, **(defaults | options))


def accuracy(run: eyesight.Run, split: eyesight.Split) -> float:
    """Return what `run.evaluate` says, without its figures."""
    return float((predict_split(run.classifier, split, model="").predicted == split.labels).mean())


def weights(path: Path) -> Arrays:
    return read_tensors(path)[0]


def same(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def stop_after_epoch() -> Any:
    """Return a listener that ends the process's interest in a run with the checkpoint that follows an epoch."""
    ended: list[EpochEnded] = []

    def listen(event: Event) -> None:
        if isinstance(event, EpochEnded):
            ended.append(event)
        elif isinstance(event, CheckpointSaved) and ended:
            raise KeyboardInterrupt

    return listen


def cut_and_resume(data: Any, output: Path, *, model: Any = None, again: Any = None, **options: Any) -> eyesight.Run:
    """Train until the checkpoint of the first epoch, break off, and go on."""
    with pytest.raises(KeyboardInterrupt):
        train(data, output, model=model, checkpoint_every=1e-9, listeners=[stop_after_epoch()], **options)
    run = eyesight.open_run(output, data=data)
    assert run.status == "interrupted"
    assert 0 < len(run.metrics()) < options.get("epochs", 2)
    return eyesight.resume(output, data=data, model=again, progress=False)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_seed_gives_the_same_bits_and_another_seed_others(
    bars_data: eyesight.Dataset, tmp_path: Path, precision: str
) -> None:
    files = [
        train(bars_data, tmp_path / str(i), seed=seed, precision=precision).model_file
        for i, seed in enumerate((3, 3, 4))
    ]
    assert same(weights(files[0]), weights(files[1]))
    assert not same(weights(files[0]), weights(files[2]))


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_learns_and_goes_on_bit_for_bit_after_a_stop(
    bars_data: eyesight.Dataset, tmp_path: Path, optimizer: str
) -> None:
    whole = train(bars_data, tmp_path / "whole", optimizer=optimizer, epochs=4, batch_size=32)
    assert accuracy(whole, bars_data.test) > 0.8  # chance is a third
    cut = cut_and_resume(bars_data, tmp_path / "cut", optimizer=optimizer, epochs=4, batch_size=32)
    assert same(weights(whole.model_file), weights(cut.model_file))
    assert [{**row, "seconds": 0} for row in whole.metrics()] == [{**row, "seconds": 0} for row in cut.metrics()]


def test_dropout_and_batch_norm_go_on_bit_for_bit_after_a_stop(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    whole = train(bars_data, tmp_path / "whole", model=Noisy(), epochs=3)
    cut = cut_and_resume(bars_data, tmp_path / "cut", model=Noisy(), again=Noisy(), epochs=3)
    assert same(weights(whole.model_file), weights(cut.model_file))
    assert weights(whole.model_file)["norm.num_batches_tracked"] > 1


def test_dropout_draws_anew_at_every_update_and_by_the_seed(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    def draws(name: str, seed: int) -> list[float]:
        seen: list[float] = []

        class Drawing(Dense):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                if self.training:
                    seen.append(float(torch.rand(())))
                return super().forward(x)

        train(bars_data, tmp_path / name, model=Drawing(), seed=seed)
        return seen

    first = draws("a", 0)
    assert len(set(first)) == len(first) == 10
    assert draws("b", 0) == first
    assert not set(draws("c", 1)) & set(first)


def test_the_learning_rate_of_a_schedule_reaches_every_update(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    """With SGD without momentum, zero gradient noise apart, the update is as long as the rate."""
    run = train(bars_data, tmp_path / "r", model=Dense(), optimizer="sgd", lr=0.5, schedule="step", epochs=4)
    assert [row["lr"] for row in run.metrics()] == [0.5, 0.5, 0.05, 0.005]
    cosine = train(bars_data, tmp_path / "c", model=Dense(), lr=0.01, epochs=1, batch_size=300)
    assert cosine.metrics()[0]["lr"] == 0.01  # the rate of the only update, not of one after it


def test_a_later_rate_of_nearly_zero_leaves_the_weights_where_they_are(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    """The schedule is applied to the weights and not only written down: constant moves further than step."""
    moved = {}
    for schedule in ("constant", "step"):
        run = train(bars_data, tmp_path / schedule, model=Dense(), optimizer="sgd", lr=0.01, schedule=schedule,
                    momentum=0, epochs=4, batch_size=300, keep="last")  # fmt: skip
        moved[schedule] = np.linalg.norm(weights(run.model_file)["dense.weight"])
    assert moved["step"] < 0.7 * moved["constant"]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedules_begin_peak_and_end_where_they_say(name: str) -> None:
    schedule = SCHEDULES.load(name)
    expected = {"constant": (1, 1, 1), "step": (1, 0.1, 0.01), "cosine": (1, 0.5, 0), "linear": (1, 0.5, 0)}
    peak = 0.5 * (1 + math.cos(math.pi * 0.2 / 0.7))
    found = tuple(schedule(p) for p in (0, 0.5, 1))
    assert found == pytest.approx(expected.get(name, (0.04, peak, 0)), abs=1e-12)


@given(a=st.floats(0, 1), b=st.floats(0, 1), name=st.sampled_from(sorted(SCHEDULES)))
@settings(deadline=None, max_examples=100)
def test_schedules_stay_between_0_and_1_and_fall_after_their_peak(a: float, b: float, name: str) -> None:
    schedule = SCHEDULES.load(name)
    first, second = sorted((a, b))
    assert 0 <= schedule(second) <= 1
    if name != "one-cycle" or first >= 0.3:
        assert schedule(first) >= schedule(second) - 1e-12
    elif second <= 0.3:
        assert schedule(first) <= schedule(second) + 1e-12


def test_clipping_bounds_the_whole_update(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    options = {"optimizer": "sgd", "lr": 1.0, "momentum": 0, "schedule": "constant", "epochs": 1, "batch_size": 300}

    def length(name: str, **more: Any) -> float:
        found = weights(train(bars_data, tmp_path / name, model=Dense(), **options, **more).model_file)
        return math.sqrt(sum(float((array.astype(float) ** 2).sum()) for array in found.values()))

    assert length("free") > 0.5
    assert length("clipped", clip_norm=0.125) == pytest.approx(0.125, rel=1e-4)
    assert length("loose", clip_norm=1e6) == pytest.approx(length("free again"), rel=1e-6)


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_accumulation_makes_the_same_updates_in_less_memory(
    bars_data: eyesight.Dataset, tmp_path: Path, parts: int
) -> None:
    """270 pictures in batches of 64 also leave a last one of 14, which parts must weigh by its own size."""
    options = {"model": "small-cnn-1pool", "optimizer": "sgd", "lr": 0.1, "batch_size": 64, "keep": "last"}
    whole = train(bars_data, tmp_path / "whole", **options)
    split = train(bars_data, tmp_path / "split", accumulate=parts, **options)
    assert [row["step"] for row in whole.metrics()] == [row["step"] for row in split.metrics()] == [5, 10]
    for name, array in weights(whole.model_file).items():
        np.testing.assert_allclose(weights(split.model_file)[name], array, atol=2e-5, err_msg=name)
    assert whole.metrics()[-1]["loss"] == pytest.approx(split.metrics()[-1]["loss"], rel=1e-4)


def test_with_batch_norm_no_part_of_a_batch_is_one_picture(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    """270 pictures in batches of 67 leave 2 for the last; ten parts of 67 could be of one size but for the last."""
    run = train(bars_data, tmp_path / "r", model="whitened-16-32-32", batch_size=67, accumulate=66)
    assert [row["step"] for row in run.metrics()] == [5, 10]
    assert run.metrics()[-1]["loss"] < run.metrics()[0]["loss"]


def test_early_stopping_stops_and_says_why(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    events: list[Event] = []
    run = train(bars_data, tmp_path / "r", model=Dense(), lr=1e-12, epochs=50, listeners=[events.append],
                early_stopping={"monitor": "val_accuracy", "patience": 2})  # fmt: skip
    rows = run.metrics()
    best = max(rows, key=lambda row: row["val_accuracy"])  # the first of equal ones; a lower loss does not count
    assert len(rows) == best["epoch"] + 2 < 50
    assert isinstance(events[-1], Ended)
    assert events[-1].status == run.status == "complete"
    assert events[-1].reason == run.about()["reason"] == "no better val_accuracy for 2 epochs"


class Decaying(Dense):
    """Good after the first epoch and worse afterwards: its learned logits count for less with every update."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("updates", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.updates += 1
        return super().forward(x) * (1 if self.updates <= 9 else -1)


def test_the_best_epoch_becomes_the_model_and_the_last_lies_beside_it(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    run = train(bars_data, tmp_path / "r", model=Decaying(), epochs=5, batch_size=90)  # 3 updates an epoch
    rows = run.metrics()
    best = max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))["epoch"]
    assert best <= 3 < len(rows)
    kept = Classifier.load(run.model_file, module=Decaying())
    last = Classifier.load(run.last_model_file, module=Decaying())
    assert (kept.training.epoch, kept.training.weights) == (best, "best")
    assert (last.training.epoch, last.training.weights) == (5, "last")
    assert weights(run.model_file)["updates"] == 3 * best
    assert weights(run.last_model_file)["updates"] == 15
    assert run.evaluate("validation").accuracy == rows[best - 1]["val_accuracy"]
    assert run.evaluate("validation", weights="last").accuracy == rows[-1]["val_accuracy"] < 0.5


def test_keep_last_keeps_the_last_though_an_earlier_one_was_better(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = train(bars_data, tmp_path / "r", model=Decaying(), epochs=5, batch_size=90, keep="last")
    assert (run.classifier.training.epoch, run.classifier.training.weights) == (5, "last")
    assert not run.last_model_file.exists()


def test_where_the_test_set_is_validated_on_nothing_is_chosen_by_it(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    data = bars_data.with_validation("test")
    run = train(data, tmp_path / "r", model=Decaying(), epochs=5, batch_size=100)
    assert (run.classifier.training.epoch, run.classifier.training.weights) == (5, "last")
    assert "val_accuracy" in run.metrics()[0]
    chosen = train(data, tmp_path / "b", model=Decaying(), epochs=5, batch_size=100, keep="best")
    assert chosen.classifier.training.weights == "best"  # asked for by name


def test_without_validation_pictures_the_last_weights_are_kept(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    data = bars_data.with_validation(0)
    run = train(data, tmp_path / "r", model=Dense())
    assert run.classifier.training.weights == "last"
    assert "val_loss" not in run.metrics()[0]
    with pytest.raises(UsageError, match="validation"):
        train(data, tmp_path / "no", keep="best")
    with pytest.raises(UsageError, match="validation"):
        train(data, tmp_path / "no", early_stopping={})
    assert not (tmp_path / "no").exists()


def test_the_training_loss_is_shown_without_label_smoothing(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    """With a rate of nearly zero the first epoch's loss is that of the first weights, whatever is optimised."""
    shown = [
        train(bars_data, tmp_path / str(s), model="small-cnn-1pool", epochs=1, lr=1e-12, label_smoothing=s).metrics()[0]
        for s in (0.0, 0.5)
    ]
    assert shown[0]["loss"] == pytest.approx(shown[1]["loss"], rel=1e-6)
    assert shown[0]["loss"] == pytest.approx(shown[0]["val_loss"], rel=0.2)


def test_label_smoothing_makes_the_network_less_sure(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    def surest(smoothing: float) -> float:
        run = train(bars_data, tmp_path / str(smoothing), model=Dense(), epochs=10, lr=0.01, label_smoothing=smoothing)
        predictions = predict_split(run.classifier, bars_data.train, model="")
        logits = predictions.logits * run.classifier.inference.temperature  # which would undo it
        return float(softmax(logits).max(axis=1).mean())

    assert surest(0.3) < surest(0.0) - 0.05


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_weight_decay_keeps_weights_small(bars_data: eyesight.Dataset, tmp_path: Path, optimizer: str) -> None:
    def size(decay: float) -> float:
        run = train(bars_data, tmp_path / str(decay), model=Dense(), epochs=6, lr=0.01, keep="last",
                    optimizer=optimizer, weight_decay=decay)  # fmt: skip
        return float(np.linalg.norm(weights(run.model_file)["dense.weight"]))

    assert size(2.0) < 0.9 * size(0.0)


@pytest.mark.parametrize(("normalize", "low", "high"), [("unit", 0, 1), ("centered", -0.5, 0.5), ("standard", -1, 3)])
def test_normalize_gives_the_network_the_range_it_names(
    bars_data: eyesight.Dataset, tmp_path: Path, normalize: str, low: float, high: float
) -> None:
    seen: list[torch.Tensor] = []

    class Looking(Dense):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.detach().clone())
            return super().forward(x)

    run = train(bars_data, tmp_path / "r", model=Looking(), epochs=1, batch_size=270, normalize=normalize)
    batch = next(x for x in seen if len(x) == 270)
    if normalize == "standard":
        np.testing.assert_allclose(batch.mean((0, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(batch.std((0, 2, 3)), 1, atol=1e-3)
    else:
        assert low <= batch.min() < low + 0.05
        assert high - 0.15 < batch.max() <= high
    assert run.classifier.inference.preprocessing.mean[0] == pytest.approx(
        {"unit": 0, "centered": 0.5}.get(normalize, bars_data.train.gather(np.arange(270))[..., 0].mean() / 255)
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_no_number_stops_with_good_weights_and_advice(
    bars_data: eyesight.Dataset, tmp_path: Path, precision: str
) -> None:
    events: list[Event] = []
    with pytest.raises(TrainingError) as caught:
        train(bars_data, tmp_path / "r", optimizer="sgd", lr=1e38, precision=precision, listeners=[events.append])
    message = str(caught.value)
    assert caught.value.exit_code == 1
    assert "\n" not in message
    assert "--lr 1e+37" in message
    assert ("--precision fp32" in message) == (precision == "bf16")
    run = eyesight.open_run(tmp_path / "r", data=bars_data)
    assert run.status == "failed"
    assert run.about()["reason"] == message
    assert isinstance(events[-1], Ended)
    assert events[-1].status == "failed"
    assert all(np.isfinite(array).all() for array in weights(run.model_file).values())
    assert np.isfinite(run.evaluate("test").report.loss)


def test_the_last_good_weights_are_those_before_the_loss_broke(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    class Breaking(Decaying):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * (1 if self.updates <= 6 else math.nan)

    with pytest.raises(TrainingError, match="step 6 are kept"):
        train(bars_data, tmp_path / "r", model=Breaking(), epochs=5, batch_size=90)
    found = eyesight.load_classifier(tmp_path / "r", module=Breaking())
    assert found.training.epoch == 2
    assert weights(tmp_path / "r" / "model.safetensors")["updates"] == 6


def test_good_weights_are_noted_at_the_ends_of_epochs_not_whenever_losses_are_fetched(
    bars_data: eyesight.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted, shown = [], []
    keep = Loop.keep_weights
    monkeypatch.setattr(Loop, "keep_weights", lambda loop: noted.append(loop.state.step) or keep(loop))
    monkeypatch.setattr(loop_module, "_FLUSH_SECONDS", 0.0)
    train(bars_data, tmp_path / "r", model=Dense(), batch_size=90, epochs=3, listeners=[shown.append])
    assert [event.step for event in shown if isinstance(event, Progress)] == [1, 2, 4, 5, 7, 8]
    assert noted == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("error", "size", "advice"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), 64, "try --batch-size 32, or --set recipe.accumulate=2"),
        (MemoryError(), 3, "try --batch-size 1, or --set recipe.accumulate=2"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 1, "needs smaller pictures"),
    ],
)
def test_memory_that_ran_out_names_a_batch_size_that_can_be_tried(
    bars_data: eyesight.Dataset, tmp_path: Path, error: Exception, size: int, advice: str
) -> None:
    class Hungry(Dense):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                raise error
            return super().forward(x)

    with pytest.raises(TrainingError, match=f"out of memory at batch size {size};") as caught:
        train(bars_data, tmp_path / "r", model=Hungry(), batch_size=size)
    assert advice in str(caught.value)
    assert eyesight.open_run(tmp_path / "r").status == "failed"


def test_a_fault_in_a_listener_ends_the_run_as_failed_and_tells_the_others(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    events: list[Event] = []

    def faulty(event: Event) -> None:
        if isinstance(event, EpochEnded):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        train(bars_data, tmp_path / "r", model=Dense(), listeners=[events.append, faulty])
    assert isinstance(events[-1], Ended)  # a progress bar lets go of the terminal
    assert eyesight.open_run(tmp_path / "r").status == "failed"


def test_a_module_of_the_users_own_trains_judges_and_predicts(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = train(bars_data, tmp_path / "r", model=Noisy(), epochs=15, lr=0.01)
    assert accuracy(run, bars_data.test) > 0.8
    picture = bars_data.test.gather([1])[0]
    assert run.classifier.predict(picture)[0].label == "down"
    again = eyesight.load_classifier(tmp_path / "r", module=Noisy())
    np.testing.assert_allclose(again.logits(picture[None]), run.classifier.logits(picture[None]), rtol=1e-5)
    with pytest.raises(UsageError, match=r"Noisy.*module="):
        eyesight.load_classifier(tmp_path / "r")


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (Dense(outputs=4), r"Dense should give logits \(N, 3\).*received: \(2, 4\)"),
        (Dense(inputs=7), r"Dense does not take pictures \(N, 3, 12, 12\)"),
        (nn.Flatten(), "Flatten has no parameters to train"),
    ],
)
def test_a_module_that_does_not_fit_is_refused_before_anything_is_written(
    bars_data: eyesight.Dataset, tmp_path: Path, module: nn.Module, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        train(bars_data, tmp_path / "r", model=module)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r").exists()


def test_events_come_in_order_and_reach_the_file_as_json_lines(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    events: list[Event] = []
    run = train(bars_data, tmp_path / "r", model=Dense(), epochs=3, listeners=[events.append])
    kinds = [type(event) for event in events]
    assert kinds[0] is Started
    assert kinds[-1] is Ended
    assert [e.row["epoch"] for e in events if isinstance(e, EpochEnded)] == [1, 2, 3]
    assert kinds.index(EpochEnded) < kinds.index(CheckpointSaved)
    assert events[0].steps_per_epoch == 5
    lines = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == [kind.__name__ for kind in kinds]
    assert all(line["time"] > 1.7e9 for line in lines)
    assert [line["row"] for line in lines if line["event"] == "EpochEnded"] == run.metrics()


def test_validation_in_the_log_is_what_evaluate_says(digits_run: eyesight.Run) -> None:
    row = digits_run.metrics()[digits_run.classifier.training.epoch - 1]
    found = digits_run.evaluate("validation")
    assert found.accuracy == row["val_accuracy"]
    logits = found.predictions.logits * digits_run.classifier.inference.temperature  # 1 while training
    assert cross_entropy(logits, found.predictions.labels).mean() == pytest.approx(row["val_loss"], rel=1e-5)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_the_precision_that_was_used_is_written_down(
    bars_data: eyesight.Dataset, tmp_path: Path, precision: str
) -> None:
    run = train(bars_data, tmp_path / "r", epochs=1, precision=precision)
    recorded = yaml.safe_load((run.path / "config.yaml").read_text())["machine"]
    assert recorded["precision"] in (("fp32", "bf16") if precision == "auto" else (precision,))
    assert (recorded["device"], recorded["threads"]) == ("cpu", 1)
    assert run.folder.read_environment()["precision"] == recorded["precision"]


def test_a_processor_that_may_only_do_what_older_ones_can_is_not_given_bf16() -> None:
    script = "import torch; from eyesight.device import choose_precision as p; print(p('auto', torch.device('cpu')))"
    limits = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    found = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | limits, check=True, capture_output=True, text=True
    )
    assert found.stdout == "fp32\n"


def test_bf16_learns_about_as_well_as_fp32(tmp_path: Path) -> None:
    data = eyesight.load_data("digits")
    exact, rounded = (
        accuracy(train(data, tmp_path / precision, epochs=6, precision=precision), data.test)
        for precision in ("fp32", "bf16")
    )
    assert exact > 0.93
    assert rounded > exact - 0.02


def test_weights_stay_float32_in_bf16_training(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = train(bars_data, tmp_path / "r", epochs=1, precision="bf16")
    array = next(a for name, a in weights(run.model_file).items() if name.endswith("weight"))
    assert array.dtype == np.float32
    assert (array.view(np.uint32) & 0xFFFF).any()  # more digits than bfloat16 has


def test_training_leaves_the_callers_random_numbers_and_threads_alone(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        module = Noisy()
        torch.manual_seed(1)
        train(bars_data, tmp_path / "r", model=module, epochs=1, threads=1)
        assert torch.equal(torch.rand(3), expected)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def batches(data: eyesight.Dataset, size: int, seed: int = 0) -> Batches:
    from eyesight.pictures.preprocess import Preprocessing

    height, width, channels = data.shape
    plain = Preprocessing(height=height, width=width, channels=channels, mean=(0.0,) * 3, std=(1.0,) * 3)
    return Batches(data.train, plain, batch_size=size, seed=seed, device=torch.device("cpu"), dtype=torch.float32)


@given(seed=st.integers(0, 2**40), epoch=st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_the_order_is_a_permutation_of_seed_and_epoch_alone(bars_data: eyesight.Dataset, seed: int, epoch: int) -> None:
    order = batches(bars_data, 32, seed).order(epoch)
    assert sorted(order) == list(range(270))
    np.testing.assert_array_equal(batches(bars_data, 7, seed).order(epoch), order)
    assert not np.array_equal(batches(bars_data, 32, seed + 1).order(epoch), order)
    assert not np.array_equal(batches(bars_data, 32, seed).order(epoch + 1), order)


@pytest.mark.parametrize(
    ("size", "sizes"), [(100, [100, 100, 70]), (270, [270]), (1000, [270]), (269, [270]), (90, [90] * 3)]
)
def test_every_picture_comes_once_in_an_epoch_with_its_label(
    bars_data: eyesight.Dataset, size: int, sizes: list[int]
) -> None:
    feed = batches(bars_data, size)
    parts = [feed.batch(step) for step in range(feed.steps_per_epoch)]
    assert [len(labels) for _, labels in parts] == sizes
    pictures = torch.cat([x for x, _ in parts])
    assert pictures.shape == (270, 3, 12, 12)
    back = (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    order = feed.order(0)
    np.testing.assert_array_equal(back, bars_data.train.gather(order))
    np.testing.assert_array_equal(torch.cat([y for _, y in parts]).numpy(), bars_data.train.labels[order])


@pytest.mark.parametrize("size", [1, 269, 1000])
def test_odd_batch_sizes_train(bars_data: eyesight.Dataset, tmp_path: Path, size: int) -> None:
    run = train(bars_data, tmp_path / "r", model=Dense(), batch_size=size, epochs=1)
    assert run.metrics()[0]["step"] == {1: 270, 269: 1, 1000: 1}[size]  # nobody is left alone
    assert run.status == "complete"


def test_accuracy_and_loss_of_an_epoch_are_means_over_its_pictures(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    """With a rate of nearly nothing the network is the one that starts, whose every answer is class 0."""
    module = Dense()
    module.dense.bias.data[0] = 1
    run = train(bars_data, tmp_path / "r", model=module, lr=1e-30, optimizer="sgd", batch_size=64, epochs=2)
    zero = float((bars_data.train.labels == 0).mean())
    for row in run.metrics():
        assert row["loss"] == pytest.approx(math.log(math.e + 2) - zero, rel=1e-5)
        assert row["accuracy"] == pytest.approx(zero)


SAVED = """
import resource, sys
from pathlib import Path
import torch
from eyesight.training import checkpoint
from eyesight.training.state import TrainState
network = torch.nn.Sequential(*(torch.nn.Linear(1024, 1024) for _ in range(16)))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
for parameter in network.parameters():
    optimizer.state[parameter]["momentum_buffer"] = torch.ones_like(parameter)
state = TrainState(network, optimizer, torch.zeros(3, dtype=torch.float64))
size = 2 * 4 * sum(parameter.numel() for parameter in network.parameters())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
checkpoint.save(state, Path(sys.argv[1]), identity={})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
def test_saving_a_state_needs_memory_for_one_tensor_not_for_copies_of_the_state(tmp_path: Path) -> None:
    """A network of 67 MB and an optimizer with as much: five copies of both were 671 MB."""
    found = subprocess.run([sys.executable, "-c", SAVED, str(tmp_path)], check=True, capture_output=True, text=True)
    assert float(found.stdout) < 0.2
    assert checkpoint.newest(tmp_path)[0].arrays["network/3.bias"].shape == (1024,)


def test_only_two_checkpoints_are_kept(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = train(bars_data, tmp_path / "r", model=Dense(), epochs=6, checkpoint_every=1e-9)
    steps = sorted(int(path.stem.removeprefix("step-")) for path in run.folder.checkpoints_folder.iterdir())
    assert len(steps) == 2
    assert steps[-1] == 30
    found, problems = checkpoint.newest(run.folder.checkpoints_folder)
    assert found is not None
    assert found.facts["step"] == 30
    assert problems == []


def test_a_loss_that_has_exploded_to_a_finite_number_is_told_and_noted(bars_data: eyesight.Dataset):
    told: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Warned):
            told.append(event.message)

    options = {"model": "lenet5", "epochs": 2, "progress": False, "listeners": [listen]}
    run = eyesight.train(bars_data, optimizer="adam", lr=1e3, output="wild", **options)
    loss = run.metrics()[-1]["loss"]
    assert 1e3 < loss < math.inf
    assert run.status == "complete"
    assert told == [
        f"the training diverged: its loss is {loss:.3g}, where guessing gives 1.1 (learning rate 1000); "
        "try --lr 100, --set recipe.clip_norm=1"
    ]
    assert run.about()["reason"] == f"all epochs done, but the loss is {loss:.3g}"
    told.clear()
    usual = eyesight.train(bars_data, output="usual", **options)
    assert usual.about()["reason"] == "all epochs done"
    assert told == []

"""The bench times what training and prediction do, compares fairly, and survives what cannot be measured."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import eyesight
from eyesight.bench import measure
from eyesight.bench import report as bench_report
from eyesight.bench import settings as bench_settings
from eyesight.bench.figure import throughput
from eyesight.bench.measure import ROUNDS, Bench, random_pictures
from eyesight.bench.settings import Setting, plan
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.cli import main
from eyesight.cli.bench import whole_numbers
from eyesight.errors import UsageError
from eyesight.models.torch_network import to_arrays
from eyesight.pictures.preprocess import Preprocessing
from eyesight.training.job import Job, prepare
from eyesight.training.state import TrainState

LENET = ("bench", "lenet5", "--input", "28x28x1", "--threads", "1", "--devices", "cpu", "--seconds", "0.05")
ON_CPU = Setting("training", "cpu", "fp32", 1, 8)
PREDICT = Setting("prediction", "cpu", "fp32", 1, 8)
SIZES = "--batch-sizes: expected whole numbers"
DEVICES = f"--devices: expected some of {', '.join(bench_settings.find_devices()[0])}"


def lenet(*chosen: Setting, seconds: float = 0.05, kind: type[Bench] = Bench) -> Bench:
    return kind("lenet5", shape=(28, 28, 1), classes=10, settings=chosen, seconds=seconds)


def report_of(bench: Bench, *, found: tuple[str, ...] = ("cpu",)) -> bench_report.BenchReport:
    return bench_report.report(bench, found=found, notes=[], load=0.0)


def test_json_says_what_was_measured_where_and_how_fast(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LENET, "-b", "1,8", "--precisions", "fp32", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (result["format"], result["version"], result["complete"]) == ("eyesight-bench", 1, True)
    assert (result["network"], result["input"], result["classes"]) == ("lenet5", [28, 28, 1], 10)
    assert result["parameters"] == 61_706
    assert result["machine"]["packages"]["torch"] == torch.__version__
    assert list(result["machine"]["devices"]) == ["cpu"]
    assert [(row["task"], row["batch_size"]) for row in result["results"]] == [
        ("training", 1), ("training", 8), ("prediction", 1), ("prediction", 8)
    ]  # fmt: skip
    for row in result["results"]:
        assert (row["device"], row["precision"], row["threads"], row["problem"]) == ("cpu", "fp32", 1, None)
        assert 0 < row["quartiles"][0] <= row["pictures_per_second"] <= row["quartiles"][1]
        assert (row["rounds"], row["speed_up"]) == (ROUNDS, 1)
    assert "warm-up 4 of 4: prediction, cpu fp32 (1 thread), batch size 8" in err


def test_the_table_ends_with_the_fastest_and_with_what_is_known_of_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LENET, "-b", "8", "-o", "deep/bench.png"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("lenet5, input 28x28x1, 10 classes, 61,706 parameters\ncpu: ")
    assert "bf16" in out  # measured, or said why not
    assert "speed-up: against cpu fp32 (1 thread), at the same batch size" in out
    *_, training, prediction, gpu = out.splitlines()
    assert training.startswith("Training is fastest on cpu ")
    assert prediction.startswith("Prediction is fastest on cpu ")
    assert gpu.startswith("How much faster a GPU is was not measured: ")
    assert gpu.endswith("left out." if torch.cuda.is_available() else "no GPU was found here.")
    assert Path("deep/bench.png").read_bytes().startswith(b"\x89PNG")
    assert "figure: deep/bench.png" in err


def test_speed_ups_are_against_the_most_threads_at_the_same_task_and_batch_size() -> None:
    bench = lenet(*plan(["cpu"], precisions=["fp32"], threads=[2, 1], batch_sizes=[1, 8])[0])
    rates = dict(zip(bench.settings, (10.0, 20.0, 30.0, 90.0, 100.0, 50.0, 70.0, 700.0), strict=True))
    bench.rates = {setting: [rate] * ROUNDS for setting, rate in rates.items()}
    report = report_of(bench)
    assert report.reference == "cpu fp32 (2 threads)"
    assert [row.speed_up for row in report.results] == [1, 2, 1, 3, 1, 0.5, 1, 10]


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Job, TrainState]]:
    """What the workloads of a bench are made of, in order."""
    made: list[tuple[Job, TrainState]] = []

    def noting(*arguments: Any) -> tuple[Job, TrainState]:
        made.append(prepare(*arguments))
        return made[-1]

    monkeypatch.setattr(measure, "prepare", noting)
    return made


def test_what_is_timed_is_a_whole_update_and_the_logits_of_a_classifier(
    prepared: list[tuple[Job, TrainState]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = lenet(ON_CPU, PREDICT)
    train, predict = bench.workload(ON_CPU), bench.workload(PREDICT)
    (_, trained), (_, still) = prepared
    assert (trained.network.training, still.network.training) == (True, False)
    before = to_arrays(trained.network)
    train()
    train()
    assert trained.step == 2
    assert all(not np.array_equal(before[name], array) for name, array in to_arrays(trained.network).items())
    asked: list[tuple[int | None, Any, Any]] = []
    noting = lambda self, pictures: asked.append((self.threads, pictures.shape, pictures.dtype))  # noqa: E731
    monkeypatch.setattr(Classifier, "logits", noting)
    predict()
    assert asked == [(1, (8, 28, 28, 1), np.uint8)]


@pytest.mark.parametrize("batch_size", [1, 7, 5000])
def test_every_batch_is_a_whole_one_also_where_an_epoch_ends(
    batch_size: int, prepared: list[tuple[Job, TrainState]]
) -> None:
    setting = Setting("training", "cpu", "fp32", 1, batch_size)
    lenet(setting).workload(setting)
    batches = prepared[0][0].batches
    assert len(batches.batch(batches.steps_per_epoch - 1)[1]) == batch_size
    assert len(batches.split) >= len(random_pictures((28, 28, 1), 10).train)


class Slow(Bench):
    """Every step takes two milliseconds, the first of all 300, on a clock of its own; it notes whose turn it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.turns: list[Setting] = []
        self.now = 0.0

    def workload(self, setting: Setting) -> Callable[[], None]:
        def step() -> None:
            self.now += 0.002 if self.turns else 0.3
            self.turns.append(setting)

        return step


def test_rates_count_pictures_of_warm_steps_and_settings_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = lenet(ON_CPU, PREDICT, kind=Slow)
    assert isinstance(bench, Slow)
    monkeypatch.setattr(measure.time, "perf_counter", lambda: bench.now)
    bench.run()
    for setting in (ON_CPU, PREDICT):
        assert bench.rates[setting] == pytest.approx([8 / 0.002] * ROUNDS)
    slices = 1 + round(0.05 / ROUNDS / 0.002)  # the first step of each is not counted
    last = bench.turns[-2 * ROUNDS * slices :]
    assert last == [setting for setting in (ON_CPU, PREDICT) * ROUNDS for _ in range(slices)]


def test_the_caller_gets_back_threads_and_random_numbers() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    lenet(Setting("training", "cpu", "fp32", threads + 1, 1)).run()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_medians_quartiles_and_sentences_come_from_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"cpu": "a processor", "cuda:0": "a card"}
    monkeypatch.setattr(bench_report, "describe_device", names.__getitem__)
    sizes = (1, 32)
    places = (("cpu", "fp32", 2), ("cuda:0", "fp32", None), ("cuda:0", "bf16", None))
    bench = lenet(*(Setting("training", *place, size) for size in sizes for place in places))  # type: ignore[arg-type]
    for setting, middle in zip(bench.settings, (100, 50, 40, 1000, 20_000, 45_600), strict=True):
        bench.rates[setting] = [middle * factor for factor in (0.1, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 9)]
    report = report_of(bench, found=("cpu", "cuda:0"))
    assert [row.rate for row in report.results] == [100, 50, 40, 1000, 20_000, 45_600]
    assert report.results[0].quartiles == pytest.approx((90, 110))
    assert [row.speed_up for row in report.results] == [1, 0.5, 0.4, 1, 20, 45.6]
    assert report.conclusion == (
        "Training is fastest on cuda:0 bf16 at batch size 32: 45,600 pictures/s, 46 times cpu fp32 (2 threads) at "
        "that batch size.",
        "cuda:0 (a card) trains 0.50 (batch size 1) to 46 (batch size 32) times as fast as cpu fp32 (2 threads).",
    )
    bench.problems[bench.settings[5]] = "out of memory"
    report = report_of(bench)
    assert (report.results[5].rate, report.results[5].problem, report.complete) == (None, "out of memory", True)
    assert "20 times" in report.conclusion[0]
    texts = [text.get_text() for axes in throughput(report).get_axes() for text in axes.texts]
    assert texts == ["100  ×1.00", "50  ×0.50", "40  ×0.40", "1,000  ×1.00", "20,000  ×20", "out of memory"]


@pytest.mark.parametrize(("faster", "doubt"), [(1.1, True), (1.3, False)])
def test_a_lead_within_the_spread_is_called_chance(faster: float, doubt: bool) -> None:
    bench = lenet(*plan(["cpu"], threads=[2], batch_sizes=[8])[0])
    for setting in bench.settings:
        middle = 100 * faster if setting.precision == "bf16" else 100
        bench.rates[setting] = [middle * factor for factor in (0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 9)]
    sentence = report_of(bench).conclusion[0]
    if "bf16" in sentence:  # it is measured where it is right
        assert sentence.startswith("Training is fastest on cpu bf16 (2 threads) at batch size 8: 1")
        assert sentence.endswith("; that may be chance, as their quartiles overlap.") == doubt


def test_without_cpu_fp32_there_is_no_speed_up_and_none_is_claimed() -> None:
    chosen = Setting("training", "cpu", "bf16", 1, 8)
    bench = lenet(chosen)
    bench.rates[chosen] = [1234.0] * ROUNDS
    report = report_of(bench)
    assert (report.reference, report.results[0].speed_up) == (None, None)
    assert report.conclusion[0] == "Training is fastest on cpu bf16 (1 thread) at batch size 8: 1,234 pictures/s."
    throughput(report).canvas.draw()


def test_prediction_is_measured_as_predict_computes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_settings, "bf16_is_right", lambda _: True)
    found, _ = plan(["cpu"], threads=[2], batch_sizes=[1])
    places = [(setting.task, setting.precision) for setting in found]
    assert places == [("training", "fp32"), ("training", "bf16"), ("prediction", "fp32")]
    found, _ = plan(["cpu"], precisions=["bf16"], threads=[2], batch_sizes=[1])
    report = report_of(lenet(*found))
    assert [(r.setting.task, r.setting.precision, r.speed_up) for r in report.results] == [
        ("training", "bf16", None), ("prediction", "fp32", None)
    ]  # fmt: skip


def test_wrong_bf16_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_settings, "bf16_is_right", lambda _: False)
    found, notes = plan(["cpu"], batch_sizes=[1])
    assert {setting.precision for setting in found} == {"fp32"}
    assert notes == ["cpu bf16 is left out: it is missing here, or its results differ from fp32"]
    with pytest.raises(UsageError, match="--precisions: nothing is left to measure: cpu bf16 is left out"):
        plan(["cpu"], precisions=["bf16"], batch_sizes=[1])


def test_a_run_and_a_model_file_bring_their_own_size(
    digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("-b", "2", "--seconds", "0.01", "--threads", "1", "--precisions", "fp32", "--json")
    before = digits_run.model_file.read_bytes()
    for path in (digits_run.path, digits_run.model_file):
        assert main(["bench", str(path), *options]) == 0
        result = json.loads(capsys.readouterr().out)
        assert (result["network"], result["input"], result["classes"]) == ("whitened-32-64-64", [8, 8, 1], 10)
    assert digits_run.model_file.read_bytes() == before
    assert main(["bench", str(digits_run.path), "--input", "9x9x1"]) == 2
    assert capsys.readouterr().err == f"eyesight: error: --input: {digits_run.path} has its own; leave it out\n"


def test_a_users_own_network_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    inference = InferenceSpec(preprocessing=Preprocessing(height=8, width=8, channels=1, mean=(0,), std=(1,)))
    Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), inference, "ab").save("own.safetensors")
    assert main(["bench", "own.safetensors"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("eyesight: error: own.safetensors: its network is torch.nn.modules.container.Sequential")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["smal-cnn"], "unknown network 'smal-cnn'; did you mean 'small-cnn'?"),
        (["lenet5", "-b", "1,0"], f"{SIZES} from 1 to 1,000,000, such as 1,32; received: '0'"),
        (["lenet5", "-b", "many"], f"{SIZES} from 1 to 1,000,000, such as 1,32; received: 'many'"),
        (["lenet5", "--threads", ""], "--threads: expected whole numbers from 1 to 1,024, such as 1,32; received: ''"),
        (["lenet5", "--devices", "cpu,cuda:99"], f"{DEVICES}, which this machine has; received: 'cuda:99'"),
        (["lenet5", "--devices", "toaster"], f"{DEVICES}, which this machine has; received: 'toaster'"),
        (["lenet5", "--precisions", "fp32,fp16"], "--precisions: expected some of fp32, bf16; received: 'fp16'"),
        (["--input", "4x4x3"], "small-cnn needs pictures of at least 18x18 pixels; received: 4x4"),
        (["--input", "big"], "--input: expected HEIGHTxWIDTHxCHANNELS with 1 or 3 channels, such as 32x32x3; "
         "received: 'big'"),
        (["--classes", "9999999"], "small-cnn: cannot take pictures of (32, 32, 3) and 9999999 classes: a size "
         "should be less than or equal to 1048576"),
        (["--seconds", "0"], "--seconds: expected more than 0 and at most 3600; received: 0"),
        (["--seconds", "nan"], "--seconds: expected more than 0 and at most 3600; received: nan"),
        (["--seconds", "soon"], "Invalid value for '--seconds': should be a valid number, unable to parse string as a "
         "number"),
        (["-o", "bench.jpg"], "--output: expected the name of a .png file; received: 'bench.jpg'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"eyesight: error: {message}\n"


@given(st.lists(st.integers(-3, 30), min_size=1, max_size=5), st.sampled_from([",", " , ", ";"]))
@settings(deadline=None, max_examples=100)
def test_lists_of_numbers_are_taken_whole_or_refused(numbers: list[int], comma: str) -> None:
    text = comma.join(map(str, numbers))
    if all(1 <= n <= 20 for n in numbers) and (comma != ";" or len(numbers) == 1):
        assert whole_numbers(text, "--threads", most=20) == list(dict.fromkeys(numbers))
    else:
        with pytest.raises(UsageError, match="--threads: expected whole numbers from 1 to 20"):
            whole_numbers(text, "--threads", most=20)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the process's memory as Linux does")
def test_a_batch_too_large_for_memory_is_said_and_the_others_go_on() -> None:
    code = (
        "import resource, sys, torch; from eyesight.cli import main; torch.set_num_threads(1);"
        "import eyesight.bench.measure, eyesight.bench.report;"
        "pages = int(open('/proc/self/statm').read().split()[0]);"
        "resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 29),) * 2);"
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = [*LENET, "--precisions", "fp32", "-b", "1000000,2", "--json"]
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)["results"]
    assert [row["problem"] for row in rows] == ["out of memory", None] * 2
    assert [row["pictures_per_second"] is None for row in rows] == [True, False] * 2
    assert "batch size 1000000: out of memory" in result.stderr


def test_ctrl_c_prints_what_was_measured_so_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure_setting = Bench._measure

    def interrupting(bench: Bench, setting: Setting) -> None:
        measure_setting(bench, setting)
        if len(bench.rates[setting]) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Bench, "_measure", interrupting)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    try:
        assert main([*LENET, "--precisions", "fp32", "-b", "1", "--json"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    result = json.loads(capsys.readouterr().out)
    assert not result["complete"]
    assert [row["rounds"] for row in result["results"]] == [3, 2]
    assert result["notes"][-1] == f"interrupted: not all of the {ROUNDS} rounds were measured"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_is_found_measured_and_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "lenet5", "--input", "28x28x1", "-b", "1,256", "--seconds", "0.1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    gpu = [row for row in result["results"] if row["device"] == "cuda:0"]
    assert gpu
    assert all(row["pictures_per_second"] > 0 and row["speed_up"] > 0 and row["threads"] is None for row in gpu)
    assert result["conclusion"][-1].startswith("cuda:")

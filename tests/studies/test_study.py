"""Studies: what they conclude from numbers, that they go on where they stopped, and what a reader gets."""

from __future__ import annotations

import json
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

import eyesight
from eyesight.cli import main
from eyesight.data.split import draw
from eyesight.errors import FormatError, InterruptedRun, RunError, UsageError
from eyesight.formats import read_tensors
from eyesight.models import NETWORKS
from eyesight.progress import StudyReport
from eyesight.studies import runner, table
from eyesight.studies import study as studies
from eyesight.studies.conclusion import conclude
from eyesight.studies.definition import Arm, Definition, differences
from eyesight.studies.events import RunBegun, RunFinished
from eyesight.studies.folder import DataFacts, NetworkFacts, Record, RunResult, StudyFolder
from eyesight.studies.kinds import STUDIES, define
from eyesight.studies.measure import train_run
from eyesight.studies.outcome import outcomes, reference
from eyesight.studies.statistics import paired, spread
from eyesight.studies.study import Study
from eyesight.training.events import Ended, EpochEnded, Progress, Started

PROGRAM = [sys.executable, "-c", "import sys; from eyesight.cli import main; sys.exit(main())"]
SMALL = ("--set", "data.sample=100", "--threads", "1", "--set", "machine.precision=fp32")
TINY = ("study", "regularization", "--set", "recipe.updates=20", *SMALL)
Figures = Mapping[str, list[tuple[float, float]]]


def made_up(study: str, figures: Figures, *, baseline: str | None = "none", test: int = 10_000) -> Record:
    """A record of (train accuracy, test accuracy) for every seed of every arm."""
    arms = tuple(Arm(name=name, label=name.replace("-", " "), settings={}) for name in figures)
    if study == "epochs":
        arms = tuple(Arm(name=arm.name, label=arm.name.removeprefix("epochs-"), settings={}) for arm in arms)
    seeds = max(map(len, figures.values()))
    return Record(
        created="",
        definition=Definition(
            study=study, full=False, config={"recipe": {"updates": 100}}, arms=arms, baseline=baseline,
            seeds=tuple(range(seeds)),
        ),
        data=DataFacts(
            name="made-up", fingerprint="", shape=(8, 8, 1), train=900, validation=100, test=test,
            judged_train=900, folder=None,
        ),
        networks={
            arm.name: NetworkFacts(name=arm.name, parameters=1000 * (i + 1), flops=10) for i, arm in enumerate(arms)
        },
        environment={"device": "cpu", "processor": "a processor", "threads": 2, "precision": "fp32"},
        runs=tuple(
            RunResult(arm=name, seed=seed, train_accuracy=a, test_accuracy=b, updates=100, seconds=len(name))
            for name, values in figures.items() for seed, (a, b) in enumerate(values)
        ),
    )  # fmt: skip


def conclusion(study: str, figures: Figures, *, baseline: str | None = "none", test: int = 10_000) -> str:
    record = made_up(study, figures, baseline=baseline, test=test)
    return " ".join(conclude(study, outcomes(record), against=reference(record)))


NONE = [(0.99, 0.80), (0.99, 0.81), (0.99, 0.79)]
HELPED = [(0.95, 0.840), (0.95, 0.851), (0.95, 0.829)]
HURT = [(0.80, 0.740), (0.80, 0.751), (0.80, 0.729)]
NARROWED = [(0.90, 0.80), (0.90, 0.809), (0.90, 0.791)]
CHANCE = [(0.99, 0.82), (0.99, 0.80), (0.99, 0.79)]


def test_techniques_that_helped_hurt_only_narrowed_or_did_nothing_are_named() -> None:
    found = conclusion(
        "regularization", {"none": NONE, "dropout": HELPED, "decay": HURT, "norm": NARROWED, "noise": CHANCE}
    )
    assert found == (
        "Against training without any of them, test accuracy rose with dropout (+0.0400), "
        "and fell with decay (-0.0600) (n = 3). "
        "Norm only narrowed the gap between train and test accuracy; noise could not be told apart from chance."
    )


def test_that_no_technique_made_a_difference_can_be_the_result() -> None:
    found = conclusion("regularization", {"none": NONE, "a": CHANCE, "b": NONE})
    assert found == "None of the 2 techniques changed test accuracy by more than chance (n = 3)."
    narrowed = conclusion("regularization", {"none": NONE, "a": NARROWED, "b": NONE})
    assert narrowed.endswith("(n = 3). A only narrowed the gap between train and test accuracy.")


@pytest.mark.parametrize("study", STUDIES)
def test_one_seed_is_said_to_tell_nothing(study: str) -> None:
    figures = {name: [(0.9, value)] for name, value in (("epochs-1", 0.5), ("epochs-2", 0.8))}
    found = conclusion(study, figures, baseline="epochs-1" if study in ("regularization", "dense-vs-conv") else None)
    assert "One seed has no spread, so no difference can be told apart from chance; take --seeds 3 or more." in found
    assert conclusion(study, {"epochs-1": [(0.9, 0.8)]}) == "There is nothing to compare yet."


def test_dense_against_convolutional_says_how_much_and_with_how_many_parameters() -> None:
    above = conclusion("dense-vs-conv", {"mlp": NONE, "cnn": HELPED}, baseline="mlp")
    assert above.startswith("cnn has a test accuracy 0.0400 above that of mlp (95 % interval 0.0375 to 0.0425), with ")
    assert above.endswith("with 2,000 parameters against 1,000.")
    assert "0.0600 below that of mlp (95 % interval 0.0575 to 0.0625)" in conclusion(
        "dense-vs-conv", {"mlp": NONE, "cnn": HURT}, baseline="mlp"
    )
    same = conclusion("dense-vs-conv", {"mlp": NONE, "cnn": CHANCE}, baseline="mlp")
    assert same == "cnn, with 2,000 parameters against 1,000, could not be told apart from mlp (n = 3)."


def test_architectures_names_the_best_its_equals_the_smallest_and_the_quickest() -> None:
    found = conclusion("architectures", {"small": HURT, "b": CHANCE, "best": HELPED}, baseline=None)
    assert found == (
        "The highest test accuracy has best (0.8400); b could not be told apart from it (n = 3). "
        "The fewest parameters has small (1,000 parameters, test accuracy 0.7400), the shortest training b."
    )
    alone = conclusion("architectures", {"small": HURT, "best": HELPED}, baseline=None)
    assert "every other is below it by more than chance (n = 3)" in alone
    both = conclusion("architectures", {"a": HURT, "best": HELPED}, baseline=None)
    assert " The fewest parameters and the shortest training has a (" in both


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ((HURT, NONE, HELPED), "highest after 4 epochs (0.8400), more than after any shorter training: longer ones"),
        ((HURT, CHANCE, NONE, HELPED, HELPED), "highest after 8 epochs (0.8400) (n = 3)."),
        ((HURT, HELPED, HELPED[::-1]), "highest after 2 epochs (0.8400) (n = 3)."),
        ((HURT, NONE, CHANCE), "highest after 4 epochs (0.8033), but 2 epochs could not be told apart from it (n = 3)"),
        ((HURT, HELPED, NONE), "highest after 2 epochs (0.8400); it is lower after 4 epochs (n = 3)."),
    ],
)
def test_epochs_says_from_where_on_longer_trainings_gain_nothing(lengths: tuple[Figures, ...], said: str) -> None:
    figures = {f"epochs-{2**i}": values for i, values in enumerate(lengths)}
    found = conclusion("epochs", figures, baseline=None)  # type: ignore[arg-type]
    assert said in found
    assert f"From 1 epoch to {2 ** (len(lengths) - 1)} epochs train accuracy goes from 0.8000 to" in found


accuracies = st.lists(st.integers(0, 1000).map(lambda count: count / 1000), min_size=2, max_size=30)


@settings(deadline=None, max_examples=300)
@given(first=accuracies, second=accuracies)
def test_a_difference_counts_where_students_paired_test_says_so(first: list[float], second: list[float]) -> None:
    pairs = list(zip(first, second, strict=False))
    a, b = np.array(pairs).T
    found = paired(dict(enumerate(a)), dict(enumerate(b)), step=1e-12)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.mean == pytest.approx((a - b).mean())
    if (a - b).std() > 1e-9:
        low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3 * (high - low))


def test_the_same_difference_of_one_picture_in_every_seed_is_not_taken_for_certain() -> None:
    one_more = paired({0: 0.91, 1: 0.92, 2: 0.93}, {0: 0.90, 1: 0.91, 2: 0.92}, step=0.01)
    assert one_more is not None
    assert not one_more.is_rise
    ten_more = paired({0: 0.91, 1: 0.92, 2: 0.93}, {0: 0.90, 1: 0.91, 2: 0.92}, step=0.001)
    assert ten_more is not None
    assert ten_more.is_rise
    assert paired({0: 0.9}, {1: 0.8}, step=0.01) is None
    single = paired({0: 0.9, 1: 0.9}, {1: 0.8}, step=0.01)
    assert single is not None
    assert (single.n, single.low, single.is_rise, single.is_fall) == (1, None, False, False)
    assert spread([0.5]).sd is None


# ---- the pictures that studies take --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:train. all pictures are of one class")
@settings(deadline=None, max_examples=100)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), share=st.floats(0, 1), seed=st.integers(0, 99))
@example(sizes=[1, 1, 1, 8], share=0.375, seed=0)
def test_a_sample_has_exactly_so_many_pictures_and_the_same_share_of_every_class(
    sizes: list[int], share: float, seed: int
) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    data = eyesight.from_arrays((np.zeros((len(labels), 2, 2), np.uint8), labels), validation=0)
    count = max(1, round(share * len(labels)))
    taken = draw(data.train, count, seed=seed)
    assert len(taken) == count == len(set(taken.rows.tolist()))
    assert (np.diff(taken.rows) > 0).all()
    assert np.array_equal(taken.labels, labels[taken.rows])
    exact = np.array(sizes) * count / len(labels)
    assert (np.abs(taken.label_counts(len(sizes)) - exact) < 1).all()
    assert np.array_equal(draw(data.train, count, seed=seed).rows, taken.rows)


def test_a_sampled_dataset_holds_its_validation_pictures_out_of_the_sample(bars_data: eyesight.Dataset) -> None:
    few = bars_data.with_validation(0.2).with_sample(60)
    assert (len(few.train), len(few.validation), len(few.test)) == (48, 12, 60)
    assert (few.sample, few.protocol, few.validation_share) == (60, "holdout", 0.2)
    assert not set(few.train.rows) & set(few.validation.rows)
    assert len(few.with_validation(0).train) == 60
    for count in (0, 301):
        with pytest.raises(UsageError, match=f"data.sample: arrays has 300 training pictures; received: {count}"):
            bars_data.with_sample(count)


def test_a_run_on_a_sample_is_repeated_and_judged_from_its_configuration(tmp_path: Path) -> None:
    first = eyesight.train("digits", settings={"data.sample": 100}, epochs=1, threads=1, progress=False)
    again = eyesight.train(config=first.path / "config.yaml", output=tmp_path / "again", progress=False)
    assert len(first.data().train) == len(again.data().train) == 90
    assert weights(first.path) == weights(again.path)
    assert first.evaluate().report.notes == ()
    arrays = eyesight.load_data("digits", validation=0).train
    pair = (arrays.gather(np.arange(200)), arrays.labels[:200])
    few = eyesight.train(pair, settings={"data.sample": 50}, epochs=1, threads=1, progress=False)
    assert len(few.data().train) + len(few.data().validation) == 50


# ---- whole studies -------------------------------------------------------------------------------------------------


def weights(run: Path) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in read_tensors(run / "model.safetensors")[0].items()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> eyesight.Study:
    """The regularization study with two seeds, 80 training pictures and 20 updates; do not change its folder."""
    return eyesight.study(
        "regularization",
        seeds=2,
        settings={"recipe.updates": 20, "data.sample": 100, "machine.precision": "fp32"},
        threads=1,
        output=tmp_path_factory.mktemp("studies") / "tiny",
        progress=False,
    )


def test_regularization_trains_every_technique_with_every_seed_on_the_same_pictures(tiny: eyesight.Study) -> None:
    names = ["none", "dropout", "weight-decay", "batch-norm", "augmentation", "label-smoothing", "early-stopping"]
    assert [outcome.name for outcome in tiny.outcomes] == names
    runs = sorted((tiny.path / "runs").iterdir())
    assert [run.name for run in runs] == sorted(f"{name}-{seed}" for name in names for seed in (0, 1))
    configs = {run.name: eyesight.open_run(run).config for run in runs}
    assert {config.recipe.updates for config in configs.values()} == {20}
    assert {config.recipe.keep for name, config in configs.items() if "early" not in name} == {"last"}
    plain = configs["none-1"]
    changed = {
        "dropout-1": plain.model_copy(update={"model": configs["dropout-1"].model}),
        "weight-decay-1": plain.model_copy(
            update={"recipe": plain.recipe.model_copy(update={"weight_decay": 50.0})}  # 1 / (1e-3 × 20)
        ),
    }
    assert {name: configs[name] for name in changed} == changed
    assert configs["batch-norm-0"].model.batch_norm
    assert configs["augmentation-0"].recipe.shift == 1
    assert not configs["augmentation-0"].recipe.flip  # mirrored digits are none
    prints = {eyesight.open_run(run).folder.read_environment()["data_fingerprint"] for run in runs}
    assert len(prints) == 1
    assert configs["none-0"].data.sample == 100


def test_accuracies_are_of_clean_pictures_with_the_weights_that_were_kept(tiny: eyesight.Study) -> None:
    data = eyesight.load_data("digits", validation=0).with_sample(100).with_validation(0.2)
    for name in ("none", "dropout", "augmentation", "early-stopping"):
        result = tiny.record.result(name, 1)
        assert result is not None
        classifier = eyesight.load_classifier(tiny.path / "runs" / f"{name}-1")
        for split, accuracy in ((data.train, result.train_accuracy), (data.test, result.test_accuracy)):
            logits = classifier.logits(split.gather(np.arange(len(split))))
            assert accuracy == pytest.approx((logits.argmax(1) == split.labels).mean(), abs=1e-9)
    assert tiny.record.data.judged_train == 80


def test_a_study_holds_ordinary_runs_with_their_test_reports(
    tiny: eyesight.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", str(tiny.path / "runs"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    figures = {Path(row["run"]).name: row["test"] for row in rows}
    assert figures == {f"{run.arm}-{run.seed}": run.test_accuracy for run in tiny.record.runs}
    run = eyesight.open_run(tiny.path / "runs" / "dropout-0")
    assert run.evaluate().accuracy == figures["dropout-0"]
    assert len(run.reports()) == 1  # `evaluate` makes the same one again


def test_json_table_markdown_and_figure_say_the_same(tiny: eyesight.Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--resume", str(tiny.path), "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (result["format"], result["version"], result["complete"]) == ("eyesight-study", 1, True)
    assert (result["reference"], len(result["runs"]), len(result["outcomes"])) == ("none", 14, 7)
    assert err == f"figure: {tiny.figure}\n"  # complete: nothing was trained
    assert tiny.figure.read_bytes().startswith(b"\x89PNG")
    assert main(["study", "--resume", str(tiny.path), "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == table.caption(tiny.record)
    assert lines[2].startswith("| technique | train accuracy | test accuracy | gap | test, against none |")
    assert lines[3] == "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    dropout = result["outcomes"][1]
    assert lines[5].startswith(f"| dropout | {dropout['train']['mean']:.4f} ± {dropout['train']['sd']:.4f} |")
    assert main(["study", "--resume", str(tiny.path)]) == 0
    shown = capsys.readouterr().out
    assert result["conclusion"][0] in shown
    assert f"{dropout['difference']['mean']:+.4f}" in shown
    assert result["conclusion"][0] in tiny._repr_html_()
    assert repr(tiny) == f"Study({str(tiny.path)!r}: regularization, 14 of 14 runs)"
    stopping = tiny.record.result("early-stopping", 0)
    assert stopping is not None
    assert any(note.startswith("Early stopping used ") and "of 20 updates" in note for note in result["notes"])


def wait_until(condition: object, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 100
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
def test_a_study_that_is_stopped_goes_on_and_trains_no_finished_run_again(
    how: signal.Signals, tiny: eyesight.Study, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    command = [*PROGRAM, *TINY, "--seeds", "1", "-o", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    second = folder / "runs" / "dropout-0"
    wait_until((second / "config.yaml").exists, process)
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert out == ""
    if how == signal.SIGINT:
        assert process.returncode == 130
        said = rf"eyesight: error: interrupted in run [2-7] of 7; go on with: eyesight study --resume {folder}"
        assert re.fullmatch(said, err.splitlines()[-1])
    done = StudyFolder(folder).read()
    assert [run.arm for run in done.runs][:1] == ["none"]
    assert not done.complete
    kept = {run.arm: (folder / "runs" / f"{run.arm}-0" / "run.json").stat().st_mtime_ns for run in done.runs}
    again = eyesight.study(resume=folder, progress=False)
    assert again.record.complete
    for arm, changed in kept.items():
        assert (folder / "runs" / f"{arm}-0" / "run.json").stat().st_mtime_ns == changed
    for run in tiny.record.runs[:7]:  # the first seed
        same = again.record.result(run.arm, run.seed)
        assert same is not None
        assert (same.train_accuracy, same.test_accuracy) == (run.train_accuracy, run.test_accuracy)
        name = f"runs/{run.arm}-{run.seed}"
        assert weights(folder / name) == weights(tiny.path / name)


def test_a_run_that_was_interrupted_within_goes_on_from_its_saved_state(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    options = {"seeds": 1, "settings": {"recipe.epochs": 4, "recipe.lr": 0.01}, "threads": 1, "progress": False}
    whole = eyesight.study("dense-vs-conv", bars_data, output=tmp_path / "whole", **options)

    ended: list[EpochEnded] = []

    def interrupting(event: object) -> None:
        if isinstance(event, EpochEnded):
            ended.append(event)
            if len(ended) == 6:
                signal.raise_signal(signal.SIGINT)

    chosen = {**options["settings"], "machine.threads": 1}  # type: ignore[dict-item]
    with pytest.raises(InterruptedRun, match="interrupted in run 2 of 2; go on with: eyesight study --resume") as stop:
        studies.run(
            "dense-vs-conv", bars_data, seeds=1, settings=chosen, output=tmp_path / "s", listeners=[interrupting]
        )
    assert stop.value.exit_code == 130
    run = eyesight.open_run(tmp_path / "s" / "runs" / "small-cnn-1pool-0", data=bars_data)
    assert (run.status, len(run.metrics())) == ("interrupted", 2)
    with pytest.raises(UsageError, match=r"on arrays, which only Python can pass"):
        eyesight.study(resume=tmp_path / "s", progress=False)
    events: list[object] = []
    done = studies.resume(tmp_path / "s", bars_data, listeners=[events.append])
    assert [event.step for event in events if isinstance(event, Started)] == [10]  # of 20 updates
    assert weights(run.path) == weights(whole.path / "runs" / "small-cnn-1pool-0")
    assert [run.test_accuracy for run in done.record.runs] == [run.test_accuracy for run in whole.record.runs]


def test_the_same_command_again_trains_nothing_and_another_is_refused(
    tiny: eyesight.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    again = [*TINY, "--seeds", "2", "-o", str(tiny.path)]
    assert main(again) == 0
    assert capsys.readouterr().err == f"figure: {tiny.figure}\n"
    for changed, said in (
        (["--seeds", "3"], "seeds was 0, 1 and is 0, 1, 2"),
        (["--set", "recipe.lr=0.01"], "recipe.lr was not set and is 0.01; arms.weight-decay.recipe.weight_decay was"),
        (["--set", "recipe.updates=30"], "recipe.updates was 20 and is 30; "),
        (["--threads", "2"], "machine.threads was 1 and is 2"),
    ):
        assert main([*again, *changed]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"eyesight: error: {tiny.path}: holds another study, because {said}")
        assert error.endswith("choose another --output, or go on with that one by --resume\n")
        assert error.count("\n") == 1
    assert main(["study", "epochs", "-o", str(tiny.path), *SMALL]) == 1
    assert "study was regularization and is epochs" in capsys.readouterr().err


def test_differences_of_definitions_name_arms_and_settings() -> None:
    data = eyesight.load_data("digits", validation=0)
    one, other = define("epochs", data), define("epochs", data, full=True)
    assert differences(one, one) == []
    assert differences(one, other) == [
        "full was False and is True",
        "arms.epochs-64 was recipe.epochs 64 and is not set",
    ]


def test_data_that_changed_in_the_middle_is_refused(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    definition = define("dense-vs-conv", bars_data, seeds=1, settings={"recipe.epochs": 1, "machine.threads": 1})
    folder = StudyFolder(tmp_path / "s")
    runner.begin(folder, definition, runner.on_data(definition, bars_data))
    pictures = 255 - bars_data.train.gather(np.arange(len(bars_data.train)))
    others = eyesight.from_arrays((pictures, bars_data.train.labels), test=(pictures, bars_data.train.labels))
    with pytest.raises(RunError, match="cannot go on, because arrays is not what the study began with"):
        eyesight.study(resume=folder.path, data=others, progress=False)
    with folder.lock(), pytest.raises(RunError, match="another process is working on this study"):
        eyesight.study(resume=folder.path, data=bars_data, progress=False)
    assert conclude("dense-vs-conv", [], against=None) == ["There is nothing to compare yet."]
    unfinished = Study(folder.path, folder.read())
    assert unfinished.notes[0] == "0 of 2 runs are finished so far."


def test_a_run_of_something_else_in_the_way_is_not_touched(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    definition = define("dense-vs-conv", bars_data, seeds=1, settings={"recipe.epochs": 1, "machine.threads": 1})
    folder = StudyFolder(tmp_path / "s")
    seen = runner.on_data(definition, bars_data)
    runner.begin(folder, definition, seen)
    path = folder.run_path("mlp", 0)
    eyesight.train(seen, model="mlp", epochs=1, lr=0.5, threads=1, output=path, progress=False)
    before = weights(path)
    with pytest.raises(RunError, match="was trained with other settings than the study has; move it away"):
        train_run(path, definition.config_of(definition.arms[0], 0), seen, listeners=[])
    assert weights(path) == before


def test_architectures_compares_all_networks_that_fit_and_says_which_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["study", "architectures", *SMALL, "--set", "recipe.epochs=1", "--seeds", "1"]
    assert main([*command, "-o", "a", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    found = {outcome["label"]: outcome["network"] for outcome in result["outcomes"]}
    assert {"lenet5", "small-cnn-same", "small-cnn-1pool", "mlp"} <= found.keys()
    for name, network in found.items():
        summary = eyesight.summary(name, input=(8, 8, 1), classes=10)
        assert (network["parameters"], network["flops"]) == (summary.parameters, summary.flops)
    assert "Left out: small-cnn needs pictures of at least 18x18 pixels; received: 8x8." in result["notes"]
    lines = err.splitlines()
    total = len(found)
    assert lines[0].startswith(f"run {1:{len(str(total))}} of {total}  lenet5, seed 0: train 0.")
    assert " left" in lines[0]
    assert lines[-2].startswith(f"run {total} of {total}  ")
    assert " left" not in lines[-2]
    assert lines[-1] == "figure: a/figure.png"


def test_networks_too_large_for_equal_epochs_are_left_out_by_name() -> None:
    rng = np.random.default_rng(0)
    data = eyesight.from_arrays((rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8), np.arange(30) % 3))
    definition = define("architectures", data)
    left_out = definition.left_out
    assert {f"whitened-{widths}" for widths in ("64-128-128", "64-256-256", "128-384-384")} <= set(left_out)
    assert {arm.name for arm in definition.arms} == set(NETWORKS) - set(left_out)
    assert left_out["whitened-64-256-256"] == "whitened-64-256-256 takes 237 MFLOP a picture, more than 100"


def test_small_pictures_meet_the_small_form_of_every_known_architecture() -> None:
    def arms(side: int) -> set[str]:
        pictures = np.zeros((30, side, side, 3), np.uint8)
        return {arm.name for arm in define("architectures", eyesight.from_arrays((pictures, np.arange(30) % 3))).arms}

    assert {"lenet5", "small-alexnet", "small-vgg", "resnet20", "small-mobilenet-v2"} <= arms(32)
    assert not {"mobilenet-v2", "efficientnet-lite0", "resnet18"} & arms(32)
    assert {"mobilenet-v2", "efficientnet-lite0"} <= arms(64)
    data = eyesight.from_arrays((np.zeros((30, 32, 32, 3), np.uint8), np.arange(30) % 3))
    left_out = define("architectures", data).left_out
    assert left_out["mobilenet-v2"] == left_out["vgg16"]  # said once for all
    assert left_out["vgg16"].endswith("are made for photos; their small forms take their place")


def test_dense_layers_trains_the_same_convolutions_with_each_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["study", "dense-layers", *SMALL, "--set", "recipe.epochs=1", "--seeds", "1", "-o", "d", "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    found = {outcome["label"]: outcome["network"]["parameters"] for outcome in result["outcomes"]}
    assert list(found) == ["no hidden layer", "dense 32", "dense 64", "dense 256", "dense 256, 64"]
    assert found["dense 64"] == eyesight.summary("small-cnn-1pool", input=(8, 8, 1), classes=10).parameters
    assert eyesight.open_run("d/runs/dense-256-64-0").config.model.dense == (256, 64)


def test_epochs_trains_each_length_by_itself(tmp_path: Path, bars_data: eyesight.Dataset) -> None:
    done = eyesight.study("epochs", bars_data.with_sample(60), seeds=1, threads=1, progress=False)
    assert done.path == Path("studies/epochs-arrays")
    assert [run.updates for run in done.record.runs] == [1, 2, 4, 8, 16, 32, 64]
    assert done.record.data.train == 60
    assert done.figure.is_file()
    assert [row[0] for row in done.table()] == ["epochs", "1", "2", "4", "8", "16", "32", "64"]


def test_a_list_names_every_study_with_its_data_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert max(map(len, lines)) <= 80
    first = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in first] == list(STUDIES)
    assert "digits ×5: 1 min" in first[0]
    assert all("cifar10 ×3: " in line for line in first)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_defined_for_its_own_data(name: str, full: bool, data_dir: Path) -> None:
    data = eyesight.load_data(STUDIES[name].datasets[full], data_dir=data_dir, validation=0)
    definition = define(name, data, full=full)
    assert len(definition.seeds) >= 3
    for arm in definition.arms:
        config = definition.config_of(arm, 0)
        assert config.data.sample is None or not full
        assert config.recipe.keep == ("best" if config.recipe.early_stopping else "last")
    assert Definition.model_validate_json(definition.model_dump_json()) == definition
    assert runner.on_data(definition, data).test is not None


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["regularisation"], "unknown study 'regularisation'; did you mean 'regularization'?", 2),
        (["epochs", "digit"], "unknown dataset 'digit'; did you mean 'digits'?", 2),
        (["epochs", "mnist"], "mnist: not found; download it: eyesight data download mnist; or put ", 1),
        (["epochs", "--data-dir", "nowhere", "mnist"], "--data-dir: no such folder: nowhere", 2),
        (["epochs", "--seeds", "0"], "Invalid value for '--seeds'", 2),
        (["epochs", "--seeds", "many"], "Invalid value for '--seeds'", 2),
        (["epochs", "--threads", "0"], "Invalid value for '--threads'", 2),
        (["epochs", "--set", "recipe.epochs=3"], "--set: recipe.epochs: the study epochs sets it itself", 2),
        (["epochs", "--set", "recipe.updates=3"], "--set: recipe.updates: the study epochs sets it itself", 2),
        (["regularization", "--set", "recipe.epochs=3"], "--set: recipe.epochs: the study regularization sets", 2),
        (["architectures", "--set", "model.name=mlp"], "--set: model.name: the study architectures sets it itself", 2),
        (["epochs", "--set", "seed=3"], "--set: seed: the study epochs sets it itself", 2),
        (["epochs", "--set", "recipe.lr=-1"], "--set: recipe.lr: should be greater than 0; received: -1", 2),
        (["epochs", "--set", "recipe.learning=1"], "--set: recipe.learning: unknown key", 2),
        (["epochs", "--set", "data.sample=9999"], "--set: data.sample: digits has 1,438 training pictures", 2),
        (["epochs", "--set", "data.validation=test"], "--set: data.validation: a study looks at the test set once", 2),
        (["epochs", "--set", "model.name=small-cnn"], "small-cnn needs pictures of at least 18x18 pixels", 2),
        (["epochs", "-o", "junk"], "junk: exists and is not a study; choose another --output", 1),
        (["epochs", "-o", "file"], "file: expected a folder; choose another --output", 1),
        (["--full"], "--full: name the study that it is for, such as: eyesight study regularization", 2),
        (["--set", "recipe.lr=1"], "--set: name the study that it is for", 2),
        (["epochs", "--resume", "junk"], "NAME: --resume goes on with a study as it was defined; leave it out", 2),
        (["--seeds", "2", "--resume", "junk"], "--seeds: --resume goes on with a study as it was defined", 2),
        (["--resume", "junk"], "junk: not a study (it has no study.json)", 1),
        (["--resume", "nowhere"], "nowhere: no such study", 1),
        (["epochs", "--json", "--markdown"], "--markdown: expected one of --json and --markdown; received: both", 2),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    Path("junk").mkdir()
    Path("junk/notes.txt").write_text("mine")
    Path("file").write_text("mine")
    assert main(["study", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"eyesight: error: {said}")
    assert err.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["file", "junk"]  # nothing was written
    assert [path.name for path in Path("junk").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("not JSON", "not a JSON file, or cut off"),
        ({"format": "eyesight-run"}, "expected a file of format eyesight-study; received: 'eyesight-run'"),
        ({"version": 2}, "eyesight-study version 2 is newer than this eyesight reads"),
        ({"definition": {}}, "its entry definition.study is missing or wrong"),
        ({"runs": [{"arm": "none"}]}, "its entry runs.0.seed is missing or wrong"),
        ({"networks": {}}, "its networks or runs do not fit its definition"),
    ],
)
def test_a_damaged_study_file_is_refused_by_name(
    tiny: eyesight.Study, change: str | dict[str, object], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "study.json"
    values = json.loads((tiny.path / "study.json").read_text())
    file.write_text(change if isinstance(change, str) else json.dumps(values | change))
    with pytest.raises(FormatError) as error:
        eyesight.study(resume=tmp_path, progress=False)
    assert str(error.value).startswith(f"{file}: ")
    assert said in str(error.value)


def seen(data: eyesight.Dataset) -> eyesight.Split:
    """The training pictures that the regularization study takes of a dataset."""
    return runner.on_data(define("regularization", data), data).train


def test_from_python_too_what_cannot_be_is_refused(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seeds: expected 1 to 100; received: 0"):
        eyesight.study("epochs", seeds=0)
    with pytest.raises(UsageError, match="name: expected the name of a study, or resume"):
        eyesight.study()
    with pytest.raises(UsageError, match="resume: goes on with a study as it was defined"):
        eyesight.study("epochs", resume=tmp_path)
    alone = eyesight.from_arrays((np.zeros((40, 12, 12), np.uint8), np.arange(40) % 2))
    with pytest.raises(UsageError, match="data: arrays has no test pictures to judge on"):
        eyesight.study("epochs", alone, progress=False)
    chosen = {"recipe.updates": 5, "recipe.batch_size": 1}
    with pytest.raises(UsageError, match="batch normalisation needs at least two pictures in every update"):
        eyesight.study("regularization", bars_data, settings=chosen, progress=False)  # not in the middle of it
    assert not Path("studies").exists()


def test_a_terminal_gets_a_bar_for_the_run_at_hand() -> None:
    leader, follower = pty.openpty()
    with open(follower, "w") as stream, open(leader, "rb", buffering=0) as reader:  # noqa: PTH123 - a handle
        report = StudyReport(stream)
        report(RunBegun(2, 21, "dropout", 0))
        report(Progress(1, 10, 10, 0.5, 1.0, 0.5, 100.0, 3.0))
        report(Ended("complete", "all updates done", 5.0))
        report(
            RunFinished(
                RunResult(arm="dropout", seed=0, train_accuracy=1, test_accuracy=0.9, updates=20, seconds=5), 95
            )
        )
        stream.flush()
        text = ""
        while "left" not in text:  # a terminal hands out what it has, a part at a time
            text += reader.read(8192).decode()
    assert "run  2 of 21  dropout, seed 0" in text
    assert "run  2 of 21  dropout, seed 0: train 1.0000, test 0.9000, 5.0 s; about 1 min 35 s left" in text

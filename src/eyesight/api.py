"""What `import eyesight` offers: the steps of the project, put together.

In: names, arrays, paths. Out: `Dataset`, `Run`, `Classifier`, `Evaluation`, `Summary`. The command line calls these
and prints.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .classifier import Classifier, class_path
from .data import catalog
from .data.dataset import Dataset, from_arrays
from .errors import FormatError, RunError, UsageError
from .evaluation import figures
from .evaluation.judge import Report, judge
from .formats import write_json
from .models import default_network, network_spec
from .models.summary import Summary, summarise
from .predictions import Predictions, predict_split
from .run import (
    CONFIG_FORMAT,
    CONFIG_VERSION,
    PREDICTIONS_FILE,
    REPORT_FILE,
    RunFolder,
    next_run_path,
    read_config_file,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from .studies.study import Study
    from .training.events import Listener
    from .training.recipe import Config, DataConfig

DEFAULT_RUNS = Path("runs")


def load_data(
    data: str | tuple[Any, Any],
    *,
    data_dir: str | Path | None = None,
    validation: float | Literal["test"] = 0.1,
    split_seed: int = 0,
    test: tuple[Any, Any] | None = None,
    classes: list[str] | None = None,
) -> Dataset:
    """Load a dataset by name, or make one of arrays.

    Args:
        data: "digits", "mnist", "fashion-mnist", "cifar10", "cifar100"; or a pair (pictures, labels), see
            `eyesight.from_arrays`.
        data_dir: folder with the files of named datasets; $EYESIGHT_DATA where not given.
        validation: share of the training pictures to hold out for choices, or "test".
        split_seed: of the draw of those.
        test, classes: only with arrays: pictures and labels to judge on, and class names.

    Raises:
        UnknownNameError, DataNotFoundError, DataError, UsageError: see `catalog.load` and `from_arrays`.
    """
    if not isinstance(data, str):
        arrays = from_arrays(data, test=test, classes=classes, validation=0)
        return arrays.with_validation(validation, seed=split_seed)
    if test is not None or classes is not None:
        raise UsageError(f"test, classes: only for arrays; {data} has its own")
    return catalog.load(data, data_dir=data_dir, validation=validation, seed=split_seed)


@dataclass(frozen=True)
class Evaluation:
    """What judging a run on one split gave.

    Attributes:
        report: the numbers.
        predictions: what they were computed from.
        folder: where report, predictions and figures lie.
        figures: PNG files by name.
    """

    report: Report
    predictions: Predictions
    folder: Path
    figures: dict[str, Path]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.report.accuracy

    def __repr__(self) -> str:
        low, high = self.report.accuracy_interval
        return (
            f"Evaluation({self.report.split}: accuracy {self.accuracy:.4f} [{low:.4f}, {high:.4f}], "
            f"loss {self.report.loss:.4f}, n = {self.report.n:,})"
        )

    def _repr_html_(self) -> str:
        return self.report._repr_html_() + "".join(_image(path.read_bytes()) for path in self.figures.values())


class Run(RunFolder):
    """A training run: its folder, and what can be done with it."""

    _module: nn.Module | None = None
    _data: Dataset | None = None

    @property
    def config(self) -> Config:
        """The checked configuration of the run."""
        from .training.recipe import parse_config

        return parse_config(self.read_config(), f"{self.path}: config.yaml")

    def read_clock(self) -> list[float]:
        """Return the progress before each update, of a run that followed the clock; else nothing."""
        from .training.clock import read_record

        return read_record(self.clock_file)

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier that the run kept.

        Raises:
            RunError: the run has none, because it is not complete.
        """
        return self._load(self.model_file)

    def _load(self, path: Path) -> Classifier:
        if not path.is_file():
            raise RunError(
                f"{self.path}: has no model (it is {self.status}); go on with: eyesight train --resume {self.path}"
            )
        return Classifier.load(path, module=self._module)

    def data(self, data_dir: str | Path | None = None) -> Dataset:
        """Return the dataset that the run was trained on, split as it was.

        Raises:
            DataNotFoundError: the files are no longer where they were.
            UsageError: it was trained on arrays, which only the Python that trained it has.
        """
        if self._data is not None:
            return self._data
        wanted = self.config.data
        if wanted.kind == "arrays":
            raise UsageError(
                f"{self.path}: was trained on arrays, which only Python can pass: data=eyesight.from_arrays(…)"
            )
        folder = data_dir or _recorded_folder(self)
        return _load_wanted(wanted, folder)

    def evaluate(
        self,
        split: str | None = None,
        *,
        data: Dataset | None = None,
        data_dir: str | Path | None = None,
        weights: Literal["kept", "last"] = "kept",
    ) -> Evaluation:
        """Judge the run's classifier and write report, predictions and figures into the run's folder.

        Args:
            split: "test" (the default where there is one), "validation" or "train".
            data: the dataset, where the run was trained on arrays or should be judged on other data.
            data_dir: folder with the dataset's files.
            weights: "kept" or "last"; they differ where the best epoch was not the last.
        """
        if weights not in ("kept", "last"):
            raise UsageError(f"weights: expected kept or last; received: {weights!r}")
        use_last = weights == "last" and self.last_model_file.is_file()
        classifier = self._load(self.last_model_file) if use_last else self.classifier
        data = data or self.data(data_dir)
        chosen = data.split(split or ("test" if data.test else "validation" if data.validation else "train"))
        if classifier.classes != data.classes:
            raise UsageError(f"data: {data.name} has other classes than {self.path} was trained on")
        predictions = predict_split(classifier, chosen, model=classifier.checksum or "")
        report = judge(predictions, source=chosen.source, notes=self._notes(classifier, data, chosen.name))
        key = hashlib.sha256(f"{predictions.model}{predictions.data}".encode()).hexdigest()
        folder = self.evaluation_folder(chosen.name, key)
        predictions.save(folder / PREDICTIONS_FILE)
        write_json(folder / REPORT_FILE, report.to_json())
        drawn = {
            "curves": self._curves(),
            "confusion": figures.confusion(report),
            "samples": figures.sample_predictions(predictions, chosen),
            "mistakes": figures.confident_mistakes(report, predictions, chosen),
            "label-counts": figures.label_counts(data),
        }
        paths = {name: figures.save(f, folder / f"{name}.png") for name, f in drawn.items() if f is not None}
        return Evaluation(report, predictions, folder, paths)

    def _curves(self) -> Figure | None:
        """Return the figure of the epochs so far, if there are any."""
        rows = self.metrics()
        name = "test" if self.config.data.validation == "test" else "validation"
        return figures.curves(rows, validation=name) if rows else None

    def _notes(self, classifier: Classifier, data: Dataset, split: str) -> tuple[str, ...]:
        """Return what a reader must know to read the numbers right.

        Raises:
            UsageError: pictures of other data that this run may have learned from.
        """
        notes = []
        training = classifier.training
        if training and training.fingerprint != data.fingerprint:
            if split != "test" and data.kind == "catalog" and data.name == training.data:
                raise UsageError(
                    f"data: {data.name} is not what {self.path} was trained on, so its {split} pictures may have been "
                    "learned from; only test can be judged"
                )
            notes.append("the data differs from what the run was trained with, in its pictures or its split")
        if split == "test" and self.config.data.validation == "test":
            notes.append("the test set was validation data in every epoch, as in the tutorials")
        if split == "train":
            notes.append("these pictures were learned from; the accuracy on new ones is lower")
        if split == "validation" and training and training.weights == "best":
            notes.append("the epoch was chosen on these pictures; the accuracy on new ones is a little lower")
        if changes := self.about().get("forced"):
            notes.append(f"the run went on with --force after changes: {'; '.join(changes)}")
        if self.status != "complete":
            notes.append(f"the run is {self.status}; these are the last good weights")
        return tuple(notes)

    def __repr__(self) -> str:
        about = self.about()
        return f"Run({str(self.path)!r}: {about.get('data')}, {about.get('model')}, {about.get('status')})"

    def _repr_html_(self) -> str:
        about = self.about()
        facts = f"{about.get('model')} on {about.get('data')}, {about.get('status')}"
        text = f"<p><b>{escape(str(self.path))}</b>: {escape(facts)}</p>"
        curves = self._curves()
        return text + (_image(figures.png(curves)) if curves else "")


def train(
    data: str | Dataset | tuple[Any, Any] | None = None,
    *,
    model: str | nn.Module | None = None,
    output: str | Path | None = None,
    seed: int | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    replay: str | Path | Run | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    validation: float | Literal["test"] | None = None,
    device: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    deterministic: bool | None = None,
    overwrite: bool = False,
    progress: bool = True,
    checkpoint_every: float | None = None,
    listeners: Sequence[Listener] = (),
    **recipe: Any,
) -> Run:
    """Train a network and return the run.

    Args:
        data: a name, a `Dataset`, or a pair of arrays (pictures, labels); "digits" where neither this nor a
            configuration names one.
        model: a network's name (default: one that fits the pictures), or your own `nn.Module`, which is trained in
            place and must map (N, C, H, W) to logits (N, K).
        output: the run's folder; runs/DATA-MODEL-1, -2, … where not given.
        seed: of first weights and order (default 0). The same seed on the same machine gives the same weights, bit
            for bit.
        config: a config.yaml, or its contents, to start from; other arguments override it.
        settings: dotted configuration keys and values, such as {"recipe.label_smoothing": 0.1}.
        replay: a run to repeat bit for bit, also one that followed the clock: its configuration, and its progress
            before each update as it was recorded. Takes no `config`, nor anything that would change the result.
        data_dir, validation: see `load_data`.
        device, precision, threads: "cpu", "cuda", …; "auto", "fp32" or "bf16"; number of CPU threads.
        deterministic: on a GPU, take slower kernels whose results repeat bit for bit; a CPU's always do.
        overwrite: replace an older run in `output`.
        progress: report on stderr.
        checkpoint_every: seconds between saved states; 30, or more where saving is slow, if not given.
        listeners: called with every event; see `eyesight.training.events`.
        **recipe: fields of the recipe: epochs or budget (seconds, from this call to the saved model), batch_size, lr,
            optimizer, schedule, averaging, early_stopping, …

    Raises:
        UsageError: something asked for does not exist or does not fit; nothing has been written then.
        RunError: `output` exists.
        TrainingError: training could not go on.
        InterruptedRun: Ctrl-C or SIGTERM; the state is saved, and `eyesight.resume` goes on.
    """
    from .training import trainer

    began = time.perf_counter()
    module = None if model is None or isinstance(model, str) else model
    given = {f"recipe.{key}": value for key, value in recipe.items()} | {
        "machine.device": device,
        "machine.precision": precision,
        "machine.threads": threads,
        "machine.deterministic": deterministic,
        "model.name": class_path(module) if module else model,
        "model.kind": "module" if module else "registry" if model else None,
        "seed": seed,
        "data.validation": validation,
    }
    if isinstance(data, str):
        given |= {"data.name": data, "data.kind": "catalog"}
    if replay is not None:
        replay = open_run(replay.path if isinstance(replay, RunFolder) else replay)
        config = _config_to_replay(replay, config, {**given, **(settings or {})})
    parsed = _configuration(config, given, settings or {})
    if output:
        RunFolder(output).check_free(overwrite=overwrite)
    record = replay.read_clock() if replay is not None else []
    if replay is not None and data is None:
        dataset = replay.data(data_dir)
    else:
        dataset = _dataset(data, parsed, data_dir, validation)
    if replay is not None and replay.read_environment().get("data_fingerprint") != dataset.fingerprint:
        raise RunError(f"{replay.path}: cannot be repeated, because {dataset.name} is not what it was trained on")
    parsed = _completed(parsed, dataset, module)
    label = parsed.model.name.rpartition(".")[2].lower()
    run = trainer.start(
        dataset,
        parsed,
        partial(RunFolder.create, output, overwrite=overwrite)
        if output
        else partial(RunFolder.create_next, DEFAULT_RUNS, f"{dataset.name}-{label}"),
        module=module,
        listeners=_listeners(listeners, progress=progress),
        checkpoint_every=checkpoint_every,
        began=began,
        record=record,
    )
    return open_run(run.path, data=dataset, module=module)


def resume(
    run: str | Path | Run,
    *,
    data: Dataset | None = None,
    model: nn.Module | None = None,
    data_dir: str | Path | None = None,
    progress: bool = True,
    checkpoint_every: float | None = None,
    force: bool = False,
    listeners: Sequence[Listener] = (),
) -> Run:
    """Go on with an interrupted run; its weights end as if it had never stopped. See `trainer.resume`.

    Args:
        run: the run or its folder.
        data: the dataset, where the run was trained on arrays.
        model: an instance of your own network, where it was trained on one.
        data_dir, progress, checkpoint_every, listeners: see `train`.
        force: go on although data, configuration or versions have changed; the listeners are told what that loses.
    """
    from .training import trainer

    found = open_run(run.path if isinstance(run, RunFolder) else run, data=data, module=model)
    if model is None and found.config.model.kind == "module":
        raise UsageError(f"{found.path}: its network is your own class; pass an instance as model=")
    trainer.resume(
        found.path,
        lambda: found.data(data_dir),
        module=model,
        listeners=_listeners(listeners, progress=progress),
        checkpoint_every=checkpoint_every,
        force=force,
    )
    return open_run(found.path, data=data, module=model)


def tutorial(
    name: str,
    *,
    ours: bool = False,
    output: str | Path | None = None,
    data: Dataset | None = None,
    data_dir: str | Path | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    updates: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Run:
    """Run one of the five tutorials to the letter, with an account of each step on stdout.

    Args:
        name: "fashion-early-stopping", "cifar10-quickstart", "fashion-same-padding", "lenet5-mnist" or "cifar10-dense".
        ours: afterwards train our own configuration on the same data, in no more time, and compare.
        output: the run's folder; runs/NAME-1, -2, … where not given. Ours goes into the same with "-ours" at its end.
        data: the tutorial's dataset, or a part of it for a quick look; loaded by name where not given.
        seed: of first weights and order; the tutorial's where not given.
        epochs, updates: another length than the tutorial's.
        data_dir, device, threads, overwrite, progress: see `train`.

    Returns:
        The run; with `ours`, that of our configuration.

    Raises:
        UsageError: no such tutorial, data that is not the tutorial's, or arguments that don't go together.
        DataNotFoundError, RunError, InterruptedRun: see `train`.
    """
    from .lessons.tutorials.story import Outcome
    from .lessons.tutorials.telling import Telling
    from .training import presets

    preset = presets.find(name)
    length = preset.other_length(epochs=epochs, updates=updates)
    if ours and length:
        raise UsageError(f"--ours: compares with the whole tutorial; leave out --{next(iter(length))[7:]}")
    folder = Path(output) if output else next_run_path(DEFAULT_RUNS, preset.name)
    folders = [folder, *([folder.with_name(f"{folder.name}-ours")] if ours else [])]
    for path in folders:
        RunFolder(path).check_free(overwrite=overwrite)
    given = {"seed": seed, "machine.device": device, "machine.threads": threads}
    configs = [_configuration(values, given, length) for values in (preset.config, preset.ours)]
    data = data or load_data(configs[0].data.name, data_dir=data_dir)
    data = data.with_validation(configs[0].data.validation)
    telling = Telling(preset, data, configs, RunFolder(folder))
    for config, path, part in zip(configs, folders, telling.parts, strict=False):
        part.open()
        run = train(
            data.with_validation(config.data.validation),
            config=config.model_dump(),
            output=path,
            overwrite=overwrite,
            progress=False,
            listeners=[_bar(progress), part.listen],
        )
        judged = run.evaluate("test")
        part.close(Outcome(run.path, run.metrics(), judged.report, judged.predictions))
    telling.table()
    return run


def study(
    name: str | None = None,
    data: str | Dataset | None = None,
    *,
    full: bool = False,
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    output: str | Path | None = None,
    threads: int | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
) -> Study:
    """Measure side by side what a choice does to the result, over several seeds.

    Runs that are finished are not trained again: the same call goes on with a study that was interrupted.

    Args:
        name: "regularization", "dense-vs-conv", "architectures" or "epochs".
        data: a name or a dataset; the study's own where not given.
        full: the real thing, on all training pictures, instead of a few minutes' worth.
        seeds: how often each way of training is repeated; 3 or 5 times where not given.
        settings: dotted configuration keys and values for all runs, such as {"recipe.optimizer": "sgd"}.
        data_dir: see `load_data`.
        output: the study's folder; studies/NAME where not given.
        threads: number of CPU threads.
        resume: a study's folder to go on with, in place of `name` and what belongs to it.
        progress: report on stderr.

    Raises:
        UsageError: something asked for does not exist or does not fit; nothing has been written then.
        RunError: `output` holds something else, or a study that was defined otherwise.
        InterruptedRun: Ctrl-C or SIGTERM; everything so far is saved.
    """
    from .progress import StudyReport
    from .studies import study as studies

    listeners = [StudyReport()] if progress else []
    if resume is not None:
        if name is not None or isinstance(data, str):
            raise UsageError("resume: goes on with a study as it was defined; leave name and data out")
        return studies.resume(resume, data, data_dir=data_dir, listeners=listeners)
    if name is None:
        raise UsageError("name: expected the name of a study, or resume")
    chosen = {**(settings or {}), **({} if threads is None else {"machine.threads": threads})}
    return studies.run(
        name, data, full=full, seeds=seeds, settings=chosen, data_dir=data_dir, output=output, listeners=listeners
    )


def open_run(path: str | Path, *, data: Dataset | None = None, module: nn.Module | None = None) -> Run:
    """Open an existing run.

    Args:
        path: its folder.
        data: the dataset, where it was trained on arrays.
        module: an instance of your own network, where it was trained on one.
    """
    run = Run(RunFolder.open(path).path)
    run._data, run._module = data, module
    return run


def load_classifier(path: str | Path, *, module: nn.Module | None = None) -> Classifier:
    """Load a classifier from a model file or from a run's folder."""
    return open_run(path, module=module).classifier if Path(path).is_dir() else Classifier.load(path, module=module)


def summary(model: str, *, input: tuple[int, int, int], classes: int) -> Summary:
    """Return the layer table of a network.

    Args:
        model: a network's name.
        input: (H, W, C) of the pictures.
        classes: number of classes.

    >>> summary("lenet5", input=(32, 32, 1), classes=10).parameters
    61706
    """
    return summarise(network_spec(model, shape=input, classes=classes))


def _configuration(
    config: str | Path | Mapping[str, Any] | None, given: Mapping[str, Any], settings: Mapping[str, Any]
) -> Config:
    """Return the checked configuration: file or mapping, then arguments, then settings."""
    from .training.recipe import LENGTHS, parse_config, set_values

    base: Mapping[str, Any] = {}
    if isinstance(config, Mapping):
        base = {"format": CONFIG_FORMAT, "version": CONFIG_VERSION, **config}
    elif config is not None:
        base = read_config_file(Path(config))
        parse_config(base, str(config))  # first alone, so that a fault is told where it is
    chosen = {key: value for key, value in given.items() if value is not None} | dict(settings)
    lengths = [f"recipe.{name}" for name in LENGTHS]
    if any(chosen.get(name) is not None for name in lengths):  # the one asked for replaces the one of the file
        chosen = dict.fromkeys(lengths) | chosen
    return parse_config(set_values(base, chosen))


def _config_to_replay(run: Run, config: object, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration of a run that is to be repeated; nothing may change it."""
    own = ("model.name", "model.kind") if given.get("model.kind") == "module" else ()  # the instance it was trained on
    asked = [key for key, value in given.items() if value is not None and key not in own]
    asked += ["config"] * (config is not None)
    if asked:
        raise UsageError(f"replay: repeats {run.path} as it was; received: {asked[0]}")
    if run.status != "complete":
        raise RunError(f"{run.path}: is {run.status}; only a complete run can be repeated")
    if run.about().get("forced"):
        raise RunError(f"{run.path}: went on with --force after changes, and so cannot be repeated")
    return run.read_config()


def _dataset(
    data: str | Dataset | tuple[Any, Any] | None,
    config: Config,
    data_dir: str | Path | None,
    validation: float | Literal["test"] | None,
) -> Dataset:
    """Return the dataset that the arguments or the configuration mean."""
    if isinstance(data, Dataset):
        return data if validation is None else data.with_validation(validation, seed=data.split_seed)
    if data is not None and not isinstance(data, str):
        wanted = config.data
        arrays = load_data(data, validation=wanted.validation, split_seed=wanted.split_seed)
        return arrays if wanted.sample is None else arrays.with_sample(wanted.sample, seed=wanted.split_seed)
    if config.data.kind == "arrays":
        raise UsageError("data: the configuration was made for arrays; pass them")
    return _load_wanted(config.data, data_dir)


def _load_wanted(wanted: DataConfig, data_dir: str | Path | None) -> Dataset:
    """Return the named dataset that a configuration describes."""
    return catalog.load(
        wanted.name, data_dir=data_dir, validation=wanted.validation, seed=wanted.split_seed, sample=wanted.sample
    )


def _completed(config: Config, data: Dataset, module: nn.Module | None) -> Config:
    """Return the configuration with what only the data tells: its split, and the network that fits it."""
    if config.model.kind == "module" and module is None:
        raise UsageError(f"model: the configuration was made for {config.model.name}; pass an instance")
    share = data.validation_share
    name = default_network(data.shape) if config.model.name == "auto" else config.model.name
    changes = {
        "name": data.name,
        "kind": data.kind,
        "validation": share if share == "test" else float(share),
        "split_seed": data.split_seed,
        "sample": data.sample,
    }
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=changes),
            "model": config.model.model_copy(update={"name": name}),
        }
    )


def _listeners(given: Sequence[Listener], *, progress: bool) -> list[Listener]:
    from .progress import ProgressReport

    return [*([ProgressReport()] if progress else []), *given]


def _bar(progress: bool) -> Listener:
    """Return what shows progress where somebody else prints the lines of the epochs."""
    from .training.events import EpochEnded, Event

    def tell(event: Event) -> None:
        for listener in listeners if not isinstance(event, EpochEnded) else ():
            listener(event)

    listeners = _listeners([], progress=progress)
    return tell


def _recorded_folder(run: RunFolder) -> str | None:
    """Return where the run's data lay, if it is still there and the user named no other place."""
    if os.environ.get("EYESIGHT_DATA"):
        return None
    try:
        folder = run.read_environment().get("data_folder")
    except FormatError:
        return None
    return folder if folder and Path(folder).is_dir() else None


def _dataset_html(data: Dataset) -> str:
    """Return a dataset's sizes and a picture of its classes, for notebooks."""
    return f"<p>{escape(repr(data))}</p>" + _image(figures.png(figures.class_grid(data, data.train)))


# Drawing lies to the right of data in the order of imports, so this method is bound here, where both are known.
Dataset._repr_html_ = _dataset_html  # type: ignore[attr-defined]


def _image(data: bytes) -> str:
    return f'<img style="max-width:100%" src="data:image/png;base64,{base64.b64encode(data).decode()}">'

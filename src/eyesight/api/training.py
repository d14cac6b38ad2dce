"""Training as a user asks for it: a new run, a run to go on with, a run to repeat.

In: data, a network, settings. Out: `Run`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..backbones import BACKBONES
from ..classifier import class_path
from ..data.dataset import Dataset
from ..data.open import kind_of, open_wanted
from ..errors import RunError, UnknownNameError, UsageError, concerns, naming
from ..formats import check_path
from ..run import RunFolder, read_config_file
from .arguments import check_dataset, check_module, check_settings, check_watching
from .datasets import report_reading
from .runs import Run, open_run

if TYPE_CHECKING:
    from torch import nn

    from ..training.events import Listener
    from ..training.plan.recipe import Config
    from ..training.plan.resolve import Request

DEFAULT_RUNS = Path("runs")
_ARGUMENTS = {
    "data.name": "data",
    "data.validation": "validation",
    "machine.deterministic": "deterministic",
    "machine.device": "device",
    "machine.precision": "precision",
    "machine.threads": "threads",
    "model.name": "model",
}


def train(
    data: str | os.PathLike[str] | Dataset | tuple[Any, Any] | None = None,
    *,
    model: str | nn.Module | None = None,
    backbone: str | None = None,
    tune: bool = False,
    output: str | Path | None = None,
    seed: int | None = None,
    preset: str | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    replay: str | Path | Run | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    validation: float | Literal["test"] | None = None,
    device: str | None = None,
    precision: str | None = None,
    threads: int | str | None = None,
    deterministic: bool | None = None,
    overwrite: bool = False,
    progress: bool = True,
    checkpoint_every: float | None = None,
    listeners: Sequence[Listener] = (),
    **recipe: Any,
) -> Run:
    """Train a network and return the run.

    Args:
        data: a name, a folder of photos, a table or archive of them, a `Dataset`, or a pair of arrays (pictures,
            labels); "digits" where neither this nor a configuration names one.
        model: a network's name (default: one that fits the pictures and a budget), or your own `nn.Module`, which
            is trained in place and must map (N, C, H, W) to logits (N, K).
        backbone: a pretrained network's name, "efficientnet-lite0" (what photos get where no `model` is named), -lite1
            or -lite2: the photos' features, and a linear layer fitted on them in seconds, instead of `model`.
        tune: after that layer, learn the pretrained network's upper stages and then all of it, for `epochs` or
            `budget`; kept only where that is better on validation pictures.
        output: the run's folder; runs/DATA-MODEL-1, -2, … where not given.
        seed: of first weights and order (default 0). The same seed and threads on the same machine give the same
            weights, bit for bit.
        preset: name of a configuration to start from; see `eyesight presets`. Other arguments override it. A
            `Dataset` is split as the preset says: with none held out.
        config: a config.yaml, or its contents, to start from instead.
        settings: dotted configuration keys and values, such as {"recipe.label_smoothing": 0.1}.
        replay: a run to repeat bit for bit, also one that followed the clock: its configuration, and its progress
            before each update as it was recorded. Takes no `config`, nor anything that would change the result.
        data_dir, validation: see `load_data`.
        device, precision, threads: "cpu", "cuda", …; "auto", "fp32" or "bf16"; number of CPU threads, or
            "auto" (the default), which takes one or all, whichever is faster while it trains, and records it.
        deterministic: on a GPU, take slower kernels whose results repeat bit for bit; a CPU's always do.
        overwrite: replace an older run in `output`.
        progress: report on stderr.
        checkpoint_every: seconds between saved states; 30, or more where saving is slow, if not given.
        listeners: called with every event; see `eyesight.training.events`.
        **recipe: fields of the recipe: epochs or budget (seconds, or "5m"; from this call to the saved model),
            batch_size, lr, optimizer, schedule, averaging, early_stopping, …

    Raises:
        UsageError: something asked for does not exist or does not fit; nothing has been written then.
        RunError: `output` exists.
        TrainingError: training could not go on.
        InterruptedRun: Ctrl-C or SIGTERM; a KeyboardInterrupt. The state is saved: `eyesight.resume(error.run)` goes
            on, and `eyesight.open_run(error.run).classifier` has the weights so far.
    """
    from ..training.plan.resolve import choose_backbone, read_request, resolve

    began = time.perf_counter()
    module = None if model is None or isinstance(model, str) else model
    if backbone is not None:
        check_backbone(backbone, model)
        model = backbone
    check_module(module)
    check_settings(settings)
    check_watching(listeners, checkpoint_every)
    for field, path in {"output": output, "data_dir": data_dir}.items():
        if path is not None:
            check_path(path, field)
    changes = {f"recipe.{key}": value for key, value in recipe.items()} | {
        **({"recipe.method": "tune" if tune else "probe"} if backbone or tune else {}),
        "machine.device": device,
        "machine.precision": precision,
        "machine.threads": threads,
        "machine.deterministic": deterministic,
        "model.name": class_path(module) if module else model,
        "model.kind": "module" if module else "registry" if model else None,
        "data.name": os.fspath(data) if isinstance(data, str | os.PathLike) else None,
        "data.kind": kind_of(data, data_dir) if isinstance(data, str | os.PathLike) else None,
        "data.validation": validation,
        "seed": seed,
    }
    changes = {key: value for key, value in changes.items() if value is not None} | dict(settings or {})
    with naming_arguments(settings):
        repeated = None if replay is None else _open_to_repeat(replay, module, changes, preset or config, output)
        base, source = _base(preset, config, repeated)
        request = read_request(base, changes, source=source)
        if output:
            RunFolder(output).check_free(overwrite=overwrite)
        pretrained = choose_backbone(request, own_module=module is not None)
        if repeated is not None and data is None:
            dataset = repeated.data(data_dir)
        else:
            share = base["data"]["validation"] if preset is not None and validation is None else validation
            dataset = open_wanted(
                data,
                request.config.data,
                data_dir=data_dir,
                validation=share,
                large=BACKBONES[pretrained].size if pretrained else None,
                progress=report_reading() if progress else None,
            )
        begin = partial(_create, output, overwrite=overwrite)
        listeners = with_progress(listeners, progress=progress)
        repeats = repeated.folder if repeated else None
        if pretrained and (found := _prepare_pretrained(request, dataset, pretrained, given=isinstance(data, Dataset))):
            dataset, whole, start = found
            if whole.recipe.method == "tune":
                start = partial(start, checkpoint_every=checkpoint_every)
            run = start(dataset, whole, begin(dataset, whole), listeners=listeners, began=began, repeats=repeats)
            return open_run(run.path, data=dataset)
        from ..training import trainer

        whole, planned = resolve(request, dataset, own_module=module is not None, began=began)
        run = trainer.start(
            dataset,
            whole,
            begin(dataset, whole),
            module=module,
            listeners=listeners,
            checkpoint_every=checkpoint_every,
            began=began,
            planned=planned,
            repeats=repeats,
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
        force: go on although versions have changed, or start over where no saved state can be read.
    """
    from ..training import trainer

    if data is not None:
        check_dataset(data)
    if isinstance(model, str):
        raise UsageError(f"expected an instance of your own network, or nothing; received: {model!r}", field="model")
    check_module(model)
    check_watching(listeners, checkpoint_every)
    found = open_run(run.path if isinstance(run, Run) else run, data=data, module=model)
    trainer.resume(
        found.path,
        lambda: found.data(data_dir),
        module=model,
        listeners=with_progress(listeners, progress=progress),
        checkpoint_every=checkpoint_every,
        force=force,
    )
    return open_run(found.path, data=data, module=model)


def _prepare_pretrained(
    request: Request, dataset: Dataset, backbone: str, *, given: bool
) -> tuple[Dataset, Config, Callable[..., RunFolder]] | None:
    """Return data, configuration and what starts a probe or the tuning after it; None for training by gradient.

    Args:
        request: what was asked for.
        dataset: what is learned from.
        backbone: the pretrained network.
        given: whether the user passed a `Dataset`, which is split as the user has it.
    """
    from ..training import probe
    from ..training.plan import resolve

    if request.config.recipe.method == "tune":
        from ..training import tuning

        dataset = dataset if given else resolve.split_to_tune(request, dataset)
        resolve.check_tuned(request, dataset, backbone)
        return dataset, resolve.resolve_tuning(request, dataset, backbone), tuning.start
    if not resolve.is_probe(request, dataset, backbone):
        return None
    dataset = dataset if given else resolve.choose_split(request, dataset)
    return dataset, resolve.resolve_probe(request, dataset, backbone), probe.start


def _create(
    output: str | Path | None, data: Dataset, config: Config, *, overwrite: bool
) -> Callable[[dict[str, Any]], RunFolder]:
    """Return what makes the folder of a new run: the one that was asked for, or the next under runs/."""
    if output:
        return partial(RunFolder.create, output, overwrite=overwrite)
    name = f"{data.name}-{config.model.name.rpartition('.')[2].lower()}"
    return partial(RunFolder.create_next, DEFAULT_RUNS, name)


def check_backbone(backbone: str, model: object = None) -> None:
    """Raise `UsageError` unless there is such a backbone, and no other network is named beside it."""
    if backbone not in BACKBONES:
        raise UnknownNameError("backbone", backbone, BACKBONES)
    if model is not None:
        raise UsageError(f"is a network by itself, without a model; received: {backbone}", field="backbone")


def _base(
    preset: str | None, config: str | Path | Mapping[str, Any] | None, repeated: Run | None
) -> tuple[Mapping[str, Any], str]:
    """Return the entries to start from, and the file that they came from."""
    from ..training.plan.presets import find

    if repeated is not None:
        return repeated.read_config(), ""
    if preset is not None:
        if config is not None:
            raise UsageError(f"is a whole configuration, without config; received: {preset}", field="preset")
        return find(preset).config, ""
    if config is None or isinstance(config, Mapping):
        return config or {}, ""
    check_path(config, "config")
    return read_config_file(Path(config)), str(config)


def _open_to_repeat(
    replay: str | Path | Run, module: nn.Module | None, changes: Mapping[str, Any], base: object, output: object
) -> Run:
    """Return the run that is to be repeated; nothing may change it."""
    from ..training.trainer import check_module as check_trained

    if not isinstance(replay, Run):
        check_path(replay, "replay")
    run = open_run(replay.path if isinstance(replay, Run) else replay)
    own = ("model.name", "model.kind") if module else ()  # the instance it was trained on
    if asked := [*(key for key in changes if key not in own), *(["config"] if base is not None else [])]:
        raise UsageError(f"repeats {run.path} as it was; received: {asked[0]}", field="replay")
    if run.status != "complete":
        raise RunError(f"{run.path}: is {run.status}; only a complete run can be repeated")
    if run.about().get("forced"):
        raise RunError(f"{run.path}: went on with --force after changes, and so cannot be repeated")
    check_trained(run.config, module, str(run.path))
    if isinstance(output, str | Path) and Path(output).resolve() == run.path.resolve():
        raise UsageError(f"expected another folder than that of the run to repeat; received: {output}", field="output")
    return run


def naming_arguments(settings: Mapping[str, Any] | None) -> AbstractContextManager[None]:
    """Let errors inside name the argument where they know the configuration's entry; not where settings name it."""

    def rename(field: str) -> str:
        if any(concerns(field, key) for key in settings or ()):
            return field
        return _ARGUMENTS.get(field, field.removeprefix("recipe."))

    return naming(rename)


def with_progress(given: Sequence[Listener], *, progress: bool) -> list[Listener]:
    """Return the listeners, with one that reports on stderr before them."""
    from ..progress import ProgressReport

    return [*([ProgressReport()] if progress else []), *given]

"""Training as a user asks for it: a new run, a run to go on with, a run to repeat.

In: data, a network, settings. Out: `Run`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..classifier import class_path
from ..data.dataset import Dataset
from ..errors import RunError, UsageError
from ..run import CONFIG_FORMAT, CONFIG_VERSION, RunFolder, read_config_file
from .datasets import load_data, load_wanted
from .runs import Run, open_run

if TYPE_CHECKING:
    from torch import nn

    from ..training.events import Listener, Planned
    from ..training.plan.recipe import Config

DEFAULT_RUNS = Path("runs")


def train(
    data: str | Dataset | tuple[Any, Any] | None = None,
    *,
    model: str | nn.Module | None = None,
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
        data: a name, a `Dataset`, or a pair of arrays (pictures, labels); "digits" where neither this nor a
            configuration names one.
        model: a network's name (default: one that fits the pictures and a budget), or your own `nn.Module`, which
            is trained in place and must map (N, C, H, W) to logits (N, K).
        output: the run's folder; runs/DATA-MODEL-1, -2, … where not given.
        seed: of first weights and order (default 0). The same seed on the same machine gives the same weights, bit
            for bit.
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
        **recipe: fields of the recipe: epochs or budget (seconds, from this call to the saved model), batch_size, lr,
            optimizer, schedule, averaging, early_stopping, …

    Raises:
        UsageError: something asked for does not exist or does not fit; nothing has been written then.
        RunError: `output` exists.
        TrainingError: training could not go on.
        InterruptedRun: Ctrl-C or SIGTERM; the state is saved, and `eyesight.resume` goes on.
    """
    from ..training import trainer
    from ..training.plan.presets import find
    from ..training.plan.recipe import parse_config

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
    if preset is not None:
        if config is not None or replay is not None:
            raise UsageError(f"preset: is a whole configuration, without config or replay; received: {preset}")
        config = find(preset).config
        validation = config["data"]["validation"] if validation is None else validation
    if replay is not None:
        replay = open_run(replay.path if isinstance(replay, Run) else replay)
        config = _config_to_replay(replay, config, {**given, **(settings or {})})
        trainer.check_module(replay.config, module, str(replay.path))
        if output and Path(output).resolve() == replay.path.resolve():
            raise UsageError(f"output: expected another folder than that of the run to repeat; received: {output}")
    values = merged(config, given, settings or {})
    parsed = parse_config(values)
    if output:
        RunFolder(output).check_free(overwrite=overwrite)
    if replay is not None and data is None:
        dataset = replay.data(data_dir)
    else:
        dataset = _dataset(data, parsed, data_dir, validation)
    parsed, planned = _completed(values, parsed, dataset, module, began)
    label = parsed.model.name.rpartition(".")[2].lower()
    run = trainer.start(
        dataset,
        parsed,
        partial(RunFolder.create, output, overwrite=overwrite)
        if output
        else partial(RunFolder.create_next, DEFAULT_RUNS, f"{dataset.name}-{label}"),
        module=module,
        listeners=with_progress(listeners, progress=progress),
        checkpoint_every=checkpoint_every,
        began=began,
        planned=planned,
        repeats=replay.folder if replay else None,
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
    from ..training import trainer

    if data is not None and not isinstance(data, Dataset):
        raise UsageError(f"data: expected a Dataset, as eyesight.from_arrays gives; received: {type(data).__name__}")
    if isinstance(model, str):
        raise UsageError(f"model: expected an instance of your own network, or nothing; received: {model!r}")
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


def configuration(
    config: str | Path | Mapping[str, Any] | None, given: Mapping[str, Any], settings: Mapping[str, Any]
) -> Config:
    """Return the checked configuration: file or mapping, then arguments, then settings."""
    from ..training.plan.recipe import parse_config

    return parse_config(merged(config, given, settings))


def merged(
    config: str | Path | Mapping[str, Any] | None, given: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the entries of a configuration that were asked for: file or mapping, then arguments, then settings."""
    from ..training.plan.recipe import LENGTHS, parse_config, set_values

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
    return set_values(base, chosen)


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
    return load_wanted(config.data, data_dir)


def _completed(
    values: Mapping[str, Any], config: Config, data: Dataset, module: nn.Module | None, began: float
) -> tuple[Config, Planned | None]:
    """Return the configuration with what only the data tells: its split, the network that fits it, and its recipe.

    Args:
        values: the entries that were asked for.
        config: what they are as they stand.
        data, module: what is trained on what.
        began: the `time.perf_counter()` from which a budget counts.
    """
    from ..training.plan.choice import chosen

    if config.model.kind == "module" and module is None:
        raise UsageError(f"model: the configuration was made for {config.model.name}; pass an instance")
    planned = None
    if module is None:
        config, planned = chosen(values, config, data, spent=time.perf_counter() - began)
    share = data.validation_share
    changes = {
        "name": data.name,
        "kind": data.kind,
        "validation": share if share == "test" else float(share),
        "split_seed": data.split_seed,
        "sample": data.sample,
    }
    return config.model_copy(update={"data": config.data.model_copy(update=changes)}), planned


def with_progress(given: Sequence[Listener], *, progress: bool) -> list[Listener]:
    """Return the listeners, with one that reports on stderr before them."""
    from ..progress import ProgressReport

    return [*([ProgressReport()] if progress else []), *given]

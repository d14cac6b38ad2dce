"""`eyesight train`: a new run, or going on with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .arguments import given, parse_duration, parse_setting, parse_validation, photo_settings
from .say import say

if TYPE_CHECKING:
    from ..api import Run
    from ..run import RunFolder

Option = typer.Option

_OF_RESUME = {"resume", "force", "data_dir", "checkpoint_every", "show_figures"}
_OF_REPLAY = {"replay", "data_dir", "checkpoint_every", "output", "overwrite", "show_figures"}


def train(
    context: typer.Context,
    data: Annotated[str | None, typer.Argument(help="digits, mnist, fashion-mnist, cifar10, cifar100; or your photos: a folder, a CSV, a zip.", show_default="digits")] = None,
    model: Annotated[str | None, Option(help="Network: lenet5, small-cnn, small-cnn-same, …", show_default="one that fits the pictures and the time")] = None,
    backbone: Annotated[str | None, Option(help="Of photos: the pretrained network whose features are learned from: efficientnet-lite0, -lite1, -lite2.", show_default="efficientnet-lite0 from 48 pixels up, where no --model is named")] = None,
    tune: Annotated[bool, Option("--tune", help="Of photos: then learn the pretrained network's other layers too, for --budget or --epochs; kept only where better on held-out photos.")] = False,
    epochs: Annotated[int | None, Option(help="Times through the training pictures.", show_default="10")] = None,
    budget: Annotated[str | None, Option(help="Instead of --epochs: the time from data to saved model, 60s, 2m, 1h.")] = None,
    batch_size: Annotated[int | None, Option("--batch-size", "-b", help="Pictures for one update.", show_default="64; up to 1,500 with whitened-…")] = None,
    lr: Annotated[float | None, Option(help="Learning rate.", show_default="1e-3; sgd 0.05; muon 0.2")] = None,
    optimizer: Annotated[str | None, Option(help="adam, adamw, sgd (Nesterov), rmsprop or muon.", show_default="adam; muon with whitened-…")] = None,
    schedule: Annotated[str | None, Option(help="constant, step, cosine, linear or one-cycle.", show_default="cosine; linear with whitened-…")] = None,
    averaging: Annotated[str | None, Option(help="none, ema (moving average of the weights) or swa (of the last quarter).", show_default="none")] = None,
    patience: Annotated[int | None, Option(help="Stop after so many epochs without a lower validation loss.", show_default="never")] = None,
    validation: Annotated[str | None, Option(help="Share of the training pictures to choose on, or 'test'.", show_default="0.1; photos: val/ where there is one")] = None,
    preset: Annotated[str | None, Option(help="A whole configuration by name, to start from: see eyesight presets.")] = None,
    img_size: Annotated[int | None, Option(help="Of photos: keep each at so many pixels a side.", show_default="64, or their own where smaller")] = None,
    resize: Annotated[str | None, Option(help="Of photos: crop (cut the middle), pad (black borders) or stretch.", show_default="crop")] = None,
    group_by: Annotated[str | None, Option(help="Of photos: what stays on one side of a split: folder, a column, or a pattern.")] = None,
    folds: Annotated[int | None, Option(help="Of photos with a pretrained network: parts of the cross-validation, 2 to 20, and how much they differ.", show_default="5, without that")] = None,
    balance: Annotated[bool, Option("--balance", help="Let every class count as much, however few pictures it has.")] = False,
    strict: Annotated[bool, Option("--strict", help="Of photos: refuse them where any cannot be read.")] = False,
    verify: Annotated[bool, Option("--verify", help="Of photos: hold every file, and every picture of the cache, against its checksum.")] = False,
    image_column: Annotated[str | None, Option(help="Of a CSV: the column with the pictures.", show_default="recognised")] = None,
    label_column: Annotated[str | None, Option(help="Of a CSV: the column with the classes.", show_default="recognised")] = None,
    seed: Annotated[int | None, Option(help="Of first weights and order.", show_default="0")] = None,
    output: Annotated[Path | None, Option("--output", "-o", help="Folder of the run.", show_default="runs/DATA-MODEL-N")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace an older run in --output.")] = False,
    resume: Annotated[Path | None, Option(help="Go on with this run instead; takes no other option but --force, --data-dir and --checkpoint-every.")] = None,
    force: Annotated[bool, Option("--force", help="Resume although versions have changed, or start over where no saved state can be read.")] = False,
    replay: Annotated[Path | None, Option(help="Repeat this run bit for bit, also one by the clock, in a new folder.")] = None,
    config: Annotated[Path | None, Option(help="Start from this config.yaml, for example a run's.")] = None,
    settings: Annotated[list[str] | None, Option("--set", metavar="KEY=VALUE", help="Any other setting: recipe.label_smoothing=0.1.")] = None,
    data_dir: Annotated[Path | None, Option(help="Folder with the datasets; with --resume, where the photos are now.", show_default="$EYESIGHT_DATA")] = None,
    device: Annotated[str | None, Option(help="auto, cpu, cuda, …", show_default="auto")] = None,
    precision: Annotated[str | None, Option(help="auto, fp32 or bf16.", show_default="auto")] = None,
    threads: Annotated[str | None, Option(help="CPU threads: a number, or auto, which takes what is faster while training.", show_default="auto")] = None,
    deterministic: Annotated[bool, Option("--deterministic", help="On a GPU: slower, but repeats bit for bit. A CPU always does.")] = False,
    checkpoint_every: Annotated[str | None, Option(help="Time between saved states: 30s, 2m.", show_default="30s; at most 1 % of the time")] = None,
    show_figures: Annotated[bool, Option("--open", help="Open the figures at the end.")] = False,
) -> None:  # fmt: skip
    """Train a network on labelled pictures; the result is a run folder with the classifier in it."""
    every = None if checkpoint_every is None else parse_duration(checkpoint_every, "--checkpoint-every")
    if resume is not None:
        if others := given(context, but=_OF_RESUME):
            raise UsageError(f"--resume: goes on with what the run was started with; received: {others[0]}")
        from .. import api

        report(
            api.resume(resume, data_dir=data_dir, checkpoint_every=every, force=force),
            data_dir,
            show_figures=show_figures,
        )
        return
    if force:
        raise UsageError("--force: only with --resume")
    if replay is not None and (others := given(context, but=_OF_REPLAY)):
        raise UsageError(f"--replay: repeats what the run was started with; received: {others[0]}")
    recipe: dict[str, Any] = {
        "epochs": epochs,
        "budget": None if budget is None else parse_duration(budget, "--budget"),
        "batch_size": batch_size,
        "lr": lr,
        "optimizer": optimizer,
        "schedule": schedule,
        "averaging": averaging,
        "folds": folds,
        "balance": balance or None,
        "early_stopping.patience": patience,
    }
    pairs = dict(parse_setting(setting) for setting in settings or ())
    pairs |= photo_settings(img_size, resize, group_by, image_column, label_column, strict=strict, verify=verify)
    share = parse_validation(validation)
    from .. import api

    run = api.train(
        data,
        model=model,
        backbone=backbone,
        tune=tune,
        output=output,
        seed=seed,
        preset=preset,
        config=config,
        replay=replay,
        settings=pairs,
        data_dir=data_dir,
        validation=share,
        device=device,
        precision=precision,
        threads=threads,
        deterministic=deterministic or None,
        overwrite=overwrite,
        checkpoint_every=every,
        **recipe,
    )
    report(run, data_dir, show_figures=show_figures)


def report(run: Run, data_dir: Path | None, *, show_figures: bool) -> None:
    """Draw what there is to see; print what was made and what to do next."""
    about, rows = run.about(), run.metrics()
    if about.get("method") == "probe":
        say(f"model: {run.model_file} ({probe_figures(about, rows[-1])})")
        look_back(run, data_dir, show_figures=show_figures)
        say(f"next: eyesight predict {run.path} PICTURES")
        return
    if about.get("method") == "tune":
        say(f"model: {run.model_file} ({tuning_figures(about)})")
        look_back(run, data_dir, show_figures=show_figures)
        say(f"next: eyesight predict {run.path} PICTURES")
        return
    row = next((row for row in rows if row["epoch"] == about.get("kept_epoch")), rows[-1])
    looked_at = "test" if about.get("protocol") == "test-as-validation" else "validation"
    figure = f", {looked_at} accuracy {row['val_accuracy']:.4f}" if "val_accuracy" in row else ""
    say(f"model: {run.model_file} ({place(run.folder, rows, row)}{figure})")
    look_back(run, data_dir, show_figures=show_figures)
    say(f"next: eyesight evaluate {run.path}")


def probe_figures(about: dict[str, Any], row: dict[str, Any]) -> str:
    """Return how good a probe is: by cross-validation, and on the validation pictures where there are any."""
    from ..progress import folds_text

    estimate = about["estimate"]
    low, high = estimate["interval"]
    text = f"accuracy {estimate['accuracy']:.4f} [{low:.4f}, {high:.4f}] by cross-validation"
    text += folds_text(estimate.get("folds"))
    if "val_accuracy" in row:
        text += f"; {row['val_accuracy']:.4f} on validation pictures, which nothing was chosen on"
    return text


def tuning_figures(about: dict[str, Any]) -> str:
    """Return which of the probe and the tuned network was kept, and how good both are on the validation pictures."""
    tuning = about["tuning"]
    if "kept" not in tuning:
        return "the probe; there was no time to tune"
    kept = {"tuned": "the tuned network", "probe": "the probe, as tuning made it no better"}[tuning["kept"]]
    what = "balanced accuracy" if tuning["balanced"] else "accuracy"
    return (
        f"{kept}; {what} on {tuning['n']:,} validation pictures: probe {tuning['probe']['accuracy']:.4f}, "
        f"tuned {tuning['tuned']['accuracy']:.4f}"
    )


def place(run: RunFolder, rows: list[dict[str, Any]], kept: dict[str, Any]) -> str:
    """Return how far the training was where the kept weights were taken, and at its end."""
    if (trained := run.trained_epochs([kept, rows[-1]])) is None:
        return f"update {kept['step']:,} of {rows[-1]['step']:,}"
    if all(epochs.is_integer() for epochs in trained):
        return f"epoch {trained[0]:.0f} of {trained[1]:.0f}"
    return f"after {trained[0]:.1f} of {trained[1]:.1f} epochs"


def look_back(run: Run, data_dir: Path | None, *, show_figures: bool) -> None:
    """Tell whether the network overfits, and draw; what fails in it takes nothing from the run, and is one warning."""
    try:
        found = run.look_back(data_dir)
    except Exception as error:  # a full disk, a font, data that has gone: the model is safe
        say(f"eyesight: warning: no figures were drawn: {' '.join(str(error).split())}", err=True)
        return
    if found.overfitting:
        say(str(found.overfitting))
    names = ", ".join(path.name for path in found.figures.values())
    say(f"figures: {run.folder.figures_folder} ({names})")
    if show_figures:
        from .opening import open_files

        open_files(found.figures.values())

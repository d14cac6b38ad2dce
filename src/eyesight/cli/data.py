"""`eyesight data`: which datasets there are, and what is in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .arguments import Command, photo_settings
from .say import say

app = typer.Typer(help="Datasets: which there are, and what is in them.", no_args_is_help=True)

DataDir = Annotated[Path | None, typer.Option(help="Folder with the datasets.", show_default="$EYESIGHT_DATA")]


@app.command("list", cls=Command)
def list_datasets(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the datasets that have a name, and where each was found. A folder of photos needs none."""
    from ..data import catalog
    from ..data.places import data_folders

    folders = data_folders(data_dir)
    rows = []
    for name in catalog.names():
        entry = catalog.entry(name)
        place = "embedded" if name == "digits" else catalog.locate(name, folders)
        rows.append(
            {
                "name": name,
                "what": entry.title,
                "size": entry.size,
                "classes": len(entry.classes),
                "train": entry.counts[0],
                "test": entry.counts[1],
                "found": None if place is None else str(place),
                "files": entry.files,
            }
        )
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    from .tables import print_table

    columns = ("name", "what", "size", "classes", "train", "test", "found")
    table = [[f"{row[c]:,}" if isinstance(row[c], int) else row[c] or "no" for c in columns] for row in rows]
    print_table(columns, table, numbers=("classes", "train", "test"))
    if missing := [str(row["name"]) for row in rows if row["found"] is None]:
        say(f"what is missing comes with: eyesight data download {' '.join(missing)}", err=True)
    say("or your own: a folder of photos, a CSV, a zip or tar; see eyesight data show photos/", err=True)


@app.command("download", cls=Command)
def download_datasets(
    names: Annotated[list[str], typer.Argument(help="mnist, fashion-mnist, cifar10, cifar100; one or several.")],
    data_dir: Annotated[Path | None, typer.Option(help="Folder to put them in.", show_default="$EYESIGHT_DATA, else the user's own")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing: only tell whether they are there. EYESIGHT_OFFLINE=1 does so too.")] = False,
) -> None:  # fmt: skip
    """Download datasets, and check them. What was broken off goes on where it stopped."""
    from .. import api

    for name in names:
        say(f"{name}: {api.download(name, data_dir=data_dir, offline=offline)}")


@app.command("show", cls=Command)
def show_dataset(
    name: Annotated[str, typer.Argument(help="A dataset's name; or photos: a folder, a CSV, a zip.")] = "digits",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the two PNG files.")] = Path(),
    data_dir: DataDir = None,
    img_size: Annotated[int | None, typer.Option(help="Of photos: so many pixels a side.", show_default="64, or their own where smaller")] = None,
    resize: Annotated[str | None, typer.Option(help="Of photos: crop, pad or stretch.", show_default="crop")] = None,
    group_by: Annotated[str | None, typer.Option(help="Of photos: what stays on one side of a split: folder, a column, or a pattern.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Of photos: refuse them where any cannot be read.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Of photos: hold every file, and every picture of the cache, against its checksum.")] = False,
    image_column: Annotated[str | None, typer.Option(help="Of a CSV: the column with the pictures.", show_default="recognised")] = None,
    label_column: Annotated[str | None, typer.Option(help="Of a CSV: the column with the classes.", show_default="recognised")] = None,
    augment: Annotated[bool, typer.Option("--augment", help="Of photos: draw some as train --tune changes them at random, and nothing else.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:  # fmt: skip
    """Count the labels of a dataset, and draw its pictures with their class names."""
    from .. import api
    from ..evaluation import figures
    from ..report.drawing import save

    photos = photo_settings(img_size, resize, group_by, image_column, label_column, strict=strict, verify=verify)
    options = {key.removeprefix("data."): value for key, value in photos.items()}
    if augment:
        from ..api.datasets import draw_augmented

        figure = draw_augmented(name, data_dir=data_dir, progress=True, **options)
        stem = Path(name).resolve().name.partition(".")[0]
        say(f"augmented: {save(figure, output / f'{stem}-augmented.png')}")
        return
    data = api.load_data(name, data_dir=data_dir, validation=0, progress=True, **options)
    for note in data.notes:
        say(f"note: {note}", err=True)
    counts = {split: part.label_counts(len(data.classes)).tolist() for split, part in data.splits().items()}
    drawn = {"pictures": figures.class_grid(data, data.train), "label-counts": figures.label_counts(data)}
    files = [save(figure, output / f"{data.name}-{what}.png") for what, figure in drawn.items()]
    if as_json:
        facts = {"name": data.name, "shape": data.shape, "classes": data.classes, "counts": counts, "notes": data.notes}
        facts["left_out"] = dict(data.left_out)
        say(json.dumps(facts | {"fingerprint": data.fingerprint, "figures": [str(f) for f in files]}, indent=2))
        return
    from .tables import print_table

    say(repr(data))
    rows = [(k, label, *(f"{counts[split][k]:,}" for split in counts)) for k, label in enumerate(data.classes)]
    print_table(("label", "class", *counts), rows, numbers=("label", *counts))
    say(f"pictures: {files[0]}\ncounts:   {files[1]}")


@app.command("check", cls=Command)
def check_dataset(
    data: Annotated[str, typer.Argument(help="Photos: a folder, a CSV, a zip; or a dataset's name.")],
    html: Annotated[Path | None, typer.Option(help="Write a page with the pictures.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a CSV of what to use, which train takes.")
    ] = None,
    backbone: Annotated[str, typer.Option(help="Network that tells what a picture shows.")] = "efficientnet-lite0",
    sample: Annotated[
        int | None,
        typer.Option(help="Judge the labels of so many pictures.", show_default="all photos, 5000 of a named dataset"),
    ] = None,
    data_dir: DataDir = None,
    group_by: Annotated[str | None, typer.Option(help="Of photos: what stays on one side of a split.")] = None,
    image_column: Annotated[str | None, typer.Option(help="Of a CSV: the column with the pictures.", show_default="recognised")] = None,
    label_column: Annotated[str | None, typer.Option(help="Of a CSV: the column with the classes.", show_default="recognised")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:  # fmt: skip
    """Find bad files, copies, leaks between splits, odd pictures and doubtful labels; nothing is moved or changed.

    The exit code is 1 where there is something to act on.
    """
    from .. import api
    from ..formats import write_bytes
    from ..quality.page import make_page
    from ..quality.usable import write_usable

    found = api.check_data(
        data, data_dir=data_dir, backbone=backbone, sample=sample, group_by=group_by, image_column=image_column,
        label_column=label_column, progress=True,
    )  # fmt: skip
    used = None if output is None else write_usable(found, output)
    if html is not None:
        write_bytes(html, make_page(found).encode("utf-8", "backslashreplace"))
    if as_json:
        say(json.dumps(found.to_json(), indent=2))
    else:
        from .findings import print_check

        print_check(found)
        if html is not None:
            say(f"page: {html}")
        if output is not None:
            say(f"what to use: {output} ({used:,} pictures); eyesight train {output}")
    raise typer.Exit(int(found.act))


@app.command("cache", cls=Command)
def show_cache(
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove all of it; what is needed again is made again.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hold every decoded picture against its checksum; remove what is damaged.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the photos that were decoded or unpacked, and the disk that they take.

    With --verify the exit code is 1 where anything was damaged.
    """
    from ..data.cache import cache_folder
    from ..data.inventory import clean_cache, list_cache, remove_damaged

    checked, problems = remove_damaged() if verify else (0, [])
    folders = list_cache()
    if clean:
        clean_cache(folders)
    for problem in problems:
        say(f"eyesight: removed: {problem}", err=True)
    if verify:
        say(f"{checked:,} decoded pictures were held against their checksums", err=True)
    if as_json:
        rows = [{"from": f.root, "what": f.what, "bytes": f.bytes, "folder": str(f.path)} for f in folders]
        say(json.dumps(rows, indent=2))
    else:
        from .tables import print_table

        if folders:
            table = [(folder.root, folder.what, f"{folder.bytes / 1e6:,.1f}") for folder in folders]
            print_table(("photos", "what", "MB"), table, numbers=("MB",))
        whole = sum(folder.bytes for folder in folders) / 1e6
        say(f"{'removed' if clean else 'in all'} {whole:,.1f} MB in {cache_folder()}")
    raise typer.Exit(int(bool(problems)))

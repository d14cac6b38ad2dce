"""Tables that name photos and their classes: columns, places, splits, and rows that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import eyesight
from eyesight.errors import DataError, UsageError
from photo_files import fill, write


def said(data: eyesight.Dataset, text: str) -> bool:
    return any(text in note for note in data.notes)


def photos(folder: Path, count: int = 6) -> list[str]:
    for i in range(count):
        write(folder / f"p{i}.png", i)
    return [f"p{i}.png" for i in range(count)]


def table(path: Path, header: str, rows: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "header",
    [
        "image,label",
        "file_name,label",
        "id,breed",
        "Image Path;Class",
        "filename\tcategory",
        "label,path",
        "what,label",
    ],
)
def test_usual_columns_are_recognised(tmp_path, header):
    names = photos(tmp_path / "set")
    comma = next(c for c in ",;\t" if c in header)
    swap = header.startswith("label")
    rows = [comma.join([(name), "cat" if i % 2 else "dog"][:: -1 if swap else 1]) for i, name in enumerate(names)]
    data = eyesight.load_data(table(tmp_path / "set/labels.csv", header, rows), validation=0)
    assert data.classes == ("cat", "dog")
    assert data.train.example_ids == names
    assert data.train.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert not data.notes


def test_columns_are_named_where_they_are_not_recognised(tmp_path):
    rows = [f"{name},x,{i % 2},{i % 3}" for i, name in enumerate(photos(tmp_path))]
    path = table(tmp_path / "all.csv", "shot,note,quality,site", rows)
    with pytest.raises(
        UsageError, match=r"all.csv: no column with pictures such as 'image' among 'shot', 'note'.*--image-"
    ):
        eyesight.load_data(path)
    with pytest.raises(UsageError, match="no column with classes such as 'label' among"):
        eyesight.load_data(path, image_column="shot")
    with pytest.raises(UsageError, match=r"label_column: .*all\.csv has no column 'grade'; it has: 'shot', 'note'"):
        eyesight.load_data(path, image_column="shot", label_column="grade")
    assert eyesight.load_data(path, image_column="shot", label_column="site").classes == ("0", "1", "2")


@pytest.mark.parametrize("place", ["", "images", "train", "somewhere/deep"])
@pytest.mark.parametrize("how", ["name", "stem", "path", "absolute", "up"])
def test_pictures_are_found_beside_the_table_and_in_folders_beside_it(tmp_path, place, how):
    names = photos(tmp_path / "set" / place)
    for_row = {
        "name": lambda name: name,
        "stem": lambda name: name.removesuffix(".png"),
        "path": lambda name: f"./{place}/{name}",
        "absolute": lambda name: str(tmp_path / "set" / place / name),
        "up": lambda name: f"../set/{place}/{name}",
    }[how]
    rows = [f"{for_row(name)},{i % 2}" for i, name in enumerate(names)]
    data = eyesight.load_data(table(tmp_path / "set/labels.csv", "id,label", rows), validation=0)
    assert data.train.example_ids == [f"{place}/{name}".lstrip("/") for name in names]


def test_a_folder_with_a_table_beside_its_pictures_is_read_by_it(tmp_path):
    names = photos(tmp_path / "dogs/train")
    photos(tmp_path / "dogs/test", 2)
    table(tmp_path / "dogs/labels.csv", "id,breed", [f"train/{n[:-4]},{'ab'[i % 2]}" for i, n in enumerate(names)])
    table(tmp_path / "dogs/sample_submission.csv", "id,a,b", ["p0,0.5,0.5"])
    data = eyesight.load_data("dogs/", validation=0)
    assert len(data.train) == 6
    assert said(data, "classes are taken from labels.csv")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_metadata_beside_the_pictures_is_read(tmp_path, suffix):
    for split, count in (("train", 6), ("validation", 2)):
        names = photos(tmp_path / "hf" / split, count)
        rows = [{"file_name": name, "label": "ab"[i % 2]} for i, name in enumerate(names)]
        path = tmp_path / f"hf/{split}/metadata.{suffix}"
        if suffix == "csv":
            table(path, "file_name,label", [",".join(row.values()) for row in rows])
        else:
            path.write_text("\n".join(map(json.dumps, rows)))
    data = eyesight.load_data("hf/")
    assert (len(data.train), len(data.validation or ())) == (6, 2)
    assert data.train.example_ids[0] == "train/p0.png"


def test_metadata_that_names_no_classes_leaves_them_to_the_folders(tmp_path):
    fill(tmp_path / "hf", {"a": 2, "b": 2})
    table(tmp_path / "hf/metadata.csv", "file_name,text", ["a/0.png,a cat"])
    assert eyesight.load_data("hf/").classes == ("a", "b")


def test_a_table_goes_before_folders_where_the_user_names_a_column(tmp_path):
    fill(tmp_path / "set", {"2023": 2, "2024": 2})
    table(tmp_path / "set/all.csv", "file,quality", ["2023/0.png,good", "2023/1.png,bad", "2024/0.png,good"])
    assert eyesight.load_data("set/").classes == ("2023", "2024")
    assert eyesight.load_data("set/", label_column="quality", validation=0).classes == ("bad", "good")


def test_splits_and_groups_are_columns(tmp_path):
    names = photos(tmp_path, 12)
    rows = [f"{n},{'ab'[i % 2]},{('train', 'Training', 'val', 'TEST')[i // 3]},{i // 3}" for i, n in enumerate(names)]
    path = table(tmp_path / "labels.csv", "image,label,split,patient", rows)
    data = eyesight.load_data(path)
    assert [len(split) for split in data.splits().values()] == [6, 3, 3]
    table(path, "image,label,patient", [",".join(row.split(",")[i] for i in (0, 1, 3)) for row in rows])
    data = eyesight.load_data(path, group_by="patient", validation=0.25)
    sides = [{int(name[1:-4]) // 3 for name in split.example_ids} for split in data.splits().values()]
    assert not sides[0] & sides[1]
    table(path, "image,label,split", [f"{names[0]},a,holdout"])
    with pytest.raises(DataError, match=r"labels\.csv: expected train, val or test as a split; received: 'holdout'"):
        eyesight.load_data(path)


def test_rows_that_cannot_be_are_counted_and_named_and_strict_refuses(tmp_path):
    names = photos(tmp_path)
    rows = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(names)]
    gone = [f"gone{i}.png,a" for i in range(7)]
    path = table(tmp_path / "labels.csv", "image,label", [*rows, *gone, f"{names[0]},b", f"{names[1]},b", "p5.png,"])
    data = eyesight.load_data(path, validation=0)
    assert len(data.train) == 5
    assert said(
        data,
        "labels.csv: 7 rows name a picture that is not there: gone0.png, gone1.png, gone2.png, gone3.png, "
        "gone4.png and 2 more",
    )
    assert said(data, "the same picture with two labels or splits; left out: p0.png ('a' and 'b')")
    assert said(data, "labels.csv: 1 row is there twice, and count once")
    assert said(data, "labels.csv: 1 row has no label: p5.png")
    with pytest.raises(DataError, match=r"7 rows name a picture .* \(and 2 more\); refused, as --strict asks"):
        eyesight.load_data(path, strict=True)


def test_stray_spaces_around_labels_are_taken_away_and_said(tmp_path):
    names = photos(tmp_path)
    rows = [f"{name},{('cat', 'cat ', 'dog')[i % 3]}" for i, name in enumerate(names)]
    data = eyesight.load_data(table(tmp_path / "labels.csv", "image,label", rows), validation=0)
    assert data.classes == ("cat", "dog")
    assert said(data, "labels are taken without the spaces around them: 'cat '")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is empty"),
        (b"image,label\n", "found no labelled pictures"),
        (b"image,label\nx.png,a\n", "1 row names a picture that is not there: x.png"),
        (b"\0\1\2", "not a table of text"),
        (b"a,b,c\n1,2,3\n", "no column with pictures"),
        (b'image,label\n"' + b"x" * 200_000 + b'",a\n', "not a CSV table"),
        (b"image,label\n" + b"x" * 5000 + b",a\n", "that is not there"),
    ],
)
def test_tables_that_are_none_are_refused_in_one_line(tmp_path, text, says):
    (tmp_path / "labels.csv").write_bytes(text)
    with pytest.raises((DataError, UsageError), match=r"labels\.csv") as caught:
        eyesight.load_data("labels.csv")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)

"""A folder with one fault of each kind: every one is found, nothing else is, and the CSV leaves out the right files."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

import eyesight
from drawn_photos import fill, photo
from eyesight.cli.app import main
from eyesight.errors import DataError, UsageError
from eyesight.quality.check import KINDS, Check
from eyesight.quality.page import make_page
from eyesight.quality.usable import write_usable


def plant(root: Path) -> None:
    """Write good photos, and a fault of each kind among them."""
    fill(root, "train", 24)
    fill(root, "val", 6, start=100)
    train, val = root / "train", root / "val"
    # leaks: byte by byte; and cropped by 5 %, saved anew
    shutil.copy(train / "dots/0.jpg", val / "dots/leak.jpg")
    photo("dots", 1).crop((4, 3, 176, 129)).save(val / "dots/cropped.jpg", quality=70)
    # copies within a split: resized; brightened; mirrored
    photo("stripes", 2).resize((120, 88)).save(train / "stripes/resized.jpg")
    ImageEnhance.Brightness(photo("dots", 3)).enhance(1.25).save(train / "dots/bright.jpg")
    ImageOps.mirror(photo("dots", 4)).save(train / "dots/mirrored.jpg")
    # contradictions
    shutil.copy(train / "dots/5.jpg", train / "stripes/contradiction.jpg")
    # files
    (train / "dots/empty.jpg").write_bytes(b"")
    (train / "dots/cut.jpg").write_bytes((train / "dots/6.jpg").read_bytes()[:2000])
    (train / "stripes/page.jpg").write_bytes(b"<html><body>not found</body></html>")
    (train / "stripes/7.jpg").rename(train / "stripes/7.png")
    # outliers
    Image.new("RGB", (180, 132), (90, 120, 90)).save(train / "stripes/blank.png")
    ImageEnhance.Brightness(photo("dots", 50)).enhance(0.1).save(train / "dots/dark.png")
    photo("dots", 51).filter(ImageFilter.GaussianBlur(12)).save(train / "dots/blurred.png")
    photo("dots", 52).resize((24, 18)).save(train / "dots/tiny.png")
    photo("dots", 53, (600, 120)).save(train / "dots/long.png")
    # a label that is wrong
    photo("stripes", 60).save(train / "dots/wrong.jpg")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos") / "faulty"
    plant(root)
    return root


@pytest.fixture(scope="module")
def found(faulty: Path) -> Check:
    return eyesight.check_data(faulty)


def named(check: Check, kind: str) -> list[set[str]]:
    """Return the pictures of every finding of a kind."""
    return [{check.collection.items[i].id for i in finding.pictures} for finding in check.of(kind)]


def test_files_that_cannot_be_read_are_named_with_their_reasons(found: Check) -> None:
    reasons = {found.collection.items[finding.pictures[0]].id: finding.text for finding in found.of("unreadable")}
    assert reasons.keys() == {"train/dots/empty.jpg", "train/dots/cut.jpg", "train/stripes/page.jpg"}
    assert "empty" in reasons["train/dots/empty.jpg"]
    assert "truncated" in reasons["train/dots/cut.jpg"]
    assert "web page" in reasons["train/stripes/page.jpg"]
    assert named(found, "misnamed") == [{"train/stripes/7.png"}]
    assert found.of("misnamed")[0].text == "its name ends in .png; it is a JPEG"


def test_leaks_between_splits_are_found_cropped_ones_too(found: Check) -> None:
    assert sorted(map(sorted, named(found, "leak"))) == [
        ["train/dots/0.jpg", "val/dots/leak.jpg"],
        ["train/dots/1.jpg", "val/dots/cropped.jpg"],
    ]
    assert {finding.text for finding in found.of("leak")} == {
        "train, validation; same file",
        "train, validation; changed",
    }


def test_copies_and_contradictions_are_found_and_nothing_else(found: Check) -> None:
    assert sorted(map(sorted, named(found, "copy"))) == [
        ["train/dots/3.jpg", "train/dots/bright.jpg"],
        ["train/dots/4.jpg", "train/dots/mirrored.jpg"],
        ["train/stripes/2.jpg", "train/stripes/resized.jpg"],
    ]
    assert [finding.text for finding in found.of("copy") if "mirrored" in finding.text] == ["mirrored"]
    assert named(found, "contradiction") == [{"train/dots/5.jpg", "train/stripes/contradiction.jpg"}]
    assert "dots, stripes" in found.of("contradiction")[0].text


@pytest.mark.parametrize(
    ("kind", "picture"),
    [
        ("blank", "train/stripes/blank.png"),
        ("dark", "train/dots/dark.png"),
        ("tiny", "train/dots/tiny.png"),
        ("long", "train/dots/long.png"),
    ],
)
def test_pictures_that_stand_out_are_found_alone(found: Check, kind: str, picture: str) -> None:
    assert named(found, kind) == [{picture}]


def test_a_blurred_picture_is_found(found: Check) -> None:
    assert {"train/dots/blurred.png"} in named(found, "blurred")


def test_a_wrong_label_is_ranked_first_and_the_other_class_is_suggested(found: Check) -> None:
    first = found.ranked[0]
    assert found.collection.items[first].id == "train/dots/wrong.jpg"
    assert found.suggested[first] == "stripes"
    assert found.accuracy is not None
    assert found.accuracy > 0.8


def test_the_table_of_what_to_use_is_a_dataset_without_faults_and_groups_stay_together(
    faulty: Path, found: Check, tmp_path: Path
) -> None:
    table = tmp_path / "use.csv"
    before = {path: path.read_bytes() for path in faulty.rglob("*") if path.is_file()}
    used = write_usable(found, table)
    assert {path: path.read_bytes() for path in faulty.rglob("*") if path.is_file()} == before  # nothing is moved
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == used
    names = {str(Path(row["image"]).relative_to(faulty)) for row in rows}
    assert not names & {
        "train/dots/empty.jpg", "train/dots/0.jpg", "train/dots/1.jpg", "train/dots/5.jpg",
        "train/stripes/contradiction.jpg", "train/stripes/blank.png", "train/stripes/resized.jpg",
    }  # fmt: skip
    assert {"val/dots/leak.jpg", "val/dots/cropped.jpg", "train/stripes/2.jpg", "train/dots/wrong.jpg"} <= names
    data = eyesight.load_data(table)
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": sum(row["split"] == "train" for row in rows),
        "validation": sum(row["split"] == "validation" for row in rows),
    }
    again = eyesight.check_data(table)
    assert not [finding for finding in again.findings if finding.kind in ("leak", "copy", "contradiction", "blank")]


def test_the_page_holds_its_pictures_and_escapes_names(found: Check) -> None:
    page = make_page(found)
    assert len(re.findall(r'src="data:image/jpeg;base64,', page)) >= 10
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "prefers-color-scheme: dark" in page
    for kind in {finding.kind for finding in found.findings}:
        assert KINDS[kind].heading in page


def test_the_command_exits_1_with_a_table_that_fits_and_json_tells_everything(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, table = tmp_path / "check.html", tmp_path / "use.csv"
    assert main(["data", "check", str(faulty), "--html", str(page), "--output", str(table)]) == 1
    said = capsys.readouterr().out
    assert max(len(line) for line in said.splitlines() if str(tmp_path) not in line) <= 80
    assert "Files that cannot be read" in said
    assert page.read_text().startswith("<!doctype html>")
    assert table.is_file()
    assert main(["data", "check", str(faulty), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["act"] is True
    assert facts["counts"]["validation"] == {"dots": 8, "stripes": 6}
    leak = next(finding for finding in facts["findings"] if finding["kind"] == "leak")
    assert [picture["used"] for picture in leak["pictures"]] == [False, True]
    assert facts["doubtful_labels"][0]["id"] == "train/dots/wrong.jpg"


def test_good_photos_exit_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "good", "train", 12)
    assert main(["data", "check", str(tmp_path / "good")]) == 0
    assert "Copies" not in capsys.readouterr().out


def test_a_folder_without_classes_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    photo("dots", 1).save(tmp_path / "alone.jpg")
    with pytest.raises(DataError, match="Looked for"):
        eyesight.check_data(tmp_path)


def test_a_class_that_train_lacks_is_a_problem_and_no_refusal(tmp_path: Path) -> None:
    fill(tmp_path / "some", "train", 3)
    (tmp_path / "some/val/other").mkdir(parents=True)
    photo("dots", 9).save(tmp_path / "some/val/other/9.jpg")
    found = eyesight.check_data(tmp_path / "some")
    assert found.problems == ("the class 'other' has no pictures in train",)
    assert found.act


def test_copies_in_a_small_named_set_are_exact_ones_and_it_is_said() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 2
    pictures[labels == 1, :4] //= 4
    pictures[12] = pictures[3 - 1]  # the same label
    pictures[21] = pictures[4]  # another one
    test = (pictures[:1].repeat(2, 0), np.array([0, 0]))
    test[0][1] = 7  # one grey level
    found = eyesight.check_data(eyesight.from_arrays((pictures, labels), test=test, validation=0))
    assert named(found, "copy") == [{"train/2", "train/12"}]
    assert named(found, "contradiction") == [{"train/4", "train/21"}]
    assert named(found, "leak") == [{"train/0", "test/0"}]
    assert named(found, "blank") == [{"test/1"}]
    assert any("only exact copies" in note for note in found.notes)


def test_a_sample_judges_the_labels_of_so_many_pictures_and_says_so() -> None:
    found = eyesight.check_data("digits", sample=300)
    assert len(found.ranked) == 300
    assert any("labels of 300 pictures" in note for note in found.notes)
    with pytest.raises(UsageError, match="1 or more"):
        eyesight.check_data("digits", sample=0)


def test_a_named_set_gets_no_table_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "digits", "--sample", "100", "--output", "use.csv"]) == 2
    assert "--output: only for photos" in capsys.readouterr().err

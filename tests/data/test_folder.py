"""Folders of photos: layouts, what is passed over, what is said and what is refused."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

import eyesight
from eyesight.data.dataset import Dataset
from eyesight.errors import DataError, DataNotFoundError, UnknownNameError, UsageError
from eyesight.pictures.preprocess import Preprocessing, read_picture
from photo_files import fill, picture, write


def sizes(data: Dataset) -> dict[str, list[int]]:
    return {name: split.label_counts(len(data.classes)).tolist() for name, split in data.splits().items()}


def said(data: Dataset, text: str) -> bool:
    return any(text in note for note in data.notes)


# -- layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "val", "test"), ("Training", "VALID", "testing"), ("TRAIN", "dev", "Test"), ("train", "eval", "test")],
)
def test_splits_go_by_their_usual_names(tmp_path, train, validation, test):
    fill(tmp_path / "photos", {f"{train}/a": 3, f"{train}/b": 4, f"{validation}/a": 2, f"{validation}/b": 1,
                               f"{test}/a": 1, f"{test}/b": 2})  # fmt: skip
    data = eyesight.load_data("photos/")
    assert sizes(data) == {"train": [3, 4], "validation": [2, 1], "test": [1, 2]}
    assert (data.name, data.kind, data.protocol) == ("photos", "folder", "given")


def test_a_flat_folder_gives_a_tenth_of_every_class_for_validation(tmp_path):
    data = eyesight.load_data(fill(tmp_path / "photos", {"a": 20, "b": 30}))
    assert sizes(data) == {"train": [18, 27], "validation": [2, 3]}
    assert data.protocol == "holdout"


def test_classes_are_named_by_their_folders_and_sorted_naturally(tmp_path):
    data = eyesight.load_data(fill(tmp_path / "photos", dict.fromkeys(("10", "2", "0", "1"), 2)), validation=0)
    assert data.classes == ("0", "1", "2", "10")
    labels = dict(zip(data.train.example_ids, data.train.labels.tolist(), strict=True))
    assert (labels["10/0.png"], labels["2/1.png"]) == (3, 2)


def test_classes_are_matched_by_name_across_splits(tmp_path):
    fill(tmp_path / "photos", {"train/a": 2, "train/b": 2, "train/c": 2, "val/a": 1, "val/c": 2})
    data = eyesight.load_data("photos/")
    assert sizes(data)["validation"] == [1, 0, 2]
    assert said(data, "validation has no pictures of 'b'")


def test_a_class_that_train_lacks_is_an_error_that_names_it(tmp_path):
    fill(tmp_path / "photos", {"train/a": 2, "train/b": 2, "val/a": 1, "val/d": 1})
    with pytest.raises(DataError, match="photos: the class 'd' in validation has no pictures in train"):
        eyesight.load_data("photos/")


def test_an_empty_class_folder_is_named(tmp_path):
    fill(tmp_path / "photos", {"a": 2, "b": 2, "c": 0})
    assert said(eyesight.load_data("photos/"), "no pictures in the class folder c/")
    fill(tmp_path / "split", {"train/a": 2, "train/b": 2, "train/c": 0, "val/a": 1})
    assert said(eyesight.load_data("split/"), "no pictures in the class folder train/c/")


def test_a_folder_inside_a_class_belongs_to_the_class(tmp_path):
    data = eyesight.load_data(fill(tmp_path / "photos", {"cat/indoors/2024": 2, "cat": 1, "dog": 3}), validation=0)
    assert (data.classes, sizes(data)["train"]) == (("cat", "dog"), [3, 3])
    assert "cat/indoors/2024/0.png" in data.train.example_ids
    assert said(data, "cat/indoors/2024/ belong to the class 'cat'")


def test_one_folder_around_everything_is_looked_into(tmp_path):
    data = eyesight.load_data(fill(tmp_path / "zip", {"photos/train/a": 2, "photos/train/b": 2, "photos/val/a": 1}))
    assert (data.classes, sizes(data)["validation"]) == (("a", "b"), [1, 0])


def test_unicode_spaces_and_undecodable_names_work(tmp_path):
    fill(tmp_path / "my photos", {"Größe": 2, "猫 と 犬": 2})
    (tmp_path / "my photos/Größe/0.png").rename(tmp_path / "my photos/Größe" / os.fsdecode(b"\xff.png"))
    data = eyesight.load_data("my photos", validation=0)
    assert data.classes == ("Größe", "猫 と 犬")
    "".join(data.train.example_ids).encode()
    assert data.name == "my-photos"


def test_letters_that_a_mac_writes_as_two_are_the_same_class(tmp_path):
    fill(tmp_path / "photos", {"train/caf\u00e9": 2, "train/b": 2, "val/cafe\u0301": 1, "val/b": 1})
    assert sizes(eyesight.load_data("photos/"))["validation"] == [1, 1]
    assert eyesight.load_data("photos/").classes == ("b", "caf\u00e9")


def test_links_are_followed_and_never_in_a_circle(tmp_path):
    fill(tmp_path / "elsewhere", {"b": 2})
    fill(tmp_path / "photos", {"a": 2})
    (tmp_path / "photos/b").symlink_to(tmp_path / "elsewhere/b")
    (tmp_path / "photos/a/up").symlink_to(tmp_path / "photos")
    data = eyesight.load_data("photos/", validation=0)
    assert sizes(data)["train"] == [2, 2]


def test_what_is_no_picture_is_passed_over_and_counted(tmp_path):
    fill(tmp_path / "photos", {"a": 2, "b": 2, "__MACOSX/a": 1, ".git/a": 1})
    for name in ("a/Thumbs.db", "a/.DS_Store", "b/._0.png", "a/notes.txt", "a/model.pt"):
        (tmp_path / "photos" / name).write_bytes(b"x")
    data = eyesight.load_data("photos/", validation=0)
    assert sizes(data)["train"] == [2, 2]
    assert said(data, "passed over 2 files that no picture is called like: a/model.pt, a/notes.txt")
    assert said(data, "passed over 5 hidden files and folders")


def test_one_more_photo_renames_nothing(tmp_path):
    fill(tmp_path / "photos", {"a": 3, "b": 3})
    before = eyesight.load_data("photos/", validation=0)
    pixels = dict(zip(before.train.example_ids, before.train.gather(np.arange(6)), strict=True))
    write(tmp_path / "photos/a/00.png", 99)
    after = eyesight.load_data("photos/", validation=0)
    assert len(after.train) == 7
    for name, same in zip(after.train.example_ids, after.train.gather(np.arange(7)), strict=True):
        assert name == "a/00.png" or (pixels[name] == same).all()
    assert after.fingerprint != before.fingerprint


def test_the_fingerprint_is_of_contents_not_of_the_place(tmp_path):
    fill(tmp_path / "photos", {"a": 3, "b": 3})
    before = eyesight.load_data("photos/").fingerprint
    shutil.copytree(tmp_path / "photos", tmp_path / "copy")
    assert eyesight.load_data("copy").fingerprint == before
    write(tmp_path / "copy/a/0.png", 77)
    assert eyesight.load_data("copy").fingerprint != before


# -- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({}, "found no labelled pictures"),
        ({"": 3}, "3 pictures lie in no class folder"),
        ({"a": 3}, "found one class, 'a'"),
        ({"train/a": 3, "val/a": 1}, "found one class, 'a'"),
        ({"val/a": 3, "test/b": 1}, "has test/ and val/ and no train/"),
    ],
)
def test_a_folder_without_classes_or_with_one_is_refused_with_what_was_looked_for(tmp_path, counts, says):
    fill(tmp_path / "photos", {"": 0, **counts})
    with pytest.raises(DataError, match="photos") as caught:
        eyesight.load_data("photos/")
    assert says in str(caught.value)
    assert "no train" in says or "Looked for photos/CLASS/*.jpg, photos/train/CLASS/*.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_nothing_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown dataset 'mnits'; did you mean 'mnist'"):
        eyesight.load_data("mnits")
    with pytest.raises(DataNotFoundError, match="photos/here: no such folder or file"):
        eyesight.load_data("photos/here")
    write(tmp_path / "cat.png", 1)
    with pytest.raises(DataError, match=r"cat.png: expected a folder, a table .* or an archive"):
        eyesight.load_data("cat.png")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: expected a folder, a table or an archive"):
        eyesight.load_data("pipe")
    with pytest.raises(UsageError, match="img_size: only for a folder of photos; received: 32 for digits"):
        eyesight.load_data("digits", img_size=32)
    with pytest.raises(UsageError, match=r"img_size: .* received: 2"):
        eyesight.load_data("photos", img_size=2)


def test_a_dataset_in_the_data_folder_is_found_by_its_name(tmp_path, monkeypatch):
    fill(tmp_path / "store/pets", {"a": 2, "b": 2})
    assert eyesight.load_data("pets", data_dir="store").name == "pets"
    monkeypatch.setenv("EYESIGHT_DATA", "store")
    assert eyesight.load_data("pets").classes == ("a", "b")


# -- said ------------------------------------------------------------------------------------------------------------


def test_nine_good_files_and_a_cut_one_train_on_nine_said_before_training(tmp_path, capsys):
    fill(tmp_path / "photos", {"a": 5, "b": 4}, suffix=".jpg")
    cut = write(tmp_path / "photos/b/cut.jpg", 99)
    cut.write_bytes(cut.read_bytes()[:400])
    run = eyesight.train("photos/", epochs=1, validation=0, progress=True)
    text = capsys.readouterr().err
    assert "9 of 10 pictures read; left out: b/cut.jpg: " in text
    assert text.index("b/cut.jpg") < text.index("epoch 1/1")
    assert "9 training pictures" in text
    assert any("b/cut.jpg" in line for line in (run.path / "events.jsonl").read_text().splitlines())
    with pytest.raises(DataError, match=r"photos: 9 of 10 pictures read; left out: b/cut.jpg: .*refused, as --strict"):
        eyesight.load_data("photos/", strict=True)


def test_the_same_bytes_in_two_classes_or_two_splits_are_named(tmp_path):
    fill(tmp_path / "photos", {"train/a": 3, "train/b": 3, "val/a": 2, "val/b": 2})
    shutil.copy(tmp_path / "photos/train/a/0.png", tmp_path / "photos/train/b/twin.png")
    shutil.copy(tmp_path / "photos/train/a/1.png", tmp_path / "photos/val/a/leak.png")
    shutil.copy(tmp_path / "photos/train/a/2.png", tmp_path / "photos/train/a/again.png")
    data = eyesight.load_data("photos/")
    assert said(data, "the same picture in two classes (1 picture): train/a/0.png = train/b/twin.png")
    assert said(
        data, "the same picture in two splits, so that the result will flatter (1 picture): train/a/1.png = val/"
    )
    assert said(
        data, "there more than once, and kept on one side of a split (1 picture): train/a/2.png = train/a/again"
    )


def test_names_that_differ_in_capitals_only_warn(tmp_path):
    data = eyesight.load_data(fill(tmp_path / "photos", {"Cat": 2, "cat": 2, "dog": 2}))
    assert len(data.classes) == 3
    assert said(data, "classes whose names differ only in capitals or spaces are kept apart: 'Cat' and 'cat'")


def test_folder_names_with_spaces_around_them_are_taken_without_and_said(tmp_path):
    data = eyesight.load_data(fill(tmp_path / "photos", {"cat ": 2, "dog": 2}))
    assert data.classes == ("cat", "dog")
    assert said(data, "class names are taken without the spaces around them: 'cat '")


def test_kinds_and_modes_may_be_mixed_and_give_one_channel_count_said(tmp_path):
    folder = tmp_path / "photos/a"
    write(folder / "rgb.png", 1)
    write(folder / "grey.png", 2, "L")
    write(folder / "clear.png", 3, "RGBA")
    write(folder / "cmyk.jpg", 4, "CMYK")
    write(folder / "png.png", 5).rename(folder / "png.jpg")
    write(folder / "gif.gif", 6).rename(folder / "gif.jpg")
    fill(tmp_path / "photos", {"b": 2})
    data = eyesight.load_data("photos/", validation=0)
    assert (len(data.train), data.shape[2]) == (8, 3)
    assert said(data, "all pictures are kept in colour (3 channels); 1 of 8 are grey")
    assert repr(data).endswith("2 classes; see its 3 notes)")
    assert said(data, "2 files are of another kind than named, and read all the same: a/gif.jpg (GIF), a/png.jpg (PNG)")


def test_grey_sets_stay_grey_and_train_as_they_predict(tmp_path):
    for i in range(4):
        write(tmp_path / f"photos/{'ab'[i % 2]}/{i}.png", i, "RGB" if i == 1 else "L")
        Image.open(path := tmp_path / f"photos/{'ab'[i % 2]}/{i}.png").convert("L").convert("RGB").save(path)
    data = eyesight.load_data("photos/", validation=0, img_size=12)
    assert data.shape == (12, 12, 1)
    assert not data.notes
    preprocessing = Preprocessing(height=12, width=12, channels=1, mean=(0,), std=(1,))
    for i in range(4):
        assert (data.train.gather([i])[0] == read_picture(data.train.source(i), preprocessing)).all()


def test_a_turned_photo_gives_the_same_pixels_in_training_and_prediction(tmp_path):
    upright = picture(1, (60, 40))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    for folder, image, orientation in (("a", upright, 1), ("b", turned, 6)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        (tmp_path / "photos" / folder).mkdir(parents=True)
        image.save(tmp_path / f"photos/{folder}/photo.png", exif=exif)
    fill(tmp_path / "photos", {"b/more": 1})
    data = eyesight.load_data("photos/", validation=0, img_size=24)
    first, _, second = (data.train.gather([i])[0] for i in range(3))
    assert (first == second).all()
    preprocessing = Preprocessing(height=24, width=24, channels=3, mean=(0,) * 3, std=(1,) * 3)
    assert (first == read_picture(tmp_path / "photos/b/photo.png", preprocessing)).all()


def test_uneven_classes_show_what_guessing_gives(tmp_path):
    data = eyesight.load_data(fill(tmp_path / "photos", {"good": 38, "faulty": 2}), validation=0)
    assert said(
        data,
        "uneven classes: 95% of the training pictures are 'good', so that always guessing it gives an accuracy of 0.95",
    )
    assert said(data, "look at the balanced accuracy, where that gives 0.50")


def test_a_class_of_one_picture_is_said_and_stays_in_training(tmp_path):
    data = eyesight.load_data(fill(tmp_path / "photos", {"a": 4, "b": 1}))
    assert sizes(data) == {"train": [3, 1], "validation": [1, 0]}
    assert said(data, "one training picture only in the class 'b'; none can be held out of it")


def test_a_class_whose_pictures_are_all_broken_is_said(tmp_path):
    fill(tmp_path / "photos", {"a": 2, "b": 2, "c": 1})
    (tmp_path / "photos/c/0.png").write_bytes(b"")
    data = eyesight.load_data("photos/")
    assert data.classes == ("a", "b")
    assert said(data, "no picture can be read of 'c', which is no class then")


# -- sizes -----------------------------------------------------------------------------------------------------------


def test_small_pictures_keep_their_size_and_photos_are_brought_to_64(tmp_path):
    for i in range(4):
        write(tmp_path / f"small/{i % 2}/{i}.png", i, size=(28, 28))
        write(tmp_path / f"large/{i % 2}/{i}.png", i, size=(90 + i, 70))
    assert eyesight.load_data("small", validation=0).shape == (28, 28, 3)
    assert eyesight.load_data("large", validation=0).shape == (64, 64, 3)
    assert eyesight.load_data("large", validation=0, img_size=32).shape == (32, 32, 3)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_every_way_to_the_size_is_the_same_in_training_and_prediction(tmp_path, resize):
    photo = np.zeros((40, 80, 3), np.uint8)
    photo[:, :40] = 200
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(photo if name == "a" else 255 - photo).save(tmp_path / f"photos/{name}/0.png")
    data = eyesight.load_data("photos", validation=0, img_size=16, resize=resize)
    picture = data.train.gather([0])[0]
    assert (picture[:4] == 0).all() == (resize == "pad")
    assert (picture[8, :8] == 200).all()
    assert (picture[8, 8:] == 0).all()
    run = eyesight.train(data, epochs=1, progress=False, batch_size=2)
    assert run.classifier.inference.preprocessing.fit == resize
    assert (read_picture(data.train.source(0), run.classifier.inference.preprocessing) == picture).all()


# -- splits ----------------------------------------------------------------------------------------------------------


def test_copies_and_groups_stay_on_one_side(tmp_path):
    fill(tmp_path / "photos", {f"{label}/{burst}": 3 for label in "ab" for burst in range(8)})
    for burst in range(8):
        (tmp_path / f"photos/a/c{burst}").mkdir()
        shutil.copy(tmp_path / f"photos/a/{burst}/0.png", tmp_path / f"photos/a/c{burst}/copy.png")
    for by, key in (("folder", lambda name: name.rpartition("/")[0]), (r"^(./\d)/", lambda name: name[:3])):
        data = eyesight.load_data("photos/", group_by=by, validation=0.3)
        for split, other in ((data.train, data.validation), (data.validation, data.train)):
            inside = {key(name) for name in split.example_ids if "copy" not in name}
            assert not inside & {key(name) for name in other.example_ids if "copy" not in name}
            for name in split.example_ids:
                assert "copy" not in name or f"a/{name[3]}/0.png" in split.example_ids
        assert sizes(data)["validation"] in ([8, 6], [4, 6])
    with pytest.raises(UsageError, match=r"group_by: 'patient' is no column, and as a pattern matches no picture"):
        eyesight.load_data("photos/", group_by="patient")
    with pytest.raises(UsageError, match=r"group_by: expected folder, a column or a pattern; '\(' is none"):
        eyesight.load_data("photos/", group_by="(")


def test_a_group_on_both_sides_of_given_splits_is_named(tmp_path):
    fill(tmp_path / "photos", {"train/a": 3, "train/b": 3, "val/a": 2, "val/b": 1})
    data = eyesight.load_data("photos/", group_by=r"(./\d)\.png$")
    assert said(data, "3 groups are on both sides of the given splits: a/0, a/1, b/0")


def test_given_validation_pictures_are_taken_whatever_the_share_and_not_for_choosing_where_it_is_0(tmp_path):
    fill(tmp_path / "photos", {"train/a": 6, "train/b": 6, "val/a": 2, "val/b": 2})
    chosen = eyesight.load_data("photos/", validation=0.3)
    unused = eyesight.load_data("photos/", validation=0)
    assert sizes(chosen) == sizes(unused) == {"train": [6, 6], "validation": [2, 2]}
    assert (chosen.protocol, unused.protocol) == ("given", "given-unused")
    for data, note in ((chosen, "the epoch was chosen on these pictures"), (unused, "nothing was chosen on them")):
        run = eyesight.train(data, epochs=2, progress=False, batch_size=4, validation=None)
        report = run.evaluate().report
        assert report.split == "validation"
        assert any(note in text for text in report.notes) or run.classifier.training.weights == "last"
        assert "these are the validation pictures that come with the data" in " ".join(report.notes)
    assert run.classifier.training.weights == "last"
    assert run.classifier.inference.temperature == 1
    assert any("nothing was chosen on them" in text for text in report.notes)


def test_real_photos_are_read(data_dir):
    data = eyesight.load_data(data_dir / "hymenoptera", img_size=32)
    assert sizes(data) == {"train": [123, 121], "validation": [70, 83]}
    assert data.classes == ("ants", "bees")
    assert data.train.example_ids[0].startswith("train/ants/")

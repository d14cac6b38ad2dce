"""The classifier and its file: equal answers after a round trip, any picture in, and no file that can fool or run."""

from __future__ import annotations

import copy
import io
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import eyesight
from eyesight.classifier import Classifier, InferenceSpec, OpaqueSpec, Training
from eyesight.errors import EyesightError, FormatError, PictureError, UsageError
from eyesight.formats import pack_tensors, read_tensors
from eyesight.metrics import softmax
from eyesight.models import NETWORKS, network_spec
from eyesight.pictures.preprocess import Preprocessing, fit
from eyesight.predictor import Answer, Answers

RNG = np.random.default_rng(0)


def inference(shape, *, temperature=1.0) -> InferenceSpec:
    height, width, channels = shape
    mean, std = (0.4, 0.5, 0.6)[:channels], (0.2, 0.25, 0.3)[:channels]
    return InferenceSpec(
        preprocessing=Preprocessing(height=height, width=width, channels=channels, mean=mean, std=std),
        temperature=temperature,
    )


def make(name="small-cnn-1pool", shape=(6, 6, 3), classes=("cat", "dog", "<b>eel</b>"), **options) -> Classifier:
    network = network_spec(name, shape=shape, classes=len(classes)).build()
    height, width, channels = shape
    images = torch.randn(20, channels, height, width, generator=torch.Generator().manual_seed(6))
    network.initialise(torch.Generator().manual_seed(5), images)
    return Classifier(network, inference(shape, **options), classes)


def pictures(count, shape=(6, 6, 3)):
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.fixture
def classifier() -> Classifier:
    return make()


HUGE = {"alexnet", "vgg16"}  # hundreds of megabytes, of layers that the others have too


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - HUGE))
def test_a_saved_classifier_gives_equal_logits(name, tmp_path):
    shape = (24, 23, 1)
    classifier = make(name, shape, temperature=1.7)
    classifier.training = Training(data="digits", fingerprint="f", epoch=3, weights="best", seed=4)
    checksum = classifier.save(tmp_path / "m.safetensors")
    again = Classifier.load(tmp_path / "m.safetensors")
    assert np.array_equal(classifier.logits(pictures(5, shape)), again.logits(pictures(5, shape)))
    assert (again.spec, again.inference, again.classes) == (classifier.spec, classifier.inference, classifier.classes)
    assert again.training == classifier.training
    assert again.checksum == classifier.checksum == checksum
    assert again.save(tmp_path / "n.safetensors") == checksum
    assert not again.network.training


def test_any_safetensors_reader_opens_a_model_file(classifier, tmp_path):
    from safetensors.numpy import load_file

    classifier.save(tmp_path / "m.safetensors")
    arrays = load_file(tmp_path / "m.safetensors")
    assert arrays["head.dense2.weight"].shape == (3, 64)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((6, 6, 3), np.uint8),
        np.zeros((1, 6, 6, 1), np.uint8),
        np.zeros((1, 3, 6, 6), np.uint8),
        np.zeros((1, 6, 6, 3), np.float32),
    ],
)
def test_logits_of_other_arrays_are_refused(classifier, wrong):
    with pytest.raises(UsageError, match=r"expected uint8 of shape \(N, 6, 6, 3\); received: ") as caught:
        classifier.logits(wrong)
    assert str(wrong.shape) in str(caught.value)


def test_no_pictures_give_no_logits(classifier):
    assert classifier.logits(pictures(0)).shape == (0, 3)
    assert classifier.predict([]) == []


def test_logits_do_not_depend_on_the_batch(classifier):
    images = pictures(300)
    whole = classifier.logits(images)
    for parts in ([1, 2, 9], [100, 200], [256], [299]):
        split = np.concatenate([classifier.logits(part) for part in np.split(images, parts)])
        np.testing.assert_allclose(whole, split, atol=1e-5)
    assert whole.dtype == np.float32
    assert np.ptp(whole, axis=0).min() > 1e-3  # it does look at the pictures


def test_read_only_and_reversed_views_are_taken(classifier):
    images = pictures(4)
    expected = classifier.logits(images[:, ::-1].copy())
    assert np.array_equal(classifier.logits(images[:, ::-1]), expected)
    images = images[:, ::-1].copy()
    images.flags.writeable = False
    assert np.array_equal(classifier.logits(images), expected)


def test_the_temperature_divides_the_logits(classifier):
    images = pictures(4)
    hot = Classifier(classifier.network, inference((6, 6, 3), temperature=4.0), classifier.classes)
    np.testing.assert_allclose(hot.logits(images), classifier.logits(images) / 4, rtol=1e-6)
    assert hot.probabilities(images).max() < classifier.probabilities(images).max()
    np.testing.assert_allclose(hot.probabilities(images).sum(axis=1), 1, atol=1e-12)


def test_the_network_sees_normalised_pictures():
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.mean((2, 3))

    images = pictures(2)
    Classifier(Spy(), inference((6, 6, 3)), ("a", "b", "c")).logits(images)
    expected = (images / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]
    np.testing.assert_allclose(seen[0].numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_a_picture_of_the_right_size_is_predicted_as_it_is_stored(classifier, tmp_path):
    image = pictures(1)[0]
    Image.fromarray(image).save(tmp_path / "p.png")
    expected = dict(zip(classifier.classes, softmax(classifier.logits(image[None]))[0].tolist(), strict=True))
    for given in (image, Image.fromarray(image), tmp_path / "p.png", (tmp_path / "p.png").read_bytes()):
        assert dict(classifier.predict(given)[0].top) == expected


def test_another_size_is_fitted_as_in_training(classifier):
    image = pictures(1, (31, 17, 3))[0]
    fitted = fit(Image.fromarray(image), classifier.inference.preprocessing)
    (found,) = classifier.predict(image)
    assert found.probability == pytest.approx(float(classifier.probabilities(fitted[None]).max()), abs=1e-12)


def test_every_kind_of_input_gives_predictions_in_order(classifier, tmp_path):
    (tmp_path / "photos" / "more").mkdir(parents=True)
    images = pictures(3)
    paths = [tmp_path / "photos" / name for name in ("b.png", "a.png", "more/c.png")]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path)
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    names = {p.source: p.top for p in classifier.predict(tmp_path / "photos")}
    assert list(names) == [str(path) for path in (paths[1], paths[0], paths[2])]
    assert [p.source for p in classifier.predict(str(tmp_path / "photos" / "*.png"))] == [
        str(paths[1]),
        str(paths[0]),
    ]
    mixed = classifier.predict([str(paths[0]), paths[2], images[1], Image.fromarray(images[2])])
    assert [p.source for p in mixed] == [str(paths[0]), str(paths[2]), "array 2", "picture 3"]
    for prediction, i in zip(mixed, (0, 2, 1, 2), strict=True):
        assert dict(prediction.top) == pytest.approx(dict(names[str(paths[i])]), abs=1e-6)
    assert [p.source for p in classifier.predict(path for path in paths)] == [str(path) for path in paths]


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 1), (9, 8, 3), (9, 8, 4)])
def test_grey_colour_and_transparent_arrays_are_taken_by_grey_and_colour_networks(shape):
    image = RNG.integers(0, 256, shape, dtype=np.uint8)
    for channels in (1, 3):
        assert len(make(shape=(6, 6, channels)).predict(image)) == 1


def test_more_pictures_than_a_batch_keep_their_order(classifier):
    images = pictures(600)
    assert [p.label for p in classifier.predict(list(images))] == [
        classifier.classes[k] for k in classifier.logits(images).argmax(axis=1)
    ]


def test_top_gives_the_most_probable_classes_in_order(classifier):
    image = pictures(1)[0]
    (best,) = classifier.predict(image, top=2)
    (all_of_them,) = classifier.predict(image, top=99)
    assert len(best.top) == 2
    assert best.top == all_of_them.top[:2]
    values = [value for _, value in all_of_them.top]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)
    assert (best.label, best.probability) == best.top[0]
    data = json.loads(json.dumps(best.to_json()))
    assert data["top"][0] == {"label": best.label, "probability": best.probability}
    with pytest.raises(UsageError, match="top: expected a whole number, 1 or more; received: 0"):
        classifier.predict(image, top=0)


@pytest.mark.parametrize(
    "wrong",
    [
        3,
        None,
        [1.5],
        torch.zeros(()),
        np.zeros((2, 6, 6, 3), np.uint8),
        np.zeros((6, 6), np.float32),
        np.zeros((0, 6), np.uint8),
        [np.zeros((6, 6, 2), np.uint8)],
    ],
)
def test_inputs_that_are_no_pictures_are_refused(classifier, wrong):
    with pytest.raises(UsageError, match="inputs: expected"):
        classifier.predict(wrong)


def test_a_bad_picture_is_reported_and_left_out_or_raised(classifier, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(pictures(1)[0]).save(good)
    bad.write_bytes(good.read_bytes()[:60])
    errors: list[PictureError] = []
    found = classifier.predict([bad, good, tmp_path / "none.png"], on_error=errors.append)
    assert [p.source for p in found] == [str(good)]
    assert [str(error).split(":")[0] for error in errors] == [str(bad), str(tmp_path / "none.png")]
    with pytest.raises(PictureError, match=r"bad\.png"):
        classifier.predict([good, bad])
    assert classifier.predict([bad], on_error=errors.append) == []


def test_an_error_says_which_picture_of_a_list_it_is(classifier):
    good, bad = Image.new("RGB", (9, 9)), Image.new("F", (9, 9))
    errors: list[PictureError] = []
    assert len(classifier.predict([good, good, bad, good], on_error=errors.append)) == 3
    assert classifier.predict([b"no", b"picture"], on_error=errors.append) == []
    assert [str(error).split(":")[0] for error in errors] == ["picture 2", "picture 0", "picture 1"]


def test_uploads_are_taken_as_they_come(classifier, tmp_path):
    Image.fromarray(pictures(1)[0]).save(tmp_path / "p.png")
    data = (tmp_path / "p.png").read_bytes()
    expected = classifier.predict(tmp_path / "p.png")[0].top
    with (tmp_path / "p.png").open("rb") as file:
        found = classifier.predict([io.BytesIO(data), bytearray(data), memoryview(data), file])
    assert [answer.top for answer in found] == [expected] * 4
    assert classifier.predict(io.BytesIO(data))[0].source == "picture"
    with (tmp_path / "p.png").open("r") as text, pytest.raises(UsageError, match="opened for text"):
        classifier.predict(text)


def test_the_table_in_a_notebook_escapes_file_and_class_names():
    html = Answers([Answer("<i>.png", (("<b>eel</b>", 0.75),))])._repr_html_()
    assert html == "<table><tr><td>&lt;i&gt;.png</td><td>&lt;b&gt;eel&lt;/b&gt;</td><td>75.0%</td></tr></table>"


def test_a_classifier_says_what_it_is(classifier):
    assert repr(classifier) == "Classifier('small-cnn-1pool': 6x6x3 → 3 classes)"


# ---- files that are not what they should be


@pytest.fixture
def saved(tmp_path) -> Path:
    make(shape=(4, 4, 1), classes=("a", "b")).save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


@pytest.fixture
def no_pickle(monkeypatch):
    """Let everything that could run code from a file fail loudly."""

    def refuse(*args, **kwargs):
        raise AssertionError("a model file was unpickled")

    for owner, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(owner, name, refuse)


def refusal(path: Path) -> str:
    """Return the error of loading a file, which must be one line that names it."""
    with pytest.raises(FormatError) as caught:
        Classifier.load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    assert len(text) < len(str(path)) + 300
    return text


def lie(path: Path, change=lambda description: None, arrays=lambda arrays: None) -> None:
    """Write the file anew with another description or other tensors, and a checksum that fits."""
    tensors, description, _ = read_tensors(path)
    change(description)
    arrays(tensors)
    path.write_bytes(pack_tensors(tensors, description)[0])


def put(*path):
    """Return a change that sets an entry of the description: all but the last argument lead to it."""
    *keys, value = path

    def change(description):
        for key in keys[:-1]:
            description = description[key]
        description[keys[-1]] = value

    return change


def test_loading_a_good_file_unpickles_nothing(saved, no_pickle):
    lie(saved)
    assert Classifier.load(saved).classes == ("a", "b")


def test_a_pickle_is_not_loaded(tmp_path, no_pickle):
    class Bomb:
        def __reduce__(self):
            return exec, ("raise SystemExit('executed')",)

    path = tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    refusal(path)


def test_a_torch_checkpoint_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    refusal(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\0" * 100, b"hello, this is no model", b"\xff" * 64])
def test_a_file_that_is_something_else_is_refused(tmp_path, content, no_pickle):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    assert "not a safetensors file" in refusal(path)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    assert refusal(tmp_path).endswith("is a directory")
    assert refusal(tmp_path / "none").endswith("no such file or directory")


def test_a_cut_off_file_is_refused_wherever_it_is_cut(saved, no_pickle):
    data = saved.read_bytes()
    for length in [*range(0, 40), *range(40, len(data), 997), len(data) - 1]:
        saved.write_bytes(data[:length])
        refusal(saved)
    saved.write_bytes(data + b"\0")
    refusal(saved)


def test_no_flipped_byte_goes_unnoticed(saved, no_pickle):
    data = saved.read_bytes()
    places = np.random.default_rng(0).integers(0, len(data), 150).tolist()
    for place in [*range(0, 300, 3), *places]:
        saved.write_bytes(data[:place] + bytes([data[place] ^ 0x11]) + data[place + 1 :])
        refusal(saved)


def test_a_newer_version_is_refused_by_name(saved):
    lie(saved, put("version", 3))
    assert "eyesight-model version 3 is newer than this eyesight reads (up to 2); update eyesight" in refusal(saved)


def test_another_format_of_ours_is_refused_by_name(saved):
    lie(saved, put("format", "eyesight-predictions"))
    assert "expected a file of format eyesight-model" in refusal(saved)


LAYERS = ("network", "features", "layers")
LIES = {
    "temperature is no number": (put("inference", "temperature", float("nan")), "temperature"),
    "temperature is zero": (put("inference", "temperature", 0), "temperature"),
    "temperature is infinite": (put("inference", "temperature", float("inf")), "temperature"),
    "std is zero": (put("inference", "preprocessing", "std", [0.0]), "std must be above 0"),
    "mean is no number": (put("inference", "preprocessing", "mean", [float("nan")]), "mean"),
    "more classes": (put("classes", ["a", "b", "c"]), "do not fit together"),
    "no classes": (put("classes", []), "classes"),
    "classes are numbers": (put("classes", [1, 2]), "classes"),
    "another input": (put("inference", "preprocessing", "height", 5), "do not fit together"),
    "network for another input": (put("network", "input", [1, 5, 5]), "do not fit together"),
    "too small": (put("network", "input", [1, 1, 4]), "does not hold together"),
    "network of another class count": (put("network", "classes", 3), "does not hold together"),
    "unknown layer": (put(*LAYERS, 0, 1, "layers", 0, 1, "type", "eval"), "layers"),
    "unknown network": (put("network", "type", "python"), "network"),
    "unknown entry": (put("surprise", 1), "surprise"),
    "no network": (lambda description: description.pop("network"), "network"),
    "huge dense layer": (put("network", "head", "layers", 1, 1, "out", 1 << 20), "more than the whole file"),
    "huge convolution": (put(*LAYERS, 1, 1, "layers", 0, 1, {"type": "conv", "out": 1 << 20, "kernel": 1}), "whole"),
    "other width": (put("network", "head", "layers", 1, 1, "out", 63), "should have shape"),
    "other kernel": (put(*LAYERS, 0, 1, "layers", 0, 1, "kernel", 1), "should have shape"),
    "renamed layer": (put(*LAYERS, 0, 0, "stage9"), "tensors do not fit"),
    "two of one name": (put(*LAYERS, 0, 0, "stage2"), "same name"),
    "a name of torch's": (put(*LAYERS, 0, 1, "layers", 1, 0, "train"), "'train'"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_description_that_lies_is_refused(name, saved, no_pickle):
    change, message = LIES[name]
    lie(saved, change)
    assert message in refusal(saved)


def test_numbers_too_large_for_torch_are_refused_before_it_sees_them(saved):
    pad = {"type": "pad", "left": 4096, "right": 4096, "top": 4096, "bottom": 4096}

    def change(description):
        layers = description["network"]["features"]["layers"]
        layers += [[f"pad{i}", pad] for i in range(2000)] + [["conv", {"type": "conv", "out": 1 << 20, "kernel": 1}]]

    lie(saved, change)
    assert "more than the whole file" in refusal(saved)


@pytest.mark.parametrize("depth", [5, 100, 200, 254, 300])
def test_chains_nested_without_end_are_refused(depth, saved):
    def change(description):
        inner = description["network"]["features"]
        for _ in range(depth):
            inner = {"type": "chain", "layers": [["a", inner]]}
        description["network"]["features"] = inner

    lie(saved, change)
    with pytest.raises(FormatError) as caught:
        Classifier.load(saved)
    assert "\n" not in str(caught.value)


def first(arrays) -> str:
    return sorted(arrays)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop(first(arrays)), "tensors do not fit the network"),
        (lambda arrays: arrays.update(more=np.zeros(1)), "'more'"),
        (lambda arrays: arrays.update({first(arrays): np.zeros((3, 3), np.float32)}), "should have shape"),
        (lambda arrays: arrays.update({k: v.astype(np.int64) for k, v in arrays.items()}), "should hold float32"),
        (lambda arrays: arrays.clear(), "more than the whole file"),
    ],
)
def test_tensors_that_do_not_fit_the_description_are_refused(change, message, saved):
    lie(saved, arrays=change)
    assert message in refusal(saved)


def test_a_header_of_its_own_size_is_not_believed(saved):
    data = saved.read_bytes()
    for size in (0, 1, 1 << 20, 1 << 40, (1 << 64) - 1):
        saved.write_bytes(struct.pack("<Q", size) + data[8:])
        refusal(saved)


# ---- a user's own network


class Own(nn.Module):
    """A user's network with buffers that are not parameters."""

    def __init__(self, classes=3, width=4):
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Linear(width, classes)

    def forward(self, x):
        return self.out(self.norm(self.conv(x)).mean((2, 3)))


@pytest.fixture
def own(tmp_path) -> Classifier:
    torch.manual_seed(0)
    network = Own()
    network.train()(torch.randn(16, 3, 6, 6))  # so that the buffers hold something
    classifier = Classifier(network, inference((6, 6, 3)), ("a", "b", "c"))
    classifier.save(tmp_path / "own.safetensors")
    return classifier


def test_a_users_network_comes_back_with_its_buffers(own, tmp_path):
    template = Own()
    before = copy.deepcopy(template.state_dict())
    again = Classifier.load(tmp_path / "own.safetensors", module=template)
    assert np.array_equal(own.logits(pictures(4)), again.logits(pictures(4)))
    assert int(again.network.norm.num_batches_tracked) == 1
    assert isinstance(again.spec, OpaqueSpec)
    assert again.spec.name.endswith("Own")
    assert all(torch.equal(before[key], value) for key, value in template.state_dict().items())


def test_a_users_network_needs_an_instance(own, tmp_path):
    with pytest.raises(UsageError, match=r"own\.safetensors: its network is .*Own.*with an instance as module="):
        Classifier.load(tmp_path / "own.safetensors")


@pytest.mark.parametrize("module", [Own(classes=4), Own(width=5), nn.Flatten()])
def test_an_instance_that_does_not_fit_is_refused(own, tmp_path, module):
    with pytest.raises(EyesightError) as caught:
        Classifier.load(tmp_path / "own.safetensors", module=module)
    assert isinstance(caught.value, UsageError | FormatError)
    assert "\n" not in str(caught.value)


def test_torch_is_given_few_sizes_of_batches_and_answers_as_before(own):
    """For every size torch keeps what it has prepared: with 256 sizes half a gigabyte of a small network."""
    seen = set()
    handle = own.network.register_forward_pre_hook(lambda module, inputs: seen.add(len(inputs[0])))
    pictures = np.random.default_rng(0).integers(0, 256, (256, *own.inference.preprocessing.shape), dtype=np.uint8)
    single = own.logits(pictures)
    for count in range(1, 256):
        logits = own.logits(pictures[:count])
        assert logits.shape == (count, len(own.classes))
        np.testing.assert_allclose(logits, single[:count], atol=1e-5)
    handle.remove()
    assert len(seen) <= 56
    assert all(size in seen for size in range(1, 17))


def test_logits_of_another_number_than_the_classes_are_refused():
    classifier = Classifier(Own(classes=1), inference((6, 6, 3)), ("a", "b", "c"))
    with pytest.raises(UsageError, match=r"expected logits of shape \(2, 3\); received: \(2, 1\)"):
        classifier.logits(pictures(2))


def test_a_classifier_is_loaded_from_a_run_or_a_file(digits_run):
    from_run = eyesight.load_classifier(digits_run.path)
    from_file = eyesight.load_classifier(digits_run.model_file)
    images = pictures(3, from_run.inference.preprocessing.shape)
    assert np.array_equal(from_run.logits(images), from_file.logits(images))


def test_answers_below_a_threshold_are_unsure(digits_run):
    classifier = digits_run.classifier
    pictures = digits_run.data().test.gather(np.arange(40))
    noise = np.random.default_rng(0).integers(0, 256, (4, *pictures.shape[1:]), dtype=np.uint8)
    inputs = [*pictures, *noise, np.zeros_like(noise[0]), 255 - pictures[0]]
    answers = classifier.predict(inputs, threshold=0.9)
    assert [answer.unsure for answer in answers] == [answer.probability < 0.9 for answer in answers]
    assert {answer.unsure for answer in answers} == {True, False}
    assert answers[0].to_json()["unsure"] is answers[0].unsure
    assert classifier.predict(pictures[0])[0].unsure is None
    assert "unsure" not in classifier.predict(pictures[0])[0].to_json()


@pytest.mark.parametrize("threshold", [0, 1, -0.5, "0.5", float("nan")])
def test_a_threshold_is_a_probability(digits_run, threshold):
    with pytest.raises(UsageError, match=r"^threshold: expected a probability between 0 and 1; received: "):
        digits_run.classifier.predict(np.zeros((8, 8), np.uint8), threshold=threshold)

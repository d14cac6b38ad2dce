"""Weights to and from Keras: a file that real Keras made gives its predictions, and ours has the same layout."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
import pytest

import eyesight
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.cli import main
from eyesight.errors import EyesightError, FormatError, UsageError
from eyesight.export.keras_weights import pack_keras, unpack_keras
from eyesight.models import network_spec
from eyesight.models.elementwise import Activation, BatchNorm
from eyesight.models.layers import Conv, Flatten, Linear, Pad, chain
from eyesight.models.network import NetworkSpec
from eyesight.models.pooling import MaxPool
from eyesight.pictures.preprocess import Preprocessing
from watching import nothing_executed

HERE = Path(__file__).parent
MADE = HERE / "keras.weights.h5"  # by make_keras.py
SPEC = NetworkSpec(
    name="as in make_keras.py",
    input=(3, 9, 8),
    classes=3,
    features=chain(
        pad=Pad(left=1, right=0, top=0, bottom=0),
        conv1=Conv(out=3, kernel=3, padding="same", bias=False), norm=BatchNorm(eps=1e-5),
        relu1=Activation(function="relu"), pool=MaxPool(),
        conv2=Conv(out=4, kernel=2, padding="same"), relu2=Activation(function="relu"),
    ),
    head=chain(flatten=Flatten(), dense1=Linear(out=5), tanh=Activation(function="tanh"), dense2=Linear(out=3)),
)  # fmt: skip


def test_weights_of_real_keras_give_its_predictions():
    preprocessing = Preprocessing(height=9, width=8, channels=3, mean=(0,) * 3, std=(1,) * 3)
    classifier = Classifier(unpack_keras(MADE, SPEC), InferenceSpec(preprocessing=preprocessing), "abc")
    made = np.load(HERE / "keras.npz")
    np.testing.assert_allclose(classifier.logits(made["pictures"]), made["logits"], atol=2e-6)


def test_what_we_write_is_what_keras_wrote():
    data = pack_keras(unpack_keras(MADE, SPEC))
    assert data == pack_keras(unpack_keras(MADE, SPEC))

    def contents(file: h5py.File) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return found

    with h5py.File(io.BytesIO(data)) as ours, h5py.File(MADE) as theirs:
        mine, expected = contents(ours), contents(theirs)
    assert mine.keys() == expected.keys()
    assert all(np.array_equal(mine[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", ["lenet5", "small-cnn", "small-cnn-same", "small-cnn-3pool", "small-cnn-1pool", "mlp"])
def test_tutorial_networks_come_back_as_they_were(name, tmp_path):
    spec = network_spec(name, shape=(28, 24, 3), classes=4)
    rng = np.random.default_rng(0)
    arrays = {path: rng.normal(0, 0.1, shape).astype(np.float32) for path, shape in spec.weights().items()}
    path = tmp_path / "w.weights.h5"
    path.write_bytes(pack_keras(type(unpack_keras(MADE, SPEC))(spec, arrays)))
    found = unpack_keras(path, spec).arrays
    assert all(np.array_equal(found[key], arrays[key]) for key in arrays)


def test_to_keras_and_back_answers_the_same(bars_data, capsys):
    run = eyesight.train(bars_data, model="small-cnn-1pool", epochs=1, output="run", progress=False)
    assert main(["export", "run", "--format", "keras"]) == 0
    assert capsys.readouterr().out.startswith("wrote run/export/run.weights.h5")
    preprocessing = run.classifier.preprocessing
    again = eyesight.load_keras_weights(
        "run/export/run.weights.h5", model="small-cnn-1pool", input=(12, 12, 3), classes=run.classifier.classes
    )
    again.inference = InferenceSpec(preprocessing=preprocessing, temperature=run.classifier.inference.temperature)
    pictures = bars_data.test.gather(np.arange(9))
    assert np.array_equal(again.logits(pictures), run.classifier.logits(pictures))


def altered(change) -> bytes:
    buffer = io.BytesIO(MADE.read_bytes())
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def replace(place: str, value) -> bytes:
    def change(file: h5py.File) -> None:
        del file[place]
        file[place] = value

    return altered(change)


def external(file: h5py.File) -> None:
    del file["layers/dense/vars/1"]
    file.create_dataset("layers/dense/vars/1", (5,), "<f4", external=[("/etc/passwd", 0, 20)])


def virtual(file: h5py.File) -> None:
    del file["layers/dense/vars/1"]
    layout = h5py.VirtualLayout((5,), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (5,))
    file.create_virtual_dataset("layers/dense/vars/1", layout)


def huge(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (1 << 40, 1 << 10), "<f4", chunks=(1024, 1024))


BIAS = "layers/dense/vars/1"
HOSTILE = {
    "empty": (b"", "not a .weights.h5 file"),
    "text": (b"hello", "not a .weights.h5 file"),
    "cut off": (MADE.read_bytes()[:9000], "not a .weights.h5 file"),
    "a link to another file": (replace(BIAS, h5py.ExternalLink("/etc/passwd", "/x")), "has no layers/dense/vars/1"),
    "a link inside": (replace(BIAS, h5py.SoftLink("/vars")), "has no layers/dense/vars/1"),
    "a group of links": (replace("layers/dense", h5py.ExternalLink("other.h5", "/")), "has no layers/dense/vars/0"),
    "numbers in another file": (altered(external), "numbers of its own"),
    "numbers of another file's": (altered(virtual), "numbers of its own"),
    "a petabyte": (altered(huge), "should have shape"),
    "text as numbers": (replace(BIAS, "exec"), "numbers of its own"),
    "references": (replace(BIAS, np.array([h5py.Reference()] * 5, h5py.ref_dtype)), "numbers of its own"),
    "another shape": (replace(BIAS, np.zeros(6, np.float32)), "should have shape (5,); received: (6,)"),
    "NaN": (replace(BIAS, np.full(5, np.nan, np.float32)), "finite"),
    "a layer too many": (altered(lambda f: f.create_dataset("layers/dense_2/vars/0", data=[1.0])), "dense_2"),
    "a layer too few": (altered(lambda f: f.__delitem__("layers/dense_1")), "has no layers/dense_1"),
    "Keras 2": (altered(lambda f: f.move("layers", "model_weights")), "has no layers/"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_in_a_line(kind):
    data, text = HOSTILE[kind]
    path = Path("x.weights.h5")
    path.write_bytes(data)
    with nothing_executed(), pytest.raises(FormatError) as caught:
        unpack_keras(path, SPEC)
    assert str(caught.value).startswith("x.weights.h5: ")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["resnet20", "whitened-16-32-32", "mobilenet-v2"])
def test_networks_that_keras_has_not_are_refused(name):
    with pytest.raises(UsageError, match="is not a chain of"):
        unpack_keras(MADE, network_spec(name, shape=(32, 32, 3), classes=4))


def test_without_h5py_the_install_line_is_given(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(EyesightError, match=r"pip install 'eyesight\[keras\]'"):
        unpack_keras(MADE, SPEC)

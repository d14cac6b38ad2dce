"""An exported file answers as the classifier does, explains itself, and is not written where it would not."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import eyesight
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.cli import main
from eyesight.errors import EyesightError, FormatError, RunError, UsageError
from eyesight.export import onnx_export, quantize
from eyesight.export.card import card
from eyesight.export.exported import ExportedModel
from eyesight.export.labels import label_files
from eyesight.export.onnx_export import onnx_bytes
from eyesight.export.origin import Origin
from eyesight.export.parity import EXACT, Sample, compare
from eyesight.models import NETWORKS, network_spec
from eyesight.models.network import NetworkWeights
from eyesight.pictures.preprocess import Preprocessing, read_picture
from eyesight.pictures.views import VIEW_COUNT

HUGE = {"alexnet", "vgg16", "resnet34", "resnet50"}  # of layers that smaller ones have as well
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def exported(digits_run, tmp_path_factory) -> Path:
    """The run as ONNX."""
    path = tmp_path_factory.mktemp("exported") / "digits.onnx"
    eyesight.export_model(digits_run, path, licence="CC0")
    return path


@pytest.fixture(scope="module")
def int8(digits_run, tmp_path_factory) -> eyesight.Export:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "_speeds", lambda models, pictures: (100.0, 200.0))  # the clock proves nothing here
        return eyesight.export_model(digits_run, tmp_path_factory.mktemp("int8") / "digits.onnx", int8=True)


def random_classifier(name: str, *, side: int = 32, channels: int = 3, views="one") -> Classifier:
    """A network with weights drawn at random."""
    spec = network_spec(name, shape=(side, side, channels), classes=4)
    rng, arrays = np.random.default_rng(0), {}
    for path, shape in spec.weights().items():
        wide = rng.normal(0, 1 / np.sqrt(max(1, np.prod(shape[1:]))), shape).astype(np.float32)
        arrays[path] = np.abs(wide) + 0.5 if path.endswith("running_var") else wide
    arrays = {path: a if a.shape else np.array(1) for path, a in arrays.items()}
    preprocessing = Preprocessing(
        height=side, width=side, channels=channels, mean=(0.4,) * channels, std=(0.25,) * channels
    )
    inference = InferenceSpec(preprocessing=preprocessing, views=views, temperature=1.5)
    return Classifier(NetworkWeights(spec, arrays), inference, ("a", "b", "c", "d"))


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - HUGE))
def test_every_network_is_exported_as_it_is(name):
    classifier = random_classifier(name, side=64 if "efficient" in name or "mobile" in name else 32)
    pictures = np.random.default_rng(1).integers(0, 256, (3, *classifier.preprocessing.shape), np.uint8)
    model = ExportedModel.from_bytes(onnx_bytes(Origin(classifier, name)), source=name)
    assert np.abs(model.probabilities(pictures) - classifier.probabilities(pictures)).max() <= EXACT
    assert model.predict(list(pictures)) == classifier.predict(list(pictures))


@pytest.mark.parametrize("views", VIEW_COUNT)
def test_views_and_temperature_are_inside(views):
    classifier = random_classifier("whitened-16-32-32", views=views)
    pictures = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
    data = onnx_bytes(Origin(classifier, "x"))
    session = onnxruntime.InferenceSession(data)
    probabilities, logits = session.run(["probabilities", "logits"], {"pictures": pictures})
    assert np.abs(probabilities - classifier.probabilities(pictures)).max() <= EXACT
    np.testing.assert_allclose(logits, classifier.logits(pictures), atol=1e-5)


def test_the_command_writes_the_file_and_its_certificate(digits_run, capsys):
    assert main(["export", str(digits_run.path), "-o", "out/d.onnx"]) == 0
    printed = capsys.readouterr().out
    assert "200 of the test pictures of digits" in printed
    assert "wrote out/d.onnx" in printed
    certificate = json.loads(Path("out/d.parity.json").read_text())
    assert (certificate["format"], certificate["count"]) == ("eyesight-parity", 200)
    (row,) = certificate["comparisons"]
    assert row["name"] == "onnx"
    assert row["largest"] <= EXACT
    assert (row["same"], row["other"], row["holds"]) == (200, 0, True)
    assert certificate["model"] == digits_run.classifier.checksum
    assert certificate["machine"]["packages"]["onnxruntime"] == onnxruntime.__version__


def test_the_same_classifier_gives_the_same_bytes(digits_run, exported):
    again = eyesight.export_model(digits_run, "again.onnx", licence="CC0").path
    assert again.read_bytes() == exported.read_bytes()


def test_without_a_place_it_goes_into_the_run(digits_run, tmp_path):
    run = Path(shutil.copytree(digits_run.path, tmp_path / "first"))
    assert eyesight.export_model(run).path == run / "export" / "first.onnx"
    model = tmp_path / "model.safetensors"
    shutil.copy(run / "model.safetensors", model)
    assert eyesight.export_model(str(model)).path == tmp_path / "model.onnx"


def test_a_model_file_without_its_run_is_proven_on_drawn_pictures_or_given_ones(digits_run, tmp_path):
    shutil.copy(digits_run.model_file, tmp_path / "model.safetensors")
    made = eyesight.export_model("model.safetensors")
    assert made.certificate is not None
    assert made.certificate.source.startswith("64 synthetic pictures")
    Image.new("L", (40, 30), 90).save("grey.png")
    made = eyesight.export_model("model.safetensors", pictures=["grey.png"], overwrite=True)
    assert made.certificate is not None
    assert made.certificate.source == "1 of the pictures given"


def test_the_file_says_all_that_is_needed_to_use_it(digits_run, exported):
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["classes"]) == list(digits_run.classifier.classes)
    assert Preprocessing(**json.loads(said["preprocessing"])) == digits_run.classifier.preprocessing
    assert "uint8 (N, 8, 8, 1)" in said["usage"]
    origin = json.loads(said["provenance"])
    assert (origin["run"], origin["data"], origin["model"]) == ("digits", "digits", digits_run.classifier.checksum)
    assert origin["fingerprint"] == digits_run.classifier.training.fingerprint
    assert said["licence"] == "CC0"


def test_the_licence_of_pretrained_weights_is_stated():
    classifier = eyesight.load_classifier("efficientnet-lite0")
    assert "Apache License 2.0" in Origin(classifier, "efficientnet-lite0").licences()
    assert Origin(classifier, "mine", licence="CC0").licences().startswith("CC0; made with the weights")
    fresh = random_classifier("efficientnet-lite0", side=64)
    assert Origin(fresh, "mine").licences() == "not stated by whoever exported it"


def test_a_file_that_was_renamed_and_moved_answers_without_its_run_and_without_torch(exported, tmp_path):
    shutil.copy(exported, tmp_path / "moved.bin")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "p.png")
    program = (
        "import sys\n"
        "class Forbid:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] == 'torch': raise ImportError('no torch here')\n"
        "sys.meta_path.insert(0, Forbid())\n"
        "from eyesight.cli import main\n"
        "sys.exit(main(['predict', 'moved.bin', 'p.png', '--csv']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4


def test_two_models_in_one_process_keep_their_own_classes(exported):
    other = random_classifier("mlp", side=8, channels=1)
    Path("other.onnx").write_bytes(onnx_bytes(Origin(other, "other")))
    one, two = eyesight.load_model(exported), eyesight.load_model("other.onnx")
    picture = np.zeros((8, 8), np.uint8)
    for _ in range(2):
        assert {name for name, _ in one.predict(picture, top=99)[0].top} == set(map(str, range(10)))
        assert {name for name, _ in two.predict(picture, top=99)[0].top} == {"a", "b", "c", "d"}


def odd_photos() -> dict[str, bytes]:
    """Eight photos of kinds that other programs stumble over."""
    rng = np.random.default_rng(3)
    noise = Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (50, 50), np.uint16))
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = noise.convert("RGBA")
    clear.putalpha(Image.fromarray(rng.integers(0, 256, (40, 60), np.uint8)))
    large = noise.resize((5000, 4000), Image.Resampling.NEAREST)
    kinds = {
        "turned.jpg": (noise, {"exif": turned}), "grey.png": (noise.convert("L"), {}), "deep.png": (deep, {}),
        "clear.png": (clear, {}), "cmyk.jpg": (noise.convert("CMYK"), {}), "dot.png": (noise.crop((0, 0, 1, 1)), {}),
        "wide.png": (noise.resize((3000, 4)), {}), "large.jpg": (large, {"quality": 60}),
    }  # fmt: skip
    files = {}
    for name, (picture, options) in kinds.items():
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG" if name.endswith("jpg") else "PNG", **options)
        files[name] = buffer.getvalue()
    return files


def test_odd_photos_through_every_file_get_the_classifiers_answers(digits_run, exported, int8):
    classifier, model, small = digits_run.classifier, eyesight.load_model(exported), eyesight.load_model(int8.path)
    for name, data in odd_photos().items():
        expected = dict(classifier.predict(data, top=10)[0].top)
        found = dict(model.predict(data, top=10)[0].top)
        assert max(abs(found[key] - expected[key]) for key in expected) <= EXACT, name
        stored = read_picture(data, small.preprocessing)[None]
        assert small.predict(data)[0].probability == small.probabilities(stored).max(), name


def test_what_exists_is_not_replaced_unasked(digits_run, exported, capsys):
    before = exported.read_bytes()
    assert main(["export", str(digits_run.path), "--output", str(exported)]) == 1
    assert capsys.readouterr().err == (
        f"eyesight: error: {exported}: exists; choose another --output, or pass --overwrite\n"
    )
    Path("a.parity.json").write_text("mine")
    with pytest.raises(RunError, match=r"a\.parity\.json: exists"):
        eyesight.export_model(digits_run, "a.onnx")
    assert exported.read_bytes() == before
    assert not Path("a.onnx").exists()
    assert main(["export", str(digits_run.path), "-o", "a.onnx", "--overwrite"]) == 0


def test_a_run_that_is_not_finished_is_refused_in_a_line(digits_run, tmp_path, capsys):
    run = Path(shutil.copytree(digits_run.path, tmp_path / "half"))
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"status": "interrupted"}))
    assert main(["export", str(run)]) == 1
    line = f"eyesight: error: {run}: is not finished (interrupted); only a complete run is exported\n"
    assert capsys.readouterr().err == line
    assert not (run / "export").exists()


def test_a_file_that_would_answer_otherwise_is_not_written(digits_run, monkeypatch):
    def wrong(origin: Origin) -> onnx.ModelProto:
        inference = origin.classifier.inference.model_copy(update={"temperature": 1.01})
        weights = origin.classifier.weights()
        return Classifier(weights, inference, origin.classifier.classes).graph()

    monkeypatch.setattr(onnx_export, "_graph", wrong)
    with pytest.raises(EyesightError, match=r"differ from the classifier.s by up to .*nothing was written"):
        eyesight.export_model(digits_run, "wrong.onnx")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("options", "field", "text"),
    [
        ({"format": "onyx"}, "format", "did you mean 'onnx'"),
        ({"opset": 12}, "opset", "no such option"),
        ({"max_drop": 1.0}, "max_drop", "belongs to int8"),
        ({"pictures": ["missing.png"]}, None, "no such file"),
        ({"output": 7}, "output", "expected a path"),
    ],
)
def test_what_cannot_be_asked_for_is_named(digits_run, options, field, text):
    with pytest.raises(EyesightError) as caught:
        eyesight.export_model(digits_run, **options)
    assert caught.value.field == field
    assert text in str(caught.value)


def test_missing_models_and_others_are_refused_in_a_line(tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    for path, text in {
        "none.onnx": "no such file",
        "folder.onnx": "is a directory",
        "/dev/zero": "a device",
        "a\0.onnx": "not the name",
    }.items():
        with pytest.raises(EyesightError) as caught:
            eyesight.load_model(path)
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)
    with Path("large.onnx").open("wb") as file:
        file.truncate(3 << 30)  # of nothing; it takes no room on the disk
    with pytest.raises(FormatError, match="at most 2 GB"):
        eyesight.load_model("large.onnx")


# -- int8 ------------------------------------------------------------------------------------------------------------


def test_int8_is_smaller_and_nearly_as_accurate(int8, digits_run):
    assert int8.quantized is not None
    assert int8.quantized.split == "validation"
    assert int8.quantized.bytes[1] < int8.quantized.bytes[0] / 3
    assert int8.quantized.accuracy[1] >= int8.quantized.accuracy[0] - 0.002
    assert [row.name for row in int8.certificate.comparisons] == ["onnx", "int8"]
    model = eyesight.load_model(int8.path)
    assert model.description.provenance.numbers == "int8"
    kinds = {node.op_type for node in onnx.load(int8.path).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert (
        len({len(t.dims) for t in onnx.load(int8.path).graph.initializer if t.data_type == onnx.TensorProto.INT8}) > 1
    )


def test_int8_that_loses_accuracy_or_gains_no_speed_is_refused(digits_run, monkeypatch, capsys):
    monkeypatch.setattr(quantize, "_speeds", lambda models, pictures: (100.0, 100.0))
    assert main(["export", str(digits_run.path), "-o", "a.onnx", "--int8"]) == 1
    assert "int8: no faster here (100 → 100 pictures a second); nothing was written" in capsys.readouterr().err
    monkeypatch.setattr(quantize, "_speeds", lambda models, pictures: (100.0, 200.0))
    assert main(["export", str(digits_run.path), "-o", "a.onnx", "--int8", "--max-drop", "-1"]) == 1
    assert "points of accuracy less on 143 validation pictures" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_int8_needs_the_data(digits_run, tmp_path):
    shutil.copy(digits_run.model_file, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="needs the data that it was trained on"):
        eyesight.export_model("model.safetensors", int8=True)


# -- a user's own module ---------------------------------------------------------------------------------------------


class Own(nn.Module):
    """As many people write theirs."""

    def __init__(self, *, fickle: bool = False) -> None:
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(8 * 36, 3)
        self.drop, self.fickle = nn.Dropout(0.2), fickle

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.gelu(self.norm(self.conv(images))), 2)
        x = self.dense(self.drop(x.view(x.size(0), -1)))
        return x * 2 if self.fickle and images.mean() > 0 else x


def test_a_module_of_the_users_own_is_exported_by_torch_and_proven(bars_data):
    run = eyesight.train(bars_data, model=Own(), epochs=1, output="own", progress=False)
    made = eyesight.export_model(run, "own.onnx")
    assert made.certificate is not None
    assert made.certificate.source == "60 of the test pictures of arrays"
    pictures = bars_data.test.gather(np.arange(7))
    expected = run.classifier.probabilities(pictures)
    assert np.abs(eyesight.load_model("own.onnx").probabilities(pictures) - expected).max() <= EXACT
    again = eyesight.open_run("own", module=Own())
    eyesight.export_model(again, "again.onnx")
    assert Path("again.onnx").read_bytes() == Path("own.onnx").read_bytes()


def test_a_module_that_decides_from_its_pictures_is_not_exported_as_something_else(bars_data):
    run = eyesight.train(bars_data, model=Own(fickle=True), epochs=1, output="own", progress=False)
    with pytest.raises(EyesightError, match="nothing was written"):
        eyesight.export_model(run, "own.onnx")
    assert not Path("own.onnx").exists()


# -- parity ----------------------------------------------------------------------------------------------------------


class Fixed:
    def __init__(self, *rows: tuple[float, ...]) -> None:
        self.rows = np.array(rows)

    def probabilities(self, pictures):
        return self.rows


def test_the_certificate_counts_other_classes_where_the_margin_is_larger_than_the_tolerance():
    sample = Sample(np.zeros((3, 2, 2, 1), np.uint8), "nothing")
    reference = Fixed((0.9, 0.1), (0.5 + 4e-6, 0.5 - 4e-6), (0.2, 0.8))
    close = Fixed((0.9, 0.1), (0.5 - 1e-6, 0.5 + 1e-6), (0.2, 0.8))
    swapped = Fixed((0.1, 0.9), (0.5, 0.5), (0.2, 0.8))
    blank = Fixed((np.nan, 0.1), (0.5, 0.5), (0.2, 0.8))
    found = compare(reference, {"close": close, "swapped": swapped, "blank": blank}, sample).comparisons
    assert [(each.same, each.other, each.holds) for each in found] == [(2, 0, True), (2, 1, False), (3, 0, False)]
    assert found[2].largest == 1
    with pytest.raises(EyesightError, match="expected probabilities of shape"):
        compare(reference, {"short": Fixed((1.0, 0.0))}, sample)


# -- the page for users ----------------------------------------------------------------------------------------------


def test_the_ten_lines_of_the_page_work_with_onnx_runtime_alone(digits_run, exported, tmp_path):
    page = (REPOSITORY / "docs" / "ship.md").read_text(encoding="utf-8")
    program = next(part.partition("```")[0] for part in page.split("```python\n")[1:] if "onnxruntime" in part)
    assert "eyesight" not in program
    shutil.copy(exported, tmp_path / "model.onnx")
    test = eyesight.load_data("digits").split("test")
    for i in range(0, 30, 10):
        Image.fromarray(test.gather([i])[0, ..., 0]).save(tmp_path / "photo.jpg", "PNG")
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
        assert done.stdout.strip() == digits_run.classifier.predict(tmp_path / "photo.jpg")[0].label


def test_labels_are_written_as_other_programs_look_for_them(digits_run, capsys):
    assert main(["export", str(digits_run.path), "--format", "labels", "-o", "out/labels.txt"]) == 0
    assert Path("out/labels.txt").read_text() == "".join(f"{k}\n" for k in range(10))
    assert json.loads(Path("out/index_to_name.json").read_text())["3"] == "3"
    assert json.loads(Path("out/config.json").read_text())["id2label"]["9"] == "9"
    with pytest.raises(UsageError, match="does not fit on one"):
        label_files(["a", "b\nc"])
    with pytest.raises(RunError, match="exists"):
        eyesight.export_model(digits_run, "out/labels.txt", format="labels")


def test_the_card_has_the_figures_of_the_evaluation_and_says_where_there_are_none(digits_run, tmp_path):
    run = eyesight.open_run(shutil.copytree(digits_run.path, tmp_path / "first"))
    shutil.rmtree(run.path / "evaluation", ignore_errors=True)  # another test may have judged the run that all share
    text = eyesight.export_model(run, "none.md", format="card").path.read_text()
    assert f"Not evaluated yet (`eyesight evaluate {run.path}`)" in text
    report = run.evaluate().report
    text = eyesight.export_model(run, "card.md", format="card", licence="CC0").path.read_text()
    low, high = report.accuracy_interval
    assert f"| test | {report.n:,} | {report.accuracy:.4f} | {low:.4f} to {high:.4f} |" in text
    assert "\nCC0.\n" in text
    assert "fingerprint" in text


def test_names_in_a_card_stay_text(tmp_path):
    classifier = random_classifier("mlp", side=8, channels=1)
    classifier.classes = ("<script>", "a|b", "# c\nd", "`e`")
    text = card(Origin(classifier, "x"), [])
    assert "classes: \\<script\\>, a\\|b, \\# c d, \\`e\\`." in text

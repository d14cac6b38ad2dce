"""The page: one file that runs a network in a browser by itself and answers as the classifier does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import eyesight
from browser import ask
from drawn_networks import TREES
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.cli import main
from eyesight.errors import UsageError
from eyesight.export.page.kernel import COMPILED, build_kernel
from eyesight.export.page.page import RoundedClassifier, build_page
from eyesight.export.page.weights import BITS, Bits
from eyesight.models import NETWORKS, network_spec
from eyesight.models.network import NetworkSpec
from eyesight.pictures.preprocess import Preprocessing, fit
from eyesight.pictures.views import VIEW_COUNT, Views
from pages import (
    AGREE,
    EQUAL,
    LARGE_PICTURES,
    NAMED,
    PICTURES,
    SIDE,
    TINY,
    classifier,
    colour,
    family,
    open_page,
    ours_pictures,
    photos,
    probabilities,
    show,
    text,
    wait_for,
)


@pytest.mark.parametrize("name", [*NAMED, *TINY])
def test_a_network_of_every_family_answers_in_the_browser_as_here(driver, name: str, tmp_path: Path) -> None:
    ours = classifier(family(name))
    pictures = LARGE_PICTURES if name == "alexnet" else PICTURES
    assert open_page(driver, tmp_path, ours, pictures) == "WebAssembly"
    found = probabilities(driver, pictures)
    np.testing.assert_allclose(found, ours.probabilities(pictures), atol=EQUAL)
    assert show(driver, tmp_path / "page.html", "?js=1") == "JavaScript"
    np.testing.assert_allclose(probabilities(driver, pictures), found, atol=AGREE)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - set(NAMED) - {"alexnet", "vgg16"}))  # hundreds of megabytes
def test_every_registered_network_answers_in_the_browser_as_here(driver, name: str, tmp_path: Path) -> None:
    ours = classifier(network_spec(name, shape=(32, 32, 3), classes=5))
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    open_page(driver, tmp_path, ours, pictures)
    np.testing.assert_allclose(probabilities(driver, pictures), ours.probabilities(pictures), atol=EQUAL)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES, st.sampled_from(list(VIEW_COUNT)))
def test_any_tree_of_layers_answers_in_the_browser_as_here(driver, tmp_path: Path, spec: NetworkSpec, views: Views):
    ours = classifier(spec, noise=1, views=views)
    pictures = np.ascontiguousarray(PICTURES[:2, :14, :13])
    open_page(driver, tmp_path, ours, pictures)
    np.testing.assert_allclose(probabilities(driver, pictures), ours.probabilities(pictures), atol=EQUAL)


def test_two_hundred_real_digits_get_the_classifiers_own_answers(driver, digits_page: Path, digits_run) -> None:
    pictures = digits_run.data().test.gather(np.arange(200))
    show(driver, digits_page)
    found = probabilities(driver, pictures)
    np.testing.assert_allclose(found, digits_run.classifier.probabilities(pictures), atol=EQUAL)


def test_a_pretrained_network_fits_in_14_megabytes_and_answers_as_here(driver, photo_page, data_dir: Path) -> None:
    ours, path = photo_page
    assert path.stat().st_size < 14e6
    pictures = ours_pictures(ours, photos(data_dir, 20))
    show(driver, path)
    np.testing.assert_allclose(probabilities(driver, pictures), ours.probabilities(pictures), atol=EQUAL)


@pytest.mark.long
def test_two_hundred_photos_get_the_classifiers_own_answers(driver, photo_page, data_dir: Path, proof) -> None:
    ours, path = photo_page
    files = photos(data_dir, 190)
    pictures = ours_pictures(ours, files)
    show(driver, path)
    expected, found = ours.probabilities(pictures), probabilities(driver, pictures)
    whole = np.array([fitted(driver, file, "image/jpeg") for file in files]).reshape(pictures.shape)
    seen = probabilities(driver, whole.astype(np.uint8))
    proof(f"page, {len(files)} photos, same pixels: probabilities within {np.abs(found - expected).max():.1e}")
    proof(f"page, {len(files)} photos, same files: pixels within {np.abs(whole - pictures.astype(int)).max()}, "
          f"probabilities within {np.abs(seen - expected).max():.1e}")  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=EQUAL)


@pytest.mark.parametrize("bits", BITS)
def test_weights_of_any_number_of_bits_are_those_that_were_measured(driver, bits: Bits, tmp_path: Path) -> None:
    ours = classifier(family("lenet5"), noise=1)
    open_page(driver, tmp_path, ours, PICTURES, bits=bits)
    expected = RoundedClassifier(ours, bits).probabilities(PICTURES)
    np.testing.assert_allclose(probabilities(driver, PICTURES), expected, atol=AGREE)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_pictures_are_brought_to_size_as_here(driver, digits_page: Path, data: st.DataObject) -> None:
    if not driver.current_url.startswith(digits_page.as_uri()):
        show(driver, digits_page)
    sides = st.integers(1, 60)
    width, height, channels = data.draw(sides), data.draw(sides), data.draw(st.sampled_from([1, 3]))
    how = Preprocessing(
        height=data.draw(st.integers(1, 40)),
        width=data.draw(st.integers(1, 40)),
        channels=channels,
        fit=data.draw(st.sampled_from(["crop", "pad", "stretch"])),
        resample=data.draw(st.sampled_from(["area", "bilinear"])),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )
    pixels = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 256, (height, width, channels), np.uint8)
    expected = fit(Image.fromarray(pixels[..., 0] if channels == 1 else pixels), how)
    code = "return Array.from(eyesight.fit(...values))"
    found = np.array(ask(driver, code, pixels, height, width, channels, how.model_dump(mode="json")))
    # Pillow 13 sometimes filters down before across; with bytes in between that is one step of brightness
    interpolated = how.resample == "bilinear" or how.height > height or how.width > width
    np.testing.assert_allclose(found, expected.ravel(), atol=1 if interpolated else 0)


def fitted(driver: Any, path: Path, kind: str) -> np.ndarray:
    """Return the pixels that the open page makes of a file."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    code = "return Array.from(await eyesight.fitFile(new File([values[0]], values[1], { type: values[2] })))"
    return np.array(ask(driver, code, data, path.name, kind))


def odd_photos(folder: Path, photo: Path) -> dict[str, tuple[Path, int]]:
    """Write pictures of every kind; return their files, and how many steps of brightness a browser may be off."""
    picture = Image.open(photo).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = picture.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    deep = np.asarray(picture.convert("L"), np.uint16) * 257 + np.arange(picture.width, dtype=np.uint16) % 200
    made = {
        "turned.jpg": (picture, {"exif": exif, "quality": 95}, 1),
        "cmyk.jpg": (picture.convert("CMYK"), {"quality": 95}, 1),
        "grey.png": (picture.convert("L"), {}, 0),
        "deep.png": (Image.fromarray(np.minimum(deep, 65535).astype(np.uint16)), {}, 1),
        "palette.png": (picture.quantize(64), {}, 0),
        "few.gif": (picture.quantize(64), {}, 0),
        "transparent.png": (clear, {}, 2),
        "lossless.webp": (picture, {"lossless": True}, 0),
        "tiny.png": (Image.new("RGB", (1, 1), (10, 200, 90)), {}, 0),
        "wide.png": (picture.resize((1200, 20)), {}, 1),
        "large.jpg": (picture.resize((5000, 4100)), {"quality": 90}, 1),
    }
    for name, (image, options, _) in made.items():
        image.save(folder / name, **options)
    return {name: (folder / name, off) for name, (_, _, off) in made.items()}


def test_odd_photos_become_the_pixels_that_the_classifier_sees(driver, photo_page, data_dir, tmp_path: Path) -> None:
    ours, path = photo_page
    show(driver, path)
    for name, (file, off) in odd_photos(tmp_path, photos(data_dir, 1)[0]).items():
        expected = ours_pictures(ours, [file])[0].astype(int).ravel()
        kind = {"jpg": "jpeg"}.get(file.suffix[1:], file.suffix[1:])
        assert np.abs(fitted(driver, file, f"image/{kind}") - expected).max() <= off, name


def a_digit(run: eyesight.Run, folder: Path, number: int) -> tuple[Path, str]:
    """Write a test digit to a file; return it, and what the classifier says of it."""
    picture = run.data().test.gather(np.array([number]))[0, ..., 0]
    file = folder / f"digit-{number}.png"
    Image.fromarray(picture).save(file)
    return file, run.classifier.predict(file)[0].label


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_a_file_gets_the_classifiers_answer(driver, digits_page, digits_run, way: str, tmp_path: Path) -> None:
    show(driver, digits_page)
    for number in (3, 4):
        file, label = a_digit(digits_run, tmp_path, number)
        if way == "choose":
            driver.find_element("id", "file").send_keys(str(file))
        else:
            event = {"drop": 'new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })',
                     "paste": 'new ClipboardEvent("paste", { clipboardData: data, bubbles: true })'}[way]  # fmt: skip
            code = f"""const data = new DataTransfer();
              data.items.add(new File([values[0]], "digit.png", {{ type: "image/png" }}));
              document.body.dispatchEvent({event});"""
            ask(driver, code, np.frombuffer(file.read_bytes(), np.uint8))
        wait_for(driver, "#answer", label)
        answer = digits_run.classifier.predict(file)[0]
        assert abs(float(re.findall(r"[\d.]+(?= %)", text(driver, "#answer"))[0]) - 100 * answer.probability) < 0.06


def test_what_is_no_picture_or_too_long_is_refused_in_words(driver, digits_page: Path, tmp_path: Path) -> None:
    show(driver, digits_page)
    text_file, long = tmp_path / "notes.txt", tmp_path / "long.png"
    text_file.write_text("no picture")
    Image.new("L", (40_000, 1)).save(long)
    driver.find_element("id", "file").send_keys(str(text_file))
    wait_for(driver, "#trouble", "notes.txt: not a picture that this browser can read")
    driver.find_element("id", "file").send_keys(str(long))
    wait_for(driver, "#trouble", "long.png: expected at most 32,767 pixels a side; received: 40000×1")


def test_the_page_asks_nobody_and_may_not(driver, digits_page: Path) -> None:
    show(driver, digits_page)
    assert ask(driver, 'return performance.getEntriesByType("resource").map((each) => each.name)') == []
    html = digits_page.read_text()
    assert not re.search(r'(src|href)="(?!data:)', html)
    with pytest.raises(AssertionError, match="TypeError"):
        ask(driver, 'await fetch("http://127.0.0.1:9/")')
    assert any("Content Security Policy" in entry["message"] for entry in driver.get_log("browser"))


def test_a_browser_without_simd_computes_in_javascript_and_says_so(driver, digits_page, digits_run) -> None:
    source = "WebAssembly.instantiate = () => Promise.reject(new WebAssembly.CompileError('no SIMD'));"
    script = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        assert show(driver, digits_page) == "JavaScript"
        assert "plain JavaScript" in text(driver, "#slow")
        pictures = digits_run.data().test.gather(np.arange(5))
        expected = digits_run.classifier.probabilities(pictures)
        np.testing.assert_allclose(probabilities(driver, pictures), expected, atol=EQUAL)
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_names_cannot_break_out_of_the_page(driver, tmp_path: Path) -> None:
    ours = classifier(family("lenet5"))
    evil = "</script><img src=x onerror=window.broken=1><!--kernel-->"
    ours.classes = (evil, *ours.classes[1:])
    open_page(driver, tmp_path, ours, PICTURES, title=evil, notes=[evil])
    ask(driver, "await eyesight.show(values[0])", PICTURES[0])
    assert ask(driver, "return [window.broken ?? null, document.title]") == [None, evil]
    assert text(driver, "h1") == evil


def test_a_module_of_the_users_own_has_no_page() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE * 3, 5))
    ours = Classifier(module, InferenceSpec(preprocessing=colour(SIDE, SIDE)), "abcde")
    with pytest.raises(UsageError, match="this one is a module of your own"):
        build_page(ours, PICTURES)


def test_the_compiled_kernel_is_what_its_source_gives(tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="needs the compiler: pip install ziglang==0.17.1")
    build_kernel(tmp_path / "kernel.wasm")
    assert (tmp_path / "kernel.wasm").read_bytes() == COMPILED.read_bytes()


def test_export_writes_the_page_and_its_certificate(digits_run, driver, tmp_path: Path) -> None:
    output = tmp_path / "digits.html"
    command = ["export", str(digits_run.path), "--format", "web", "-o", str(output)]
    assert main([*command, "--threshold", "0.9", "--examples", "2"]) == 0
    certificate = json.loads((tmp_path / "digits.parity.json").read_text())
    assert certificate["comparisons"][0]["name"] == "page"
    assert certificate["comparisons"][0]["largest"] < EQUAL
    show(driver, output)
    assert len(driver.find_elements("css selector", "#examples img")) == 2
    assert "Licence: " in text(driver, "footer")

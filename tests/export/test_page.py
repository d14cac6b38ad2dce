"""The page: one file that runs a network in a browser by itself and answers as the classifier does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from selenium.webdriver.support.ui import WebDriverWait
from torch import nn

import eyesight
from browser import ask, chromium
from drawn_networks import TREES, trained
from eyesight.backbones import load_backbone
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.cli import main
from eyesight.errors import UsageError
from eyesight.export.page.kernel import COMPILED, build_kernel
from eyesight.export.page.page import RoundedClassifier, build_page
from eyesight.export.page.weights import BITS, Bits
from eyesight.models import NETWORKS, network_spec
from eyesight.models.families.alexnet import alexnet_scaled
from eyesight.models.families.efficientnet_lite import efficientnet_lite
from eyesight.models.families.mobilenet_v2 import mobilenet_v2_scaled
from eyesight.models.families.resnet import resnet
from eyesight.models.families.vgg import vgg
from eyesight.models.network import NetworkSpec
from eyesight.pictures.preprocess import Preprocessing, fit
from eyesight.pictures.views import VIEW_COUNT, Views

EQUAL = 1e-4  # what the page promises of probabilities
AGREE = 1e-5  # of two ways of computing the same page
SIDE = 28
AT_ONCE = 32  # pictures that a browser is sent
LARGE = 64  # which AlexNet needs
PICTURES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
LARGE_PICTURES = np.random.default_rng(0).integers(0, 256, (3, LARGE, LARGE, 3), np.uint8)
NAMED = ("lenet5", "small-cnn", "small-cnn-same", "small-cnn-3pool", "small-cnn-1pool", "mlp", "resnet20",
         "whitened-16-32-32", "whitened-32-64-64-s2")  # fmt: skip
TINY: dict[str, Callable[..., NetworkSpec]] = {
    "alexnet": alexnet_scaled("tiny-alexnet", (8, 8, 8, 8, 8), dense=16),
    "vgg": vgg("tiny-vgg", ((1, 4), (1, 8), (2, 8)), dense=16, places=3),
    "resnet": resnet("tiny-resnet", (1, 1), width=8),
    "bottleneck-resnet": resnet("tiny-bottleneck-resnet", (2, 1), width=4, bottleneck=True),
    "mobilenet": mobilenet_v2_scaled("tiny-mobilenet", width=0.1, top=32),
    "efficientnet": efficientnet_lite("tiny-efficientnet", width=0.25, depth=0.3, ends=(8, 32)),
}


def family(name: str) -> NetworkSpec:
    """Return a network of a family, as registered where that is small enough."""
    side = LARGE if name == "alexnet" else SIDE
    return TINY[name]((3, side, side), 5) if name in TINY else network_spec(name, shape=(side, side, 3), classes=5)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def digits_page(digits_run: eyesight.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "digits.html"
    pictures = digits_run.data().test.gather(np.arange(8))
    path.write_text(build_page(digits_run.classifier, pictures, examples=pictures[:2], threshold=0.6).html)
    return path


def show(driver: Any, path: Path, query: str = "") -> str:
    """Open a page; return what computes in it."""
    driver.get(path.as_uri() + query)
    started = "return document.readyState === 'complete' && globalThis.eyesight !== undefined"
    WebDriverWait(driver, 20).until(lambda _: driver.execute_script(started), path)  # `get` may come back before
    name = ask(driver, "return await eyesight.ready")
    assert not driver.get_log("browser")
    return name


def colour(height: int, width: int) -> Preprocessing:
    return Preprocessing(height=height, width=width, channels=3, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.3))


def classifier(spec: NetworkSpec, *, noise: float = 0.1, views: Views = "one") -> Classifier:
    names = [f"class {k}" for k in range(spec.classes)]
    inference = InferenceSpec(preprocessing=colour(*spec.input[1:]), views=views, temperature=1.3)
    return Classifier(trained(spec, noise=noise), inference, names, threads=1)


def probabilities(driver: Any, pictures: np.ndarray) -> np.ndarray:
    """Return what the open page gives for pictures (N, H, W, C)."""
    code = """const [all, n, h, w, c] = values, found = [];
      for (let i = 0; i < n; i++) {
        found.push(await eyesight.predictPixels(all.subarray(i * h * w * c, (i + 1) * h * w * c), h, w, c));
      }
      return found.map((each) => Array.from(each));"""
    parts = [pictures[i : i + AT_ONCE] for i in range(0, len(pictures), AT_ONCE)]
    return np.concatenate([ask(driver, code, part, *part.shape) for part in parts])


def open_page(
    driver: Any, folder: Path, ours: Classifier, pictures: np.ndarray, query: str = "", **options: Any
) -> str:
    path = folder / "page.html"
    path.write_text(build_page(ours, pictures, **options).html)
    return show(driver, path, query)


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


def photos(data_dir: Path, count: int) -> list[Path]:
    files = sorted((data_dir / "hymenoptera").rglob("*.jpg"))
    return files[:: len(files) // count][:count]


@pytest.fixture(scope="module")
def photo_page(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, Path]:
    """The backbone with the first twenty of its classes, which makes a page as large as a user's own."""
    full = load_backbone("efficientnet-lite0", threads=1)
    weights = full.weights()
    spec = network_spec("efficientnet-lite0", shape=(224, 224, 3), classes=20)
    arrays = weights.arrays | {key: weights.arrays[key][:20] for key in ("head.output.weight", "head.output.bias")}
    ours = Classifier(type(weights)(spec, arrays), full.inference, full.classes[:20], threads=1)
    page = build_page(ours, ours_pictures(ours, photos(data_dir, 4)))
    path = tmp_path_factory.mktemp("photo-page") / "page.html"
    path.write_text(page.html)
    return ours, path


def ours_pictures(ours: Classifier, files: list[Path]) -> np.ndarray:
    from eyesight.pictures.preprocess import read_picture

    return np.stack([read_picture(file, ours.inference.preprocessing) for file in files])


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


def text(driver: Any, selector: str) -> str:
    return driver.find_element("css selector", selector).text


def wait_for(driver: Any, selector: str, wanted: str) -> None:
    WebDriverWait(driver, 20).until(lambda _: wanted in text(driver, selector))


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


def test_what_is_no_picture_is_refused_in_words(driver, digits_page: Path, tmp_path: Path) -> None:
    show(driver, digits_page)
    file = tmp_path / "notes.txt"
    file.write_text("no picture")
    driver.find_element("id", "file").send_keys(str(file))
    wait_for(driver, "#trouble", "notes.txt: not a picture that this browser can read")


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


def numbers(words: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?", words)]


def test_a_click_on_a_cell_shows_the_products_that_make_its_value(driver, digits_page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    show(driver, digits_page)
    driver.find_element("css selector", "#examples button").click()
    wait_for(driver, "#answer", "%")
    layer = driver.find_element("css selector", "#layers details")
    driver.execute_script("arguments[0].scrollIntoView()", layer)
    maps = layer.find_elements("css selector", ".maps button")
    best = ask(
        driver,
        """const network = await eyesight.network(), { out } = network.operations[0];
      const maps = [...Array(16).keys()].map((c) => Math.max(...network.channel(out, c)));
      return maps.indexOf(Math.max(...maps))""",
    )
    maps[best].click()
    told = driver.find_element("css selector", ".inspector .cell")
    canvas = driver.find_element("css selector", ".inspector .large")
    ActionChains(driver).move_to_element_with_offset(canvas, -canvas.size["width"] // 5, 0).click().perform()
    value = float(told.get_attribute("data-value"))
    sums = [line.text.replace("−", "-") for line in driver.find_elements("css selector", ".inspector .sum")]
    products = re.findall(r"\(?(-?[\d.e-]+)\)?×\(?(-?[\d.e-]+)\)?", sums[0])
    made = sum(float(a) * float(b) for a, b in products)
    assert len(products) > 1
    assert made == pytest.approx(numbers(sums[1])[0], abs=0.01)
    bias = numbers(sums[-2])[1]
    assert value == pytest.approx(max(made + bias, 0) if "relu" in sums[-1] else made + bias, abs=0.05)
    assert value == pytest.approx(numbers(told.text)[-1], abs=1e-3)


ACCOUNT = """const network = await eyesight.network(), found = [];
  for (const [i, operation] of network.operations.entries()) {
    const [h, w, c] = network.shapes[operation.out];
    for (const share of [0, 0.5, 0.999]) {
      const place = [h, w, c].map((side) => Math.floor(side * share));
      const { groups = [], bias = 0, sum = null, value, parts = [] } = await eyesight.account(i, ...place);
      let made = bias;
      for (const { window, kernel } of groups) {
        if (kernel) window.forEach((row, y) => row.forEach((n, x) => { made += (n ?? 0) * kernel[y][x]; }));
      }
      const window = groups.flatMap((group) => group.window.flat());
      found.push({ kind: operation.kind, function: operation.function ?? "", made, sum, value, window, parts });
    }
  }
  return found;"""
FUNCTIONS = {"": lambda x: x, "relu": nn.functional.relu, "relu6": nn.functional.relu6, "tanh": torch.tanh,
             "gelu": nn.functional.gelu, "silu": nn.functional.silu}  # fmt: skip


def retell(account: dict[str, Any]) -> float:
    """Return the number that an account makes, of what it shows."""
    window = account["window"]
    match account["kind"]:
        case "largest":
            return max(number for number in window if number is not None)
        case "pad" | "flatten":
            return window[0] or 0.0
        case "mean":
            return sum(window) / len(window)
        case "sum":
            total = sum(account["parts"])
        case "activation":
            total = account["sum"]
        case _:
            total = account["made"]
    assert account["sum"] == pytest.approx(total, rel=1e-5, abs=1e-5)
    return float(FUNCTIONS[account["function"]](torch.tensor(total)))


@pytest.mark.parametrize("name", ["lenet5", "whitened-16-32-32", "alexnet", "resnet", "efficientnet"])
def test_every_account_adds_up_to_the_number_that_is_shown(driver, name: str, tmp_path: Path) -> None:
    pictures = LARGE_PICTURES if name == "alexnet" else PICTURES
    open_page(driver, tmp_path, classifier(family(name)), pictures)
    ask(driver, "await eyesight.show(values[0])", pictures[0])
    for account in ask(driver, ACCOUNT):
        assert account["value"] == pytest.approx(retell(account), rel=1e-4, abs=1e-4), account["kind"]


@pytest.mark.parametrize(("name", "kind"), [("resnet", "mean"), ("whitened-16-32-32", "sum")])
def test_the_map_over_the_picture_adds_up_to_the_score(driver, name: str, kind: str, tmp_path: Path) -> None:
    ours = classifier(family(name))
    open_page(driver, tmp_path, ours, PICTURES)
    ask(driver, "await eyesight.show(values[0])", PICTURES[0])
    score = float(driver.find_element("id", "attention").get_attribute("data-score"))
    assert score == pytest.approx(1.3 * ours.logits(PICTURES[:1]).max(), abs=1e-3)  # the temperature
    assert f"Their {kind}" in text(driver, "#attention-says")


def test_other_networks_say_so_and_cover_parts(driver, digits_run, tmp_path: Path) -> None:
    ours = classifier(family("small-cnn"))
    open_page(driver, tmp_path, ours, PICTURES)
    before = ask(driver, "return Array.from(await eyesight.show(values[0]))", PICTURES[0])
    assert "there is no exact map" in text(driver, "#attention-says")
    driver.find_element("id", "cover").click()
    wait_for(driver, "#attention-says", "lowers the probability")
    logit = "const n = await eyesight.network(); return n.number(n.shapes.length - 1, 0, 0, 0)"
    after = ask(driver, logit)
    ask(driver, "await eyesight.show(values[0])", PICTURES[0])
    assert after == ask(driver, logit), "the maps must be those of the whole picture again"
    assert len(before) == 5


def test_below_the_threshold_the_answer_is_unsure(driver, digits_page: Path) -> None:
    show(driver, digits_page)
    code = "return [await eyesight.show(values[0]), document.getElementById('answer').textContent]"
    found = {}
    for level in (0, 40, 80, 120, 160, 200, 255):
        shares, answer = ask(driver, code, np.full((8, 8, 1), level, np.uint8))
        found[max(shares)] = answer.startswith("unsure (perhaps ")
    assert any(found.values())
    for share, unsure in found.items():
        assert unsure == (share < 0.6)


def test_the_page_is_used_with_the_keyboard_alone(driver, digits_page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(driver, digits_page)
    driver.find_element("css selector", "#examples button").send_keys(Keys.ENTER)
    wait_for(driver, "#answer", "%")
    assert text(driver, "#told") == text(driver, "#answer")  # what a screen reader hears
    driver.find_element("css selector", ".maps button").send_keys(Keys.ENTER)
    first = text(driver, ".inspector .cell")
    ActionChains(driver).send_keys(Keys.ARROW_DOWN).send_keys(Keys.ARROW_RIGHT).perform()
    row, column = re.search(r"row (\d+), column (\d+)", first).groups()
    assert f"row {int(row) + 1}, column {int(column) + 1}" in text(driver, ".inspector .cell")
    ActionChains(driver).send_keys(Keys.ESCAPE).perform()
    assert not driver.find_elements("css selector", ".inspector")
    assert driver.switch_to.active_element.get_attribute("aria-label").startswith("look into map 1")


def test_everything_that_can_be_reached_has_a_name(driver, digits_page: Path) -> None:
    show(driver, digits_page)
    driver.find_element("css selector", "#examples button").click()
    driver.find_element("css selector", ".maps button").click()
    nameless = ask(
        driver,
        """const named = (e) => e.textContent.trim() || e.getAttribute("aria-label")
        || e.getAttribute("aria-labelledby") || e.labels?.length || e.querySelector("img")?.alt;
      return [...document.querySelectorAll("button, select, input, canvas[tabindex], [role=img]")]
        .filter((e) => !named(e)).map((e) => e.outerHTML)""",
    )
    assert nameless == []


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_sticks_out_on_a_phone(driver, digits_page: Path, width: int) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        show(driver, digits_page)
        driver.find_element("css selector", "#examples button").click()
        driver.find_element("css selector", ".maps button").click()
        assert ask(driver, "return document.documentElement.scrollWidth") <= width
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def seen_levels(driver: Any) -> np.ndarray:
    """Return the bytes (8, 8) that the network on the open page has been given."""
    code = (
        "const n = await eyesight.network(); return Array.from(n.channel(0, 0), (x) => (x - n.shift[0]) / n.scale[0])"
    )
    return np.array(ask(driver, code)).reshape(8, 8)


def test_drawn_strokes_are_answered(driver, digits_page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(driver, digits_page)
    canvas = driver.find_element("css selector", ".drawing")
    driver.execute_script("arguments[0].scrollIntoView()", canvas)
    chain = ActionChains(driver).move_to_element_with_offset(canvas, 0, -80).click_and_hold()
    chain.move_by_offset(0, 80).move_by_offset(0, 80).release().perform()
    wait_for(driver, "#answer", "%")
    levels = seen_levels(driver)
    assert levels[:, 3:5].max() > 100
    assert levels[:, [0, 7]].max() < 100
    driver.find_element("css selector", "#draw button").click()  # clear
    canvas.send_keys(" ", *[Keys.ARROW_LEFT] * 6, " ")
    levels = seen_levels(driver)
    assert levels[3:5, 2].max() > 50
    assert levels[[0, 7]].max() < 50


def test_the_camera_is_answered_until_it_is_stopped(driver, digits_page: Path) -> None:
    show(driver, digits_page)
    button = driver.find_element("id", "camera")
    button.click()
    wait_for(driver, "#answer", "%")
    assert button.text == "Stop the camera"
    button.click()
    assert button.text == "Use the camera"


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

"""Pages in a browser: small networks, and what a test asks of their pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from selenium.webdriver.support.ui import WebDriverWait

from browser import ask
from drawn_networks import trained
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.export.page.page import build_page
from eyesight.models import network_spec
from eyesight.models.families.alexnet import alexnet_scaled
from eyesight.models.families.efficientnet_lite import efficientnet_lite
from eyesight.models.families.mobilenet_v2 import mobilenet_v2_scaled
from eyesight.models.families.resnet import resnet
from eyesight.models.families.vgg import vgg
from eyesight.models.network import NetworkSpec
from eyesight.pictures.preprocess import Preprocessing, read_picture
from eyesight.pictures.views import Views

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


def photos(data_dir: Path, count: int) -> list[Path]:
    files = sorted((data_dir / "hymenoptera").rglob("*.jpg"))
    return files[:: len(files) // count][:count]


def ours_pictures(ours: Classifier, files: list[Path]) -> np.ndarray:
    return np.stack([read_picture(file, ours.inference.preprocessing) for file in files])


def text(driver: Any, selector: str) -> str:
    return driver.find_element("css selector", selector).text


def wait_for(driver: Any, selector: str, wanted: str) -> None:
    WebDriverWait(driver, 20).until(lambda _: wanted in text(driver, selector))

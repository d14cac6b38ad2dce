"""A browser, and pages that several tests open in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eyesight
from browser import chromium
from eyesight.backbones import load_backbone
from eyesight.classifier import Classifier
from eyesight.export.page.page import build_page
from eyesight.models import network_spec
from pages import ours_pictures, photos


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="session")
def digits_page(digits_run: eyesight.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "digits.html"
    pictures = digits_run.data().test.gather(np.arange(8))
    path.write_text(build_page(digits_run.classifier, pictures, examples=pictures[:2], threshold=0.6).html)
    return path


@pytest.fixture(scope="session")
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

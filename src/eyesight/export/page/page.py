"""One HTML file that holds a classifier and runs it by itself, offline, and shows how it comes to its answers.

In: a classifier, and pictures to measure what rounding its weights changes. Out: the file. What it answers is known
before it is written: the engine's graph with the weights that the page holds.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...classifier import Classifier
from ...engine.graph import build_graph, bytes_per_picture
from ...engine.session import Session
from ...engine.steps import Product, fold
from ...errors import UsageError
from ...metrics import softmax
from ...models.network import NetworkSpec
from ...pictures.preprocess import Pixels
from .program import Program, write_program
from .weights import BITS, Bits, pack, pack_weights, round_product, scales_of

FORMAT: Final = "eyesight-page"
VERSION: Final = 1
EQUAL: Final = 3e-5  # probabilities of the rounded network: what a browser adds stays within the promise of 1e-4
ASSETS: Final = Path(__file__).parent / "assets"
SCRIPTS: Final = (
    "numbers.js", "javascript_kernel.js", "wasm_kernel.js", "network.js", "resample.js", "picture.js",
    "words.js", "maps.js", "account.js", "attention.js", "inspect.js", "inputs.js", "page.js",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Page:
    """A page that is ready to be written.

    Attributes:
        html: the whole file.
        bits: of each weight.
        rounded: answers as the page does.
    """

    html: str
    bits: Bits
    rounded: RoundedClassifier


def build_page(
    classifier: Classifier,
    pictures: Pixels,
    *,
    title: str | None = None,
    threshold: float | None = None,
    examples: Pixels | None = None,
    notes: Sequence[str] = (),
    bits: Bits | None = None,
) -> Page:
    """Return a classifier as a page.

    Args:
        classifier: of a network of ours.
        pictures: uint8 (N, H, W, C) of the stored size, on which the rounding of weights is measured; real ones.
        title: of the page; the network's name where not given.
        threshold: the page says "unsure" where the largest probability is below.
        examples: a few pictures, likewise, that the page offers to its readers.
        notes: what stands at the end of the page, such as a licence; a line each.
        bits: of each weight; the fewest that keep every probability within `EQUAL` where not given.

    Raises:
        UsageError: the network is a module of the user's own, whose layers are not known.
    """
    if not isinstance(classifier.spec, NetworkSpec):
        raise UsageError(
            f"{classifier.spec.name}: a page holds networks of known layers only; this one is a module of your own"
        )
    weights = classifier.weights()
    steps = fold(weights.spec.whole, weights.spec.input, weights.arrays)
    program = write_program(steps, weights.spec.input)
    chosen, rounded = _choose_bits(classifier, pictures, (bits,) if bits else BITS)
    description = _describe(classifier, program, chosen, threshold)
    told = "".join(f"<p>{escape(note)}</p>" for note in notes)
    offered = "" if examples is None else "".join(_example(picture, i) for i, picture in enumerate(examples, start=1))
    html = _html(title or weights.spec.name, description, program, chosen, {"examples": offered, "notes": told})
    return Page(html, chosen, rounded)


class RoundedClassifier:
    """A classifier with the weights that its page holds, computed by the engine: what the page will answer.

    Args:
        classifier: of a network of ours.
        bits: of each weight in the page.
    """

    def __init__(self, classifier: Classifier, bits: Bits) -> None:
        weights, inference = classifier.weights(), classifier.inference
        graph = build_graph(
            weights.spec,
            weights.arrays,
            inference.preprocessing,
            views=inference.views,
            temperature=inference.temperature,
            change=partial(round_product, bits=bits),
        )
        held = bytes_per_picture(weights.spec, inference.views)
        self._session = Session(graph, bytes_per_picture=held, threads=classifier.threads)

    def probabilities(self, pictures: Pixels) -> npt.NDArray[np.float64]:
        """Return (N, K) for uint8 (N, H, W, C) of the stored size."""
        return softmax(self._session.run(pictures))


def _choose_bits(classifier: Classifier, pictures: Pixels, choices: tuple[Bits, ...]) -> tuple[Bits, RoundedClassifier]:
    """Return the first number of bits that keeps the answers, the last in any case, and the classifier so rounded."""
    expected = classifier.probabilities(pictures)
    for bits in choices:
        rounded = RoundedClassifier(classifier, bits)
        if np.abs(rounded.probabilities(pictures) - expected).max(initial=0) <= EQUAL:
            break
    return bits, rounded


def _describe(classifier: Classifier, program: Program, bits: Bits, threshold: float | None) -> dict[str, Any]:
    """Return what the page must know beside weights: the program, and what lies before and after it."""
    inference = classifier.inference
    preprocessing = inference.preprocessing
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": classifier.spec.name,
        "classes": list(classifier.classes),
        "height": preprocessing.height,
        "width": preprocessing.width,
        "channels": preprocessing.channels,
        "fit": preprocessing.fit,
        "resample": preprocessing.resample,
        "scale": _floats(1 / (255 * std)),
        "shift": _floats(-mean / std),
        "views": inference.views,
        "temperature": inference.temperature,
        "threshold": threshold,
        "bits": bits,
        "shapes": program.shapes,
        "operations": program.operations,
        "products": [{"shape": list(_held_shape(product)), "groups": product.groups} for product in program.products],
    }


def _held_shape(product: Product) -> tuple[int, ...]:
    """Return (O, k, k, I) of a product's weights in the file."""
    shape = product.weight.shape
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else (shape[0], 1, 1, shape[1])


def _floats(values: npt.NDArray[np.float64]) -> list[float]:
    """Return numbers as the engine has them: rounded to float32."""
    return [float(value) for value in values.astype(np.float32)]


def _numbers(program: Program, bits: Bits) -> npt.NDArray[np.float32]:
    """Return all floats of the page in one line: scales and biases of every product, then scales and shifts."""
    parts: list[npt.NDArray[np.float32]] = [np.zeros(0, np.float32)]
    for product in program.products:
        parts += [scales_of(product, bits), product.bias.astype(np.float32)]
    for scale, shift in program.affines:
        parts += [scale.astype(np.float32), shift.astype(np.float32)]
    return np.concatenate(parts)


def _example(picture: Pixels, number: int) -> str:
    """Return a picture of the stored size as a button with an image, without loss."""
    file = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<button type="button"><img alt="example {number}" src="data:image/png;base64,{data}"></button>'


def _html(title: str, description: dict[str, Any], program: Program, bits: Bits, more: dict[str, str]) -> str:
    """Return the file."""
    data = {"weights": pack_weights(program.products, bits), "numbers": pack(_numbers(program, bits))}
    pieces = [f'<script type="text/plain" class="{name}">{piece}</script>' for name in data for piece in data[name]]
    code = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "title": escape(title),
        **more,
        "style": (ASSETS / "style.css").read_text(encoding="utf-8"),
        "description": json.dumps(description, separators=(",", ":")).replace("<", "\\u003c"),
        "kernel": base64.b64encode((ASSETS / "kernel.wasm").read_bytes()).decode(),
        "script": f'"use strict";\n(() => {{\n{code}}})();',
        "data": "\n".join(pieces),  # last, as it may be hundreds of megabytes
    }
    html = (ASSETS / "template.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        html = html.replace(f"<!--{name}-->", part)
    return html

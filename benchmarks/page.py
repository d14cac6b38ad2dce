"""How fast a page computes a picture in headless Chromium, compiled and in plain JavaScript, in one run.

    python benchmarks/page.py [--json FILE] [--pictures 200] [--rounds 5]

The networks are those of the tutorials, the default for small pictures, and EfficientNet-Lite0 with 10 classes.
Weights are drawn at random, but those of EfficientNet-Lite0 are pretrained; pictures are noise. Each round opens every
page anew, compiled and in JavaScript, computes a tenth of `--pictures` to warm up and then `--pictures` (a tenth of
them in JavaScript), each timed by itself from bytes to probabilities. It prints the median, the 99th percentile, and
how far the medians of the rounds are apart.

Exit code 1 where a page with WebAssembly takes more than 20 ms a picture, or 150 ms for EfficientNet-Lite0.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

import machine
from eyesight.backbones import load_backbone
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.export.page.page import build_page
from eyesight.models import network_spec
from eyesight.models.network import NetworkWeights
from eyesight.pictures.preprocess import Preprocessing

NETWORKS = {
    "lenet5": (28, 28, 1), "small-cnn": (32, 32, 3), "small-cnn-same": (28, 28, 1), "small-cnn-3pool": (32, 32, 3),
    "mlp": (32, 32, 3), "whitened-32-64-64": (32, 32, 3), "efficientnet-lite0": (224, 224, 3),
}  # fmt: skip
LARGE = "efficientnet-lite0"
MOST = {LARGE: 150.0}  # ms a picture; 20 for the others
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
CODE = """const [count, done] = arguments;
(async () => {
  const network = await eyesight.network(), { height, width, channels } = network, found = [];
  const pixels = Uint8Array.from({ length: height * width * channels }, () => Math.random() * 256);
  for (let i = 0; i < count + Math.ceil(count / 10); i++) {
    const started = performance.now();
    network.probabilities(pixels);
    found.push(performance.now() - started);
  }
  return [network.kernel.name, found.slice(-count)];
})().then(done, (error) => done(String(error)));"""


def classifier(name: str) -> Classifier:
    """Return a classifier of ten classes."""
    height, width, channels = NETWORKS[name]
    spec = network_spec(name, shape=(height, width, channels), classes=10)
    classes = [f"class {k}" for k in range(10)]
    if name == LARGE:
        whole = load_backbone(name)
        arrays = whole.weights().arrays
        last = {key: arrays[key][:10] for key in ("head.output.weight", "head.output.bias")}
        return Classifier(NetworkWeights(spec, arrays | last), whole.inference, classes)
    network, generator = spec.build(), torch.Generator().manual_seed(0)
    network.initialise(generator, torch.randn(64, *spec.input, generator=generator))
    numbers = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    preprocessing = Preprocessing(height=height, width=width, channels=channels, **numbers)
    return Classifier(network, InferenceSpec(preprocessing=preprocessing), classes)


def browser(profile: str) -> Any:
    """Return a driver of a browser without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(300)
    return driver


def open_page(driver: Any, address: str) -> None:
    """Open a page and wait until its program is there, as `get` may come back before."""
    driver.get(address)
    started = "return document.readyState === 'complete' && globalThis.eyesight !== undefined"
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script(started))


def measure(folder: Path, arguments: argparse.Namespace) -> dict[tuple[str, str], list[list[float]]]:
    """Return milliseconds of each picture, a list for each round, by network and what computed."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as profile:
        driver = browser(profile)
        try:
            for _ in range(arguments.rounds):
                for name in NETWORKS:
                    for query, count in (("", arguments.pictures), ("?js=1", max(1, arguments.pictures // 10))):
                        open_page(driver, (folder / f"{name}.html").as_uri() + query)
                        answer = driver.execute_async_script(CODE, count)
                        if isinstance(answer, str):
                            sys.exit(f"{name}: {answer}")
                        found.setdefault((name, answer[0]), []).append(answer[1])
        finally:
            driver.quit()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"machine": machine.announce(), "networks": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, shape in NETWORKS.items():
            pictures = np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8)
            page = build_page(classifier(name), pictures)
            (Path(folder) / f"{name}.html").write_text(page.html, encoding="utf-8")
            print(f"{name}: {len(page.html) / 1e6:.1f} MB, {page.bits} bits a weight")
        found = measure(Path(folder), arguments)
    failed = False
    print(f"{'network':20} {'computed by':12} {'median ms':>10} {'p99 ms':>8} {'rounds ms':>15} {'n':>6}")
    for (name, kernel), rounds in found.items():
        every, medians = np.concatenate(rounds), [statistics.median(each) for each in rounds]
        median, late = float(np.median(every)), float(np.percentile(every, 99))
        spread = f"{min(medians):.2f} - {max(medians):.2f}"
        print(f"{name:20} {kernel:12} {median:10.2f} {late:8.2f} {spread:>15} {len(every):6}")
        result["networks"].append(
            {
                "name": name,
                "kernel": kernel,
                "median_ms": median,
                "p99_ms": late,
                "medians_ms": medians,
                "n": len(every),
            }
        )
        failed |= kernel == "WebAssembly" and median > MOST.get(name, 20.0)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

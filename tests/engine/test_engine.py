"""The engine: on a CPU every prediction is the graph's, and equal to the torch network's."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from drawn_networks import TREES, trained
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.engine.graph import build_graph
from eyesight.engine.session import Session
from eyesight.models import NETWORKS, network_spec
from eyesight.models.network import NetworkSpec
from eyesight.models.torch_network import Network, network_weights
from eyesight.pictures.preprocess import Preprocessing
from eyesight.pictures.views import Views

PREPROCESSING = Preprocessing(height=32, width=32, channels=3, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.3))
PICTURES = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
EQUAL = 1e-5  # of the largest logit
HUGE = {"alexnet", "vgg16"}  # hundreds of megabytes; a tiny one of each family is in test_families


def apart(network: Network, preprocessing: Preprocessing, pictures: np.ndarray, views: Views = "one") -> float:
    """Return how far engine and torch are apart, as a share of the largest logit."""
    ours = Classifier(network, InferenceSpec(preprocessing=preprocessing, views=views, temperature=1.3), "abcdefghij")
    ours.classes = tuple(map(str, range(network.spec.classes)))
    found, expected = ours.logits(pictures), ours._torch_logits(pictures)
    assert ours._engine is not None
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - HUGE))
def test_every_network_answers_as_torch_computes_it(name: str) -> None:
    # many layers with ReLU6 and wild weights are chaotic: torch's own rounding leads far away from the exact answer
    noise = 0.1 if "efficientnet-" in name or "mobilenet-" in name else 1
    network = trained(network_spec(name, shape=(32, 32, 3), classes=10), noise=noise)
    assert apart(network, PREPROCESSING, PICTURES) < EQUAL


@pytest.mark.parametrize("views", get_args(Views))
@pytest.mark.parametrize("name", ["small-cnn", "whitened-16-32-32"])
def test_every_view_is_looked_at_as_torch_does(name: str, views: Views) -> None:
    network = trained(network_spec(name, shape=(32, 32, 3), classes=10))
    assert apart(network, PREPROCESSING, PICTURES, views) < EQUAL


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=150, deadline=None)
@given(TREES, st.sampled_from(get_args(Views)))
def test_any_tree_of_layers_keeps_its_logits(spec: NetworkSpec, views: Views) -> None:
    preprocessing = Preprocessing(height=14, width=13, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
    assert apart(trained(spec), preprocessing, np.ascontiguousarray(PICTURES[:2, :14, :13]), views) < EQUAL


def classifier(name: str = "whitened-16-32-32") -> Classifier:
    network = trained(network_spec(name, shape=(32, 32, 3), classes=10))
    return Classifier(network, InferenceSpec(preprocessing=PREPROCESSING), [f"class {k}" for k in range(10)])


def test_a_classifier_predicts_without_its_torch_network(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = classifier()
    expected = ours.logits(PICTURES)
    monkeypatch.setattr(Network, "forward", None)
    np.testing.assert_array_equal(ours.logits(PICTURES), expected)


def test_neither_autocast_nor_torchs_modes_and_default_type_change_an_answer(tmp_path: Path) -> None:
    exact = classifier().logits(PICTURES)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        np.testing.assert_array_equal(classifier().logits(PICTURES), exact)
    classifier().save(tmp_path / "m.safetensors")
    torch.set_default_dtype(torch.float64)
    try:
        ours = Classifier.load(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(ours.logits(PICTURES), exact)
        np.testing.assert_allclose(ours._torch_logits(PICTURES), exact, rtol=1e-3, atol=1e-2)  # its network is float32
    finally:
        torch.set_default_dtype(torch.float32)
    ours = classifier()
    ours.network.train()  # dropout and batch statistics belong to training
    np.testing.assert_array_equal(ours.logits(PICTURES), exact)


@pytest.mark.parametrize("what", ["weight", "running statistics"])
def test_changed_weights_change_the_next_prediction(what: str) -> None:
    ours = classifier()
    before = ours.logits(PICTURES)
    network = ours.network
    with torch.no_grad():
        if what == "weight":
            next(reversed(list(network.parameters()))).mul_(2)
        else:
            network.train()(torch.randn(20, 3, 32, 32))
            network.eval()
    assert np.abs(ours.logits(PICTURES) - before).max() > 1e-3


@pytest.mark.parametrize("what", ["network", "layer", "parameter"])
def test_something_else_in_its_place_changes_the_next_prediction(what: str) -> None:
    ours, other = classifier(), classifier().network
    before = ours.logits(PICTURES)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    if what == "network":
        ours.network = other
    elif what == "layer":
        ours.network.get_submodule("head").output = other.get_submodule("head.output")
    else:
        ours.network.get_submodule("head.output").weight = other.get_submodule("head.output").weight
    assert np.abs(ours.logits(PICTURES) - before).max() > 1e-3


def test_a_classifier_that_has_predicted_can_be_copied_and_pickled() -> None:
    ours = classifier()
    expected = ours.logits(PICTURES)
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        np.testing.assert_array_equal(other.logits(PICTURES), expected)
        with torch.no_grad():
            for parameter in other.network.parameters():
                parameter.zero_()
        assert not other.logits(PICTURES).any()
    np.testing.assert_array_equal(ours.logits(PICTURES), expected)


def test_weights_that_torch_does_not_count_are_looked_at_every_time() -> None:
    with torch.inference_mode():
        ours = classifier()
        before = ours.logits(PICTURES)
        next(reversed(list(ours.network.parameters()))).mul_(2)
        assert np.abs(ours.logits(PICTURES) - before).max() > 1e-3


def test_a_layer_of_another_kind_in_its_place_is_computed_by_torch() -> None:
    ours = classifier()
    ours.network.get_submodule("head").output = nn.Sequential(ours.network.get_submodule("head.output"), nn.Tanh())
    assert network_weights(ours.network) is None
    assert np.abs(ours.logits(PICTURES)).max() <= 1


def test_changed_settings_change_the_next_prediction() -> None:
    ours = classifier()
    before = ours.logits(PICTURES)
    ours.inference = ours.inference.model_copy(update={"temperature": 2.0})
    np.testing.assert_allclose(ours.logits(PICTURES), before / 2, rtol=1e-5)


def session(threads: int | None = None, held: int = 1) -> Session:
    weights = network_weights(classifier("small-cnn").network)
    assert weights is not None
    graph = build_graph(weights.spec, weights.arrays, PREPROCESSING)
    onnx.checker.check_model(graph, full_check=True)
    return Session(graph, bytes_per_picture=held, threads=threads)


def test_a_session_computes_large_pictures_a_few_at_a_time() -> None:
    whole, few = session(), session(held=30 << 20)
    assert (whole.batch_size, few.batch_size) == (128, 2)
    np.testing.assert_allclose(few.run(PICTURES), whole.run(PICTURES), atol=1e-5)
    assert few.run(PICTURES[:0]).shape == (0, 10)


def test_a_session_has_as_many_threads_as_asked() -> None:
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    kept = [session(threads=1)]
    assert threads() == before
    kept.append(session(threads=4))
    assert threads() == before + 3  # beside the one that calls


def _forked(ours: Classifier, results: multiprocessing.Queue) -> None:
    results.put(ours.logits(PICTURES))


def test_a_process_that_was_forked_after_a_prediction_predicts_too() -> None:
    ours = classifier()
    ours.threads = 2
    expected = ours.logits(PICTURES)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_forked, args=(ours, results), daemon=True)
    child.start()
    np.testing.assert_array_equal(results.get(timeout=60), expected)
    child.join(30)
    assert child.exitcode == 0


def test_several_threads_may_predict_at_once() -> None:
    ours = classifier()
    expected = ours.logits(PICTURES)
    found: list[np.ndarray] = []
    workers = [threading.Thread(target=lambda: found.append(ours.logits(PICTURES))) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 8
    for each in found:
        np.testing.assert_array_equal(each, expected)


def test_predicting_from_the_shell_imports_no_torch(digits_run, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(PICTURES[0]).save(tmp_path / "a.png")
    code = (
        "import sys; from eyesight.cli import main; sys.argv = ['eyesight', 'predict', *sys.argv[1:]]\n"
        "try: main()\nexcept SystemExit as e: assert not e.code, e.code\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    for model in (digits_run.path, digits_run.path / "model.safetensors"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(model), "a.png"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "a.png" in done.stdout

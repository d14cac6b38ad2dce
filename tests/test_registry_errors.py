"""Names that stand for code, plug-ins, and the tree of errors with its exit codes."""

from __future__ import annotations

import copy
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eyesight import errors
from eyesight.environment import describe_environment
from eyesight.registry import Registry


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Install a small distribution with entry points: a module and its dist-info on sys.path."""

    def install(name: str, points: dict[str, str], *, group: str = "eyesight.things", module: str = "") -> Path:
        site = tmp_path / "site"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
        )
        (site / f"{name}.py").write_text(module)
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(str(site))
        return site

    return install


def test_listing_names_imports_nothing_and_loading_imports_just_one(tmp_path, monkeypatch):
    (tmp_path / "lazy_a.py").write_text("VALUE = 5\nclass Outer:\n    inner = 6\n")
    (tmp_path / "lazy_b.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry("thing", {"a": "lazy_a:VALUE", "nested": "lazy_a:Outer.inner", "b": "lazy_b:VALUE"})
    assert (list(registry), len(registry), "b" in registry, registry.check("b")) == (["a", "nested", "b"], 3, True, "b")
    assert not {"lazy_a", "lazy_b"} & sys.modules.keys()
    assert registry.load("a") == 5
    assert registry.load("nested") == 6
    assert "lazy_b" not in sys.modules


def test_an_unknown_name_suggests_the_nearest_and_otherwise_lists_them():
    registry = Registry("network", {"lenet5": "m:a", "small-cnn": "m:b", "small-cnn-same": "m:c"})
    for name, nearest in (("lenet", "lenet5"), ("SMALL_CNN", "small-cnn"), ("small-cnn-sane", "small-cnn-same")):
        with pytest.raises(errors.UnknownNameError) as caught:
            registry.load(name)
        assert str(caught.value) == f"unknown network {name!r}; did you mean {nearest!r}?"
    with pytest.raises(errors.UnknownNameError, match="unknown network 'zzz'; known: lenet5, small-cnn, small-cnn-s"):
        registry.check("zzz")


def test_a_name_that_is_taken_is_refused_and_keeps_its_meaning():
    registry = Registry("thing", {"a": "os:path"})
    with pytest.raises(errors.UsageError, match=r"thing 'a' is registered twice: os:path and sys:path"):
        registry.add("a", "sys:path")
    registry.add("a", "os:path")  # the same thing again is harmless
    assert registry["a"] == "os:path"


def test_an_installed_plug_in_adds_its_names(plug_in):
    plug_in("eyesight_extra", {"their-net": "eyesight_extra:build [fast]"}, module="def build(): return 'theirs'")
    plug_in("other", {"elsewhere": "other:build"}, group="eyesight.others")
    registry = Registry("thing", {"ours": "os:path"}, group="eyesight.things")
    assert list(registry) == ["ours", "their-net"]
    assert "eyesight_extra" not in sys.modules
    assert registry.load("their-net")() == "theirs"
    assert "their-net" not in Registry("thing", {"ours": "os:path"})


def test_a_plug_in_cannot_take_over_a_name_of_ours_however_often_one_asks(plug_in):
    plug_in("impostor", {"ours": "impostor:build"})
    registry = Registry("thing", {"ours": "os:path"}, group="eyesight.things")
    for _ in range(2):
        with pytest.raises(errors.UsageError, match="registered twice: os:path and impostor:build"):
            registry.load("ours")


@pytest.mark.parametrize("target", ["no_such_module:build", "broken_plug:nothing", "broken_plug"])
def test_a_plug_in_that_cannot_be_loaded_is_named_in_one_line(plug_in, target):
    plug_in("broken_plug", {"theirs": target})
    registry = Registry("thing", {}, group="eyesight.things")
    with pytest.raises(errors.UsageError) as caught:
        registry.load("theirs")
    assert "thing 'theirs': cannot load" in str(caught.value)
    assert target.partition(":")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_program_lists_a_network_that_a_plug_in_brings(plug_in):
    """The documented group name, in a real process."""
    site = plug_in("net_plug", {"their-net": "net_plug:build"}, group="eyesight.models")
    script = (
        "from eyesight.models import NETWORKS; print('their-net' in NETWORKS, 'net_plug' in __import__('sys').modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {script}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.EyesightError("x"), 1),
        (errors.UsageError("x"), 2),
        (errors.UnknownNameError("thing", "x", ["y"]), 2),
        (errors.DataError("x"), 1),
        (errors.DataNotFoundError("x"), 1),
        (errors.PictureError("x"), 1),
        (errors.FormatError("x"), 1),
        (errors.RunError("x"), 1),
        (errors.TrainingError("x"), 1),
        (errors.InterruptedRun("x", signal.SIGINT), 130),
        (errors.InterruptedRun("x", signal.SIGTERM), 143),
    ],
)
def test_every_error_is_an_eyesight_error_with_its_exit_code(error, code):
    assert isinstance(error, KeyboardInterrupt if isinstance(error, errors.InterruptedRun) else errors.EyesightError)
    assert error.exit_code == code


def error_classes(kind=errors.EyesightError):
    return [kind, *(found for below in kind.__subclasses__() for found in error_classes(below))]


@pytest.mark.parametrize("field", [None, "recipe.lr"])
@pytest.mark.parametrize("kind", [*error_classes(), errors.InterruptedRun], ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling(kind, field):
    """Workers hand their errors to another process; the error of a class that takes other arguments too."""
    arguments = {errors.UnknownNameError: ("network", "lenet", ["lenet5"]), errors.InterruptedRun: ("stopped", 15)}
    error = kind(*arguments.get(kind, ("too large",)))
    error.field = field
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), vars(again), again.exit_code) == (str(error), vars(error), error.exit_code)
    assert str(copy.copy(error)) == str(error)


def test_an_error_names_its_field_as_whoever_asked_knows_it():
    error = errors.UsageError("should be greater than 0; received: -1", field="recipe.lr")
    assert str(error) == "recipe.lr: should be greater than 0; received: -1"
    with (
        pytest.raises(errors.UsageError, match=r"^--lr: should be greater than 0"),
        errors.naming({"recipe.lr": "--lr"}.get),
    ):
        raise error
    with pytest.raises(errors.RunError, match=r"^x: is locked$"), errors.naming(str.upper):
        raise errors.RunError("x: is locked")


def test_the_tree_of_errors_is_the_one_its_file_draws():
    assert issubclass(errors.PictureError, errors.DataError)
    assert issubclass(errors.DataNotFoundError, errors.DataError)
    assert issubclass(errors.UnknownNameError, errors.UsageError)
    for kind in (errors.DataError, errors.FormatError, errors.RunError, errors.TrainingError):
        assert not issubclass(kind, errors.UsageError)
    listed = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert all(name in (errors.__doc__ or "") for name in listed)


@pytest.mark.parametrize(
    ("name", "known", "nearest"),
    [
        ("fashion_mnist", ["mnist", "fashion-mnist"], "fashion-mnist"),
        ("CIFAR-10", ["cifar10", "cifar100"], "cifar10"),
        ("", ["mnist"], None),
        ("qqq", ["mnist"], None),
        ("a", [], None),
    ],
)
def test_nearest_name(name, known, nearest):
    assert errors.nearest_name(name, known) == nearest


def test_the_environment_names_the_versions_a_bug_report_needs():
    import torch

    found = describe_environment()
    assert found["packages"]["torch"] == torch.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["cores"] >= 1
    assert found["processor"]
    assert all(found["packages"].values())

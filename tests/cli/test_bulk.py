"""`eyesight predict --output`: answers for many pictures in a file, whatever interrupts it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

import eyesight
from eyesight.bulk import predict as bulk
from eyesight.bulk.rows import Table, csv_line, json_line
from eyesight.cli import main
from eyesight.errors import InterruptedRun, RunError, UsageError
from eyesight.pictures.ahead import map_ahead
from eyesight.progress import PictureReport

COUNT = 200


@pytest.fixture
def photos() -> Path:
    """A folder of pictures, with two that are none."""
    folder = Path("photos")
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, pixels in enumerate(rng.integers(0, 256, (COUNT - 2, 8, 8), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "text.png").write_bytes(b"no picture")
    (folder / "gone.png").symlink_to("nowhere.png")
    return folder


def read_csv(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments)])


def test_a_table_says_what_the_classifier_says(digits_run: eyesight.Run, photos: Path, capsys) -> None:
    assert predict(digits_run.path, photos, "--output", "preds.csv", "--top", 2, "--probabilities") == 1
    out, error = capsys.readouterr()
    assert out == f"{COUNT} pictures: preds.csv\n"
    assert error.splitlines() == [
        "eyesight: no answer: photos/gone.png: no such file or directory",
        "eyesight: no answer: photos/text.png: not a picture: a text file",
        f"eyesight: error: 2 of {COUNT} pictures could not be read",
    ]
    rows = read_csv("preds.csv")
    names = ["path", "label", "probability", "label_2", "probability_2", *(f"p_{k}" for k in range(10)), "error"]
    assert list(rows[0]) == names
    assert [row["path"] for row in rows] == [f"photos/{n}.png" for n in [*range(COUNT - 2), "gone", "text"]]
    answers = {row["path"]: row for row in rows}
    for answer in digits_run.classifier.predict(photos, top=10, on_error=lambda _: None):
        row = answers[answer.source]
        assert (row["label"], row["label_2"], row["error"]) == (answer.top[0][0], answer.top[1][0], "")
        for name, probability in answer.top:
            assert float(row[f"p_{name}"]) == pytest.approx(probability, abs=2e-6)
        assert row["probability"] == row[f"p_{row['label']}"]
    assert not list(Path().glob("*.partial*"))


def test_the_three_kinds_of_file_hold_the_same(digits_run: eyesight.Run, photos: Path) -> None:
    for kind in ("csv", "jsonl", "parquet"):
        assert predict(digits_run.path, photos, "-o", f"preds.{kind}") == 1
    lines = [json.loads(line) for line in Path("preds.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == parquet.read_table("preds.parquet").to_pylist()

    def text(value: str | float | None) -> str:
        return f"{value:.6f}" if isinstance(value, float) else value or ""

    as_text = [{key: text(value) for key, value in row.items()} for row in lines]
    assert as_text == read_csv("preds.csv")
    assert sorted(path.name for path in Path().iterdir()) == ["photos", "preds.csv", "preds.jsonl", "preds.parquet"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_interrupted_table_ends_like_another(digits_run, photos, monkeypatch, kind) -> None:
    eyesight.predict_files(digits_run.path, photos, f"whole.{kind}")

    def press(done: int, total: int, before: int) -> None:
        if done >= before + 64:
            os.kill(os.getpid(), signal.SIGINT)

    seen: list[tuple[int, int, int]] = []
    for _ in range(2):
        with pytest.raises(InterruptedRun, match=r"interrupted after \d+ of 200 pictures; the same command goes on"):
            eyesight.predict_files(digits_run.path, photos, f"preds.{kind}", progress=press)
        assert not Path(f"preds.{kind}").exists()
    found = eyesight.predict_files(
        digits_run.path, photos, f"preds.{kind}", progress=lambda *numbers: seen.append(numbers)
    )
    assert seen == [(128, COUNT, 128), (192, COUNT, 128), (200, COUNT, 128)]
    assert (found.pictures, found.errors, found.before) == (COUNT, 2, 128)
    assert Path(f"preds.{kind}").read_bytes() == Path(f"whole.{kind}").read_bytes()


def test_errors_before_an_interruption_are_counted(digits_run: eyesight.Run, photos: Path, monkeypatch) -> None:
    (photos / "0.png").write_bytes(b"")
    monkeypatch.setattr(bulk, "_BLOCK", 16)
    with pytest.raises(RuntimeError):
        eyesight.predict_files(digits_run.path, photos, "preds.csv", progress=_fail_after(32))
    found = eyesight.predict_files(digits_run.path, photos, "preds.csv")
    assert (found.before, found.errors) == (32, 3)
    assert sum(row["error"] != "" for row in read_csv("preds.csv")) == 3


def _fail_after(pictures: int):
    def fail(done: int, *_: int) -> None:
        if done >= pictures:
            raise RuntimeError

    return fail


KILLED = """
import os, sys, signal
from eyesight.bulk import partial, predict
import eyesight
predict._SAVED_EVERY, predict._BLOCK = 0.0, 16
real = partial.Partial.append
def append(self, data, names=(), *, errors=0):
    if self.state.items >= int(sys.argv[1]):
        os.write(self._handle, data[: len(data) // 2])  # half a block, and then nothing more
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, data, names, errors=errors)
partial.Partial.append = append
eyesight.predict_files(sys.argv[2], "photos", "preds.csv")
"""


def test_a_killed_process_loses_only_the_last_pictures(digits_run, photos, monkeypatch) -> None:
    monkeypatch.setattr(bulk, "_BLOCK", 16)
    for done in (0, 80):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(done), str(digits_run.path)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert not Path("preds.csv").exists()
    found = eyesight.predict_files(digits_run.path, photos, "preds.csv")
    assert found.before == 80
    eyesight.predict_files(digits_run.path, photos, "whole.csv")
    assert Path("preds.csv").read_bytes() == Path("whole.csv").read_bytes()


def test_ctrl_c_at_the_program_is_a_line_and_130(digits_run: eyesight.Run, photos: Path) -> None:
    slow = (
        "import sys, time; from eyesight.bulk import predict; from eyesight.cli import main; predict._BLOCK = 8\n"
        "real = predict.read_or_reason\n"
        "predict.read_or_reason = lambda *a: (time.sleep(0.1), real(*a))[1]\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", slow, "predict", str(digits_run.path), "photos", "-o", "preds.csv"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    part = Path("preds.csv.partial")
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 200):
        time.sleep(0.01)
    with pytest.raises(RunError, match=r"^preds\.csv\.partial: another process is writing it$"):
        eyesight.predict_files(digits_run.path, photos, "preds.csv")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert re.fullmatch(r"eyesight: error: interrupted after \d+ of 200 pictures; the same command goes on\n", error), (
        error
    )
    assert process.returncode == 130
    assert predict(digits_run.path, photos, "-o", "preds.csv") == 1
    assert len(read_csv("preds.csv")) == COUNT


@pytest.fixture
def begun(digits_run: eyesight.Run, photos: Path) -> Path:
    """Begin preds.csv."""
    with pytest.raises(RuntimeError):
        eyesight.predict_files(digits_run.path, photos, "preds.csv", progress=_fail_after(64))
    part = Path("preds.csv.partial")
    assert part.stat().st_size
    return part


def test_what_was_begun_with_something_else_is_refused_in_a_line(digits_run, photos, begun, capsys, tmp_path) -> None:
    other = eyesight.load_classifier(digits_run.path)
    other.inference = other.inference.model_copy(update={"temperature": 2.0})
    other.save("other.safetensors")
    again = "; --overwrite starts again\n"
    for arguments, said in (
        (("other.safetensors", photos), "was begun with other model"),
        ((digits_run.path, photos, "--top", 2), "was begun with other columns (--top, --probabilities)"),
        ((digits_run.path, photos / "1*.png"), "was begun when other pictures were there"),
    ):
        assert predict(*arguments, "-o", "preds.csv") == 1
        assert capsys.readouterr().err == f"eyesight: error: preds.csv.partial: {said}{again}"
    Image.new("L", (8, 8)).save(photos / "3b.png")
    with pytest.raises(RunError, match="other pictures"):
        eyesight.predict_files(digits_run.path, photos, "preds.csv")
    found = eyesight.predict_files(digits_run.path, photos, "preds.csv", overwrite=True)
    assert (found.before, found.pictures, len(read_csv("preds.csv"))) == (0, COUNT + 1, COUNT + 1)


def test_overwrite_goes_on_too_where_it_fits(digits_run, photos, begun) -> None:
    Path("preds.csv").write_text("an older one")
    with pytest.raises(RunError, match=r"preds\.csv: exists"):
        eyesight.predict_files(digits_run.path, photos, "preds.csv")
    assert Path("preds.csv").read_text() == "an older one"
    assert eyesight.predict_files(digits_run.path, photos, "preds.csv", overwrite=True).before == 64
    assert len(read_csv("preds.csv")) == COUNT


@pytest.mark.parametrize("damage", ["cut", "journal", "half a journal", "not ours"])
def test_a_damaged_part_is_refused_in_a_line(digits_run, photos, begun, damage) -> None:
    journal = Path("preds.csv.partial.json")
    if damage == "cut":
        begun.write_bytes(begun.read_bytes()[:-1])
    elif damage == "not ours":
        journal.unlink()
    else:
        journal.write_text("{" if damage == "half a journal" else journal.read_text().replace('"items"', '"item"'))
    assert predict(digits_run.path, photos, "-o", "preds.csv") == 1
    before = begun.read_bytes()
    if damage == "not ours":
        assert predict(digits_run.path, photos, "-o", "preds.csv", "--overwrite") == 1
        assert begun.read_bytes() == before
    else:
        assert eyesight.predict_files(digits_run.path, photos, "preds.csv", overwrite=True).before == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["photos", "-o", "preds.txt"], 2, "--output: expected a file that ends with .csv, .jsonl, .parquet; received"),
        (["photos", "-o", "preds"], 2, "--output: expected a file that ends with"),
        (["photos", "-o", "preds.csv", "--json"], 2, "--output: its ending says what it is"),
        (["-", "-o", "preds.csv"], 2, "pictures: expected files and folders with --output; received: -"),
        (["photos", "--probabilities"], 2, "--probabilities: only with --output"),
        (["photos", "--overwrite"], 2, "--overwrite: only with --output"),
        (["nothing", "-o", "preds.csv"], 2, "nothing: no pictures in this folder"),
        (["photos", "-o", "folder.csv"], 1, "folder.csv: is a folder; choose another --output"),
        (["photos", "-o", "folder.csv", "--overwrite"], 1, "folder.csv: is a folder"),
    ],
)
def test_bad_arguments_are_a_line(digits_run, photos, capsys, arguments, code, said) -> None:
    Path("nothing").mkdir()
    Path("folder.csv").mkdir()
    assert predict(digits_run.path, *arguments) == code
    error = capsys.readouterr().err
    assert error.startswith(f"eyesight: error: {said}")
    assert error.count("\n") == 1
    assert not list(Path().glob("preds*"))


def test_parquet_without_its_package_names_the_extra(digits_run, photos, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert predict(digits_run.path, photos, "-o", "preds.parquet") == 2
    assert capsys.readouterr().err.endswith("install it with: pip install 'eyesight[parquet]'\n")


def test_a_full_disk_is_a_line_and_the_command_goes_on_later(digits_run, photos) -> None:
    code = (
        "import resource, signal, sys; from eyesight.cli import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "predict", str(digits_run.path), "photos", "-o", "preds.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "eyesight: error: file too large\n")
    assert eyesight.predict_files(digits_run.path, photos, "preds.csv").pictures == COUNT


def test_it_loads_no_torch(digits_run: eyesight.Run, photos: Path) -> None:
    code = "import sys, eyesight; eyesight.predict_files(*sys.argv[1:], 'p.csv'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(digits_run.path), "photos"], check=False).returncode == 0


def test_an_exported_file_gives_the_same_table_without_torch(digits_run: eyesight.Run, photos: Path) -> None:
    eyesight.export_model(digits_run.path, "model.onnx")
    code = "import sys, eyesight; eyesight.predict_files(*sys.argv[1:], 'there.csv'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, "model.onnx", "photos"], check=False).returncode == 0
    eyesight.predict_files(digits_run.path, photos, "here.csv")
    for there, here in zip(read_csv("there.csv"), read_csv("here.csv"), strict=True):
        assert (there["path"], there["label"], there["error"]) == (here["path"], here["label"], here["error"])
        assert here["error"] or float(there["probability"]) == pytest.approx(float(here["probability"]), abs=1e-5)


def test_names_that_spreadsheets_would_run_or_split_come_back(digits_run: eyesight.Run, photos: Path) -> None:
    odd = ['e,"f"\n;g\r.png', " h .png", "caf\udce9.png", "\t=i.png"]
    names = ["=1+1.png", "+a.png", "-b.png", "@c.png", "＝d.png", *odd]
    for name in names:
        os.replace(photos / f"{names.index(name)}.png", name)  # noqa: PTH105 # a name that is no UTF-8
    eyesight.predict_files(digits_run.path, names, "preds.csv")
    rows = read_csv("preds.csv")
    assert [Path(row["path"]).as_posix() for row in rows] == [name.replace("\udce9", r"\xe9") for name in names]
    assert not any(row["path"][0] in "=+-@＝\t" for row in rows)
    assert all(row["label"] for row in rows)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(CELLS.filter(bool), CELLS, st.floats(0, 1), st.none())
def test_a_line_of_csv_reads_back_and_holds_no_formula(path: str, label: str, probability: float, error: None) -> None:
    line = csv_line((path, label, probability, error))
    ((first, second, third, fourth),) = csv.reader(io.StringIO(line, newline=""), strict=True)
    assert first in (path, f"./{path}")
    assert second in (label, f"'{label}")
    assert abs(float(third) - probability) < 1e-6
    assert fourth == ""
    for text in (first, second):
        assert text[:1] not in tuple("=+-@\t\r\n") or re.fullmatch(r"[+-]?\d+([.,]\d+)*", text)


def test_classes_of_one_name_have_columns_of_their_own_and_labels_cannot_be_formulas() -> None:
    table = Table(("crane", "crane", "=cmd", "\udce9"), probabilities=True, top=2)
    assert table.columns[5:] == ("p_crane_0", "p_crane_1", "p_=cmd", r"p_\udce9", "error")
    (row,) = table.rows(["a.png"], np.array([[0.1, 0.2, 0.4, 0.3]]))
    assert csv_line(row) == r"a.png,'=cmd,0.400000,\udce9,0.300000,0.100000,0.200000,0.400000,0.300000," + "\n"
    assert json.loads(json_line(table.columns, row))["label"] == "=cmd"
    assert len(table.unread("b.png", "gone")) == len(table.columns)


def test_top_beyond_the_classes_is_all_of_them(digits_run: eyesight.Run, photos: Path) -> None:
    eyesight.predict_files(digits_run.path, photos / "1.png", "preds.csv", top=1000)
    assert len(read_csv("preds.csv")[0]) == 22
    with pytest.raises(UsageError, match="top: expected a whole number"):
        eyesight.predict_files(digits_run.path, photos, "more.csv", top=0)


def test_memory_does_not_grow_with_the_number_of_pictures(digits_run: eyesight.Run, photos: Path) -> None:
    code = (
        "import resource, sys, eyesight\n"
        "for name in ('few', 'many'):\n"
        "    eyesight.predict_files(sys.argv[1], name, f'{name}.csv')\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    for name, folders in (("few", 3), ("many", 30)):
        for folder in range(folders):
            Path(name, str(folder)).mkdir(parents=True)
            for i in range(100):
                os.link(photos / f"{i}.png", f"{name}/{folder}/{i}.png")
    done = subprocess.run(
        [sys.executable, "-c", code, str(digits_run.path)], capture_output=True, text=True, check=True
    )
    few, many = map(int, done.stdout.split())
    assert many - few < 4000  # kB


def test_without_a_terminal_a_line_is_said_now_and_then(monkeypatch) -> None:
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr("eyesight.progress.time.monotonic", lambda: now[0])
    report = PictureReport(stream)
    report(100, 1000, 100)
    for i in range(1, 9):
        now[0] = 4.0 * i
        report(100 + 40 * i, 1000, 100)
    report.close_bar()
    assert stream.getvalue().splitlines() == [
        "going on after 100 of 1,000 pictures",
        "220 of 1,000 pictures, 10 a second, 1 min 18 s left",
        "340 of 1,000 pictures, 10 a second, 1 min 6 s left",
    ]


def test_work_is_done_in_order_and_not_far_ahead() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.001 * (item % 3))
        return item

    results = map_ahead(work, iter(range(1000)), workers=3, together=2, ahead=12)
    assert [next(results) for _ in range(20)] == list(range(20))
    time.sleep(0.05)
    assert max(begun) <= 20 + 12
    results.close()
    assert max(begun) <= 20 + 12
    assert list(map_ahead(work, range(5), workers=2, together=8, ahead=1)) == list(range(5))

"""Lessons and convolutions from Python: the text and the pictures of the commands, and files only where asked for."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import eyesight
from eyesight.cli import main
from eyesight.errors import UnknownNameError, UsageError
from eyesight.lessons.topics import LESSONS

PICTURE = "data:image/png;base64,"


def test_a_lesson_holds_the_text_and_the_sheet_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = eyesight.lesson("pooling", input=[[1, 2], [3, 4]], size=2)
    assert made.path is None
    assert not list(tmp_path.iterdir())
    assert PICTURE in made._repr_html_()
    made.save("python.png")
    assert main(["lesson", "pooling", "--input", "1 2; 3 4", "--size", "2", "-o", "command.png"]) == 0
    assert capsys.readouterr().out == f"{made.text}\n\nsheet: command.png\n"
    assert Path("python.png").read_bytes() == Path("command.png").read_bytes() == made.png
    assert eyesight.lesson("pooling", output="again.png").path == Path("again.png")


@pytest.mark.parametrize(
    ("topic", "text", "array"),
    [
        ("convolution", {"input": "1 2 3; 4 5 6; 7 8 9", "kernel": "1 0; 0 -1"},
         {"input": np.arange(1, 10).reshape(3, 3), "kernel": [[1, 0], [0, -1]]}),
        ("picture", {"input": "0 255; 9 3"}, {"input": [[0, 255], [9, 3]]}),
        ("flatten", {"input": "1 2; 3 4 | 5 6; 7 8"}, {"input": np.arange(1, 9).reshape(2, 2, 2)}),
        ("softmax", {"input": "2 1 0.5"}, {"input": (2, 1, 0.5)}),
        ("parameters", {"input": "40x50x1"}, {"input": (40, 50, 1)}),
        ("channels", {"kernel": "1 0; 0 1"}, {"kernel": np.eye(2)}),
    ],
)  # fmt: skip
def test_arrays_mean_what_text_does(topic: str, text: dict[str, str], array: dict[str, object]) -> None:
    assert eyesight.lesson(topic, **array).text == eyesight.lesson(topic, **text).text


@pytest.mark.parametrize(
    ("topic", "options", "message"),
    [
        ("softmax", {"input": [[1, 2], [3, 4]]}, "input: expected one row of numbers; received: 2 rows"),
        (
            "softmax",
            {"input": [["a", "b"]]},
            "input: expected text or an array of 1 or 2 dimensions; received: list of",
        ),
        ("convolution", {"input": [1, 2]}, r"input: expected text or an array of 2 dimensions; received: shape \(2,\)"),
        ("convolution", {"input": [[1, np.nan]]}, "input: expected finite numbers of at most 1e9"),
        ("convolution", {"stride": 1.5}, "stride: expected a whole number from 1 to 4,096; received: 1.5"),
        ("convolution", {"padding": "full"}, "padding: expected valid or same; received: 'full'"),
        ("relu", {"kernel": "edge"}, "kernel: does not belong to the lesson relu, which takes input"),
        ("picture", {"input": np.zeros((13, 2))}, "input: a lesson can draw at most 12×12 numbers; received: 13×2"),
    ],
)
def test_what_cannot_be_shown_names_the_argument(topic: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        eyesight.lesson(topic, **options)


def test_an_unknown_topic_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'convolution'"):
        eyesight.lesson("convolutions")
    assert "convolution" in LESSONS


def test_a_convolution_holds_pictures_and_text_and_writes_what_it_is_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = eyesight.convolve(kernel=["edge", "blur7"])
    assert done.sheet is None
    assert not list(tmp_path.iterdir())
    assert [result.picture.shape for result in done.results] == [(300, 401, 1), (296, 397, 1)]
    assert PICTURE in done._repr_html_()
    written = eyesight.convolve(kernel=["edge", "blur7"], output="sheet.png", npy="raw.npy")
    assert main(["convolve", "-k", "edge", "-k", "blur7", "-o", "sheet.png", "--npy", "raw.npy"]) == 0
    assert capsys.readouterr().out == f"{written.text}\n"
    assert written.text.startswith(done.text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw-blur7.npy", "raw-edge.npy", "sheet.png"]


def test_a_picture_of_ones_own_is_convolved() -> None:
    picture = Image.fromarray(np.full((20, 30), 40, np.uint8))
    (result,) = eyesight.convolve(picture, "blur3").results
    assert (result.shape, result.minimum, result.maximum) == ((18, 28), pytest.approx(40), pytest.approx(40))
    with pytest.raises(UsageError, match="kernel: expected rows of equal length"):
        eyesight.convolve(picture, "1 2; 3")
    with pytest.raises(UsageError, match=r"output: expected a name that ends in .png; received: 'a.jpg'"):
        eyesight.convolve(picture, output="a.jpg")


def test_both_show_themselves_in_a_notebook(tmp_path: Path) -> None:
    cells = ["import eyesight; eyesight.lesson('relu')", "eyesight.convolve(kernel='edge', scale='signed')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert all(PICTURE in cell.outputs[-1]["data"]["text/html"] for cell in notebook.cells)

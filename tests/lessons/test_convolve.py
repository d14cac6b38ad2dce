"""`eyesight convolve`: the right numbers, the right picture, and one clear line for everything that is wrong."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.signal import correlate2d

from eyesight.cli import main
from eyesight.errors import DataError, EyesightError, UnknownNameError, UsageError
from eyesight.lessons import convolution, convolve, kernels
from eyesight.lessons.convolution import correlate, output_shape
from eyesight.lessons.convolve import grey_levels, load_photo
from eyesight.lessons.convolve_figure import draw
from eyesight.lessons.convolve_words import brightness, larger_kernel_hint
from eyesight.lessons.kernels import parse_kernel, parse_numbers, read_kernel, spell
from eyesight.report.document import Grid
from eyesight.report.drawing import BLUE, ORANGE, signed_colors
from eyesight.report.sheet_grid import _shade

LONG = "a name as long as the names of files may well be, now and then"
PICTURE = np.arange(42).reshape(6, 7) % 11
KERNELS = {
    "3x3": np.array([[1, 2, 0], [0, -1, 3], [2, 0, 1]]),
    "5x5": np.arange(25).reshape(5, 5) % 4 - 1,
    "1x3": np.array([[1, -2, 3]]),
}


def reference(picture: np.ndarray, kernel: np.ndarray, padding: str, stride: int) -> np.ndarray:
    """scipy's correlation at every `stride`th place, of a picture padded as TensorFlow describes it."""
    picture = picture.astype(np.float64)
    if padding == "same":
        total = [
            max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(picture.shape, kernel.shape, strict=True)
        ]
        picture = np.pad(picture, [(t // 2, t - t // 2) for t in total])
    return correlate2d(picture, kernel, mode="valid")[::stride, ::stride]


def names_in(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


class _Trap:
    """What unpickling it runs leaves a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("sprung"),)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small colour photo, 40x60."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


# the numbers


@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "expected"),  # from Conv2D of Keras 3 on TensorFlow, in float64
    [
        ("3x3", "valid", 1, [[32, 40, 15, 34, 42], [55, 41, 49, 35, 32], [34, 42, 50, 47, 55], [35, 32, 40, 15, 34]]),
        ("3x3", "valid", 2, [[32, 15, 42], [34, 50, 55]]),
        ("3x3", "same", 2, [[21, 40, 34, 31], [3, 42, 47, 21], [19, 34, 44, -6]]),
        ("3x3", "same", 3, [[21, 15, 31], [38, 40, 27]]),
        ("5x5", "valid", 3, [[71]]),
        ("5x5", "same", 2, [[24, 30, 72, 25], [34, 82, 27, 56], [16, 16, 50, 16]]),
        ("5x5", "same", 3, [[24, 51, 25], [39, 46, 30]]),
        ("1x3", "same", 2, [[3, 6, 10, -7], [6, 12, 16, -10], [9, 18, -11, -2]]),
        ("1x3", "same", 3, [[3, 8, -7], [-20, 6, -6]]),
        ("1x3", "valid", 3, [[4, 10], [13, 8]]),
    ],
)
def test_results_are_those_of_keras(
    kernel: str, padding: convolution.Padding, stride: int, expected: list[list[int]]
) -> None:
    result = correlate(PICTURE, KERNELS[kernel], padding=padding, stride=stride)
    assert result.dtype == np.float64
    assert result.tolist() == expected


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_results_are_those_of_scipy_for_every_size_padding_and_stride(data: st.DataObject) -> None:
    padding: convolution.Padding = data.draw(st.sampled_from(["valid", "same"]))
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    sides = [st.integers(0, 12).map(lambda n: 2 * n + 1) if padding == "same" else st.integers(1, n) for n in shape]
    numbers = st.floats(-9, 9, allow_nan=False, width=32)
    kernel = data.draw(arrays(np.float64, data.draw(st.tuples(*sides)), elements=numbers))
    picture = data.draw(arrays(np.uint8, shape))
    stride = data.draw(st.integers(1, 9))
    result = correlate(picture, kernel, padding=padding, stride=stride)
    assert result.shape == output_shape(shape, kernel.shape, padding=padding, stride=stride)
    np.testing.assert_allclose(result, reference(picture, kernel, padding, stride), rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", [3, 11, pytest.param(31, marks=pytest.mark.long)])
@pytest.mark.parametrize(("padding", "stride"), [("valid", 1), ("same", 1), ("same", 3)])
def test_strips_of_a_large_photo_fit_together(
    side: int, padding: convolution.Padding, stride: int, proof: Callable[[str], None]
) -> None:
    """Large enough that both ways of computing work in several strips."""
    rng = np.random.default_rng(side)
    picture, kernel = rng.integers(0, 256, (1203, 301), dtype=np.uint8), rng.normal(size=(side, side))
    result = correlate(picture, kernel, padding=padding, stride=stride)
    furthest = np.abs(result - reference(picture, kernel, padding, stride)).max()
    assert furthest < 1e-6
    if side == 31:
        proof(f"convolve: {side}x{side}, {padding}, stride {stride} over 1203x301: {furthest:.1e} from scipy")


def test_channels_do_not_mix() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    result = correlate(picture, KERNELS["3x3"], padding="same", stride=2)
    assert result.shape == (10, 15, 3)
    for c in range(3):
        np.testing.assert_array_equal(
            result[..., c], correlate(picture[..., c], KERNELS["3x3"], padding="same", stride=2)
        )


@pytest.mark.long
def test_a_photo_of_12_megapixels_takes_little_more_memory_than_its_result(proof: Callable[[str], None]) -> None:
    import tracemalloc

    picture = np.random.default_rng(0).integers(0, 256, (3000, 4000), dtype=np.uint8)
    for name in ("edge", "blur29", "gaussian101"):
        tracemalloc.start()
        result = correlate(picture, parse_kernel(name).values, padding="same")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert result.shape == (3000, 4000)
        assert peak < result.nbytes + 150e6
        proof(f"convolve: {name}, 3000x4000: at most {peak / 1e6:,.0f} MB, the result being {result.nbytes / 1e6:,.0f}")


@pytest.mark.parametrize(
    ("picture", "kernel", "options", "message"),
    [
        ((4, 5), (5, 5), {}, "kernel: with padding valid expected at most the picture's 4×5; received: 5×5"),
        ((4, 5), (1, 6), {}, "kernel: with padding valid expected at most the picture's 4×5; received: 1×6"),
        ((4, 5), (2, 3), {"padding": "same"},
         "kernel: with padding same expected odd sides, for a middle; received: 2×3"),
        ((4, 5), (3, 3), {"stride": 0}, "stride: expected 1 or more; received: 0"),
        ((4, 5), (0, 3), {}, "kernel: expected at least 1×1, as of the picture; received: 0×3 on 4×5"),
        ((4,), (3, 3), {},
         "expected a picture (H, W) or (H, W, C) and a kernel (h, w); received: shapes (4,) and (3, 3)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    picture: tuple[int, ...], kernel: tuple[int, ...], options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        correlate(np.zeros(picture), np.zeros(kernel), **options)  # type: ignore[arg-type]
    assert str(error.value) == message


# kernels


def test_named_kernels_are_the_known_ones() -> None:
    edge = parse_kernel("edge").values
    assert edge[1, 1] == 8
    assert edge.sum() == 0
    assert (np.delete(edge.ravel(), 4) == -1).all()
    np.testing.assert_array_equal(parse_kernel("blur7").values, np.full((7, 7), 1 / 49))
    np.testing.assert_allclose(parse_kernel("gaussian").values * 16, [[1, 2, 1], [2, 4, 2], [1, 2, 1]], atol=1e-12)
    np.testing.assert_array_equal(parse_kernel("sobel-y").values, parse_kernel("sobel-x").values.T)
    sums = {kernel.name: kernel.sum for kernel in kernels.all_kernels() if kernel.name != "random"}
    assert sums == {"identity": 1, "edge": 0, "sharpen": 1, "emboss": 1, "sobel-x": 0, "sobel-y": 0, "laplacian": 0,
                    "blur3": 1, "gaussian3": 1}  # fmt: skip
    assert [parse_kernel(name).sum for name in ("blur7", "blur49", "gaussian31", "blur999")] == [1, 1, 1, 1]


def test_a_random_kernel_is_the_seeds_and_a_second_one_another() -> None:
    first = parse_kernel("random", seed=3).values
    assert first.shape == (3, 3)
    np.testing.assert_array_equal(first, parse_kernel("random3", seed=3).values)
    assert not np.array_equal(first, parse_kernel("random", seed=4).values)
    assert not np.array_equal(first, parse_kernel("random", seed=3, draw=1).values)
    assert np.abs(parse_kernel("random99").values).max() <= np.sqrt(3) / 99  # Glorot


@settings(deadline=None, max_examples=100)
@given(arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(-99, 99).map(float)))
def test_numbers_are_read_in_every_common_spelling(values: np.ndarray) -> None:
    rows = values.astype(int).tolist()
    spellings = [
        "; ".join(" ".join(map(str, row)) for row in rows),
        ";".join(",".join(map(str, row)) for row in rows) + ";",
        "\r\n".join(" ".join(f"{v / 7!r}".rjust(22) for v in row) for row in rows) + "\n\n# the end\n",
        "\n".join(", ".join(f"{v}/7" for v in row) + ";" for row in rows),
        str(rows).replace("-", "−"),
        str(values),
        spell(values),
    ]  # fmt: skip
    for i, text in enumerate(spellings):
        np.testing.assert_allclose(parse_numbers(text, source="k"), values / 7 if i in (2, 3) else values, rtol=1e-12)


def test_a_spelled_kernel_reads_as_itself() -> None:
    for name in ("blur3", "blur7", "gaussian3", "emboss", "laplacian"):
        values = parse_kernel(name).values
        np.testing.assert_allclose(parse_kernel(spell(values)).values, values, atol=1e-12)
    assert spell(parse_kernel("blur3").values).startswith("1/9 1/9 1/9; ")


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=30) | st.text("0123456789-+.,; /e[]\nnaif#", max_size=30))
def test_any_text_is_a_kernel_or_an_error_of_ours(text: str) -> None:
    try:
        kernel = parse_kernel(text)
    except EyesightError:
        return
    assert np.isfinite(kernel.values).all()
    assert kernel.values.ndim == 2
    assert kernel.values.size


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("k.txt", lambda path, values: np.savetxt(path, values, header="a kernel")),
        ("k.csv", lambda path, values: np.savetxt(path, values, delimiter=",", encoding="utf-8-sig")),
        ("k;.csv", lambda path, values: np.savetxt(path, values, delimiter=";")),
        ("k.npy", lambda path, values: np.save(path, values.astype(np.float32))),
        ("a kernel", lambda path, values: path.write_text(spell(values))),
    ],
)
def test_a_kernel_is_read_from_text_csv_and_npy(
    tmp_path: Path, name: str, write: Callable[[Path, np.ndarray], object]
) -> None:
    values = np.array([[0.5, -1, 0], [2, 0.25, 3]])
    write(tmp_path / name, values)
    kernel = parse_kernel(str(tmp_path / name))
    np.testing.assert_array_equal(kernel.values, values)
    assert kernel.name == Path(name).stem


def test_a_kernels_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "pickle.npy", np.array([[_Trap()]]), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.ones(9))
    np.save(tmp_path / "complex.npy", np.ones((3, 3), complex))
    np.save(tmp_path / "nan.npy", np.full((3, 3), np.nan))
    np.save(tmp_path / "large.npy", np.ones((1, 1000)))
    np.save(tmp_path / "whole.npy", np.ones((3, 3)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-8])
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    (tmp_path / "words.txt").write_text("1 2 3\n4 five 6\n")
    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    (tmp_path / "ragged.csv").write_text("1,2\n3\n")
    for name in ("pickle.npy", "flat.npy", "complex.npy", "nan.npy", "large.npy", "cut.npy", "binary.txt", "words.txt",
                 "empty.txt", "ragged.csv", "missing.txt", "."):  # fmt: skip
        with pytest.raises(DataError) as error:
            read_kernel(tmp_path / name)
        assert str(error.value).startswith(str(tmp_path / name))
        assert "\n" not in str(error.value)
    assert not Path("sprung").exists()


def test_a_kernels_name_that_is_nearly_right_gets_the_right_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'sharpen'"):
        parse_kernel("sharpn")


# brightness, display, hint


@pytest.mark.parametrize(
    ("kernel", "words"),
    [("blur5", "keeps the brightness"), ("edge", "0 except at edges"), ("1 2 3; 1 1 1", "9 times as bright"),
     ("0.5", "0.5 times as bright"), ("-1", "light and dark change places, times 1"), ("0 0", "all black")],
)  # fmt: skip
def test_a_kernel_multiplies_an_even_surface_by_its_sum_and_says_so(kernel: str, words: str) -> None:
    parsed = parse_kernel(kernel)
    assert brightness(parsed) == words
    np.testing.assert_allclose(correlate(np.full((9, 9), 20), parsed.values), 20 * parsed.sum, atol=1e-9)


def test_grey_levels_cut_or_scale() -> None:
    raw = np.array([[[-50.0], [0.0]], [[127.6], [400.0]]])
    assert grey_levels(raw, 0, 255).ravel().tolist() == [0, 0, 128, 255]
    assert grey_levels(raw, -50, 400).ravel().tolist() == [0, 28, 101, 255]


@pytest.mark.parametrize(
    ("scale", "around", "shown"),
    [
        ("auto", 0, "below 0 shown black, above 255 shown white"),
        ("clip", 0, "below 0 shown black, above 255 shown white"),
        ("min-max", round(255 * 125 / 1125), "shown scaled: -125 black, 1,000 white"),
    ],
)
def test_how_results_are_shown_is_said(tmp_path: Path, scale: convolve.Scale, around: int, shown: str) -> None:
    """A dot of 125 in the dark through the edge kernel: 1000 in its place, -125 beside it, 0 elsewhere."""
    pixels = np.zeros((9, 9), np.uint8)
    pixels[4, 4] = 125
    Image.fromarray(pixels).save(tmp_path / "dot.png")
    result = convolve.convolve("dot.png", ["edge"], scale=scale).results[0]
    assert (result.minimum, result.maximum) == (-125, 1000)
    assert (result.picture[3, 3, 0], result.picture[0, 0, 0], result.picture[3, 2, 0]) == (255, around, 0)
    assert result.shown == shown


def test_results_of_no_definite_brightness_are_scaled(photo: Path) -> None:
    result = convolve.convolve(photo, ["1 1 1; 1 1 1; 1 1 1"]).results[0]
    assert result.shown.startswith("shown scaled: ")
    assert (result.picture.min(), result.picture.max()) == (0, 255)


def test_signed_numbers_are_orange_above_zero_and_blue_below(tmp_path: Path) -> None:
    """A dot of 125 in the dark through the edge kernel: 1000 in its place, -125 beside it, 0 elsewhere."""
    pixels = np.zeros((9, 9), np.uint8)
    pixels[4, 4] = 125
    Image.fromarray(pixels).save(tmp_path / "dot.png")
    result = convolve.convolve("dot.png", ["edge"], scale="signed").results[0]
    (above, _, below), middle, none = result.picture[3, 3], result.picture[3, 2], result.picture[0, 0]
    assert above > below
    assert middle[2] > middle[0]
    assert none.tolist() == [255, 255, 255]
    assert result.shown.startswith("shown signed: 0 white, above it orange, below it blue, from ±")
    strongest = signed_colors(np.array([[900.0, -50.0]]), full=50)
    np.testing.assert_allclose(strongest, [[to_rgb(ORANGE), to_rgb(BLUE)]])  # none is more than its colour
    with pytest.raises(UsageError, match="scale: signed: shows one number for each pixel"):
        convolve.convolve("dot.png", ["edge"], scale="signed", color=True)


def test_a_kernel_has_one_colour_in_lessons_and_in_convolve() -> None:
    kernel = np.array([[-1.0, 0.0, 2.0]])
    done = convolve.convolve(kernels=["-1 0 2"])
    drawn = next(axes.images[0] for axes in draw(done).axes if axes.images and axes.images[0].get_array().shape[0] == 1)
    np.testing.assert_allclose(drawn.get_array(), _shade(Grid(kernel, shade="signed")))


def test_edge_kernels_come_in_every_odd_size_and_stay_as_bright(tmp_path: Path) -> None:
    assert parse_kernel("edge3").name == "edge"
    for side in (5, 9):
        values = parse_kernel(f"edge{side}").values
        assert values.shape == (side, side)
        assert values[side // 2, side // 2] == side**2 - 1
        assert (values.sum(), np.unique(values).size) == (0, 2)
    small, large = (done.results[0] for done in (convolve.convolve(kernels=[name]) for name in ("edge", "edge9")))
    assert (small.white, large.white) == (255, 2550)  # else nearly every pixel would be black or white
    assert (large.picture == 255).mean() < 3 * (small.picture == 255).mean()
    assert large.shown == "below 0 shown black, above 2,550 shown white"


def test_larger_photos_ask_for_larger_kernels() -> None:
    edge = parse_kernel("edge")
    assert larger_kernel_hint((302, 403), [edge]) is None
    assert larger_kernel_hint((3000, 4000), [parse_kernel("blur29")]) is None
    hint = larger_kernel_hint((3000, 4000), [parse_kernel("blur29"), edge])
    assert hint is not None
    assert "3×3 is small for 3000×4000: it takes 29×29 " in hint
    assert hint.endswith("try edge29 or blur29, or a smaller photo")  # larger ones of the kinds asked for
    sobel = larger_kernel_hint((3000, 4000), [parse_kernel("sobel-x")])
    assert sobel is not None
    assert "try edge29, or" in sobel
    assert np.isclose(29**2 / (3000 * 4000), 3**2 / (302 * 403), rtol=0.1)  # what the hint promises


# the command


def test_without_arguments_it_shows_the_edges_of_a_photo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convolve"]) == 0
    out, err = capsys.readouterr()
    first, header, row, *_, last = out.splitlines()
    assert first == "china.jpg, 302×403, grey; padding valid, stride 1"
    assert header.split()[:5] == ["kernel", "size", "result", "parameters", "sum"]
    assert "from -1,112 to 1,175; below 0 shown black, above 255 shown white" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    assert row.split()[:9] == ["edge", "3×3", "300×401", "10", "0", "0", "except", "at", "edges;"]
    assert (last, err) == ("sheet: convolve.png", "")
    with Image.open("convolve.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.height > sheet.width  # original above, result below


def test_the_tutorials_shapes_and_parameter_counts() -> None:
    arguments = ["-k", "random", "-k", "edge", "-k", "blur7", "-k", "random", "--npy", "out.npy"]
    assert main(["convolve", *arguments]) == 0
    photo = load_photo(None, color=False)
    shapes = {name: np.load(f"out-{name}.npy").shape for name in ("random", "edge", "blur7")}
    assert photo.shape == (302, 403)
    assert shapes == {"random": (300, 401), "edge": (300, 401), "blur7": (296, 397)}
    assert [parse_kernel(name).parameters for name in shapes] == [10, 10, 50]
    first, second = np.load("out-random.npy"), np.load("out-random-2.npy")
    np.testing.assert_allclose(first, correlate(photo.pixels[..., 0], parse_kernel("random").values), atol=1e-9)
    assert np.abs(first - second).max() > 1  # a second random kernel is another one


def test_json_and_npy_hold_the_numbers(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("k.csv").write_text("0.5,0.5,1\n")
    arguments = ["-k", "emboss", "-k", "k.csv", "-k", "1 0 -1; 2 0 -2; 1 0 -1", "-k", "-1", "-k", "emboss"]
    assert main(["convolve", str(photo), *arguments, "--color", "--padding", "same", "--stride", "2", "--seed", "3",
                 "-o", "new/sheet.png", "--npy", "new/raw.npy", "--json"]) == 0  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert {key: value for key, value in report.items() if key != "kernels"} == {
        "photo": "photo.png", "height": 40, "width": 60, "channels": 3, "padding": "same", "stride": 2,
        "hint": None, "sheet": "new/sheet.png",
    }  # fmt: skip
    assert [entry["name"] for entry in report["kernels"]] == ["emboss", "k", "numbers", "numbers-2", "emboss-2"]
    assert names_in("new") == ["raw-emboss-2.npy", "raw-emboss.npy", "raw-k.npy", "raw-numbers-2.npy",
                                         "raw-numbers.npy", "sheet.png"]  # fmt: skip
    pixels = np.asarray(Image.open(photo))
    for entry in report["kernels"]:
        raw = np.load(entry["npy"], allow_pickle=False)
        assert raw.dtype == np.float64
        assert entry["output"] == [20, 30] == list(raw.shape[:2])
        for c in range(3):
            expected = reference(pixels[..., c], np.array(entry["values"]), "same", 2)
            np.testing.assert_allclose(raw[..., c], expected, rtol=0, atol=1e-6)
        assert (entry["minimum"], entry["maximum"]) == (raw.min(), raw.max())
        assert entry["sum"] == pytest.approx(np.sum(entry["values"]))


def test_the_list_can_be_fed_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convolve", "--list", "--seed", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    table = " ".join(" ".join(lines).split())
    assert main(["convolve", "--list", "--seed", "5", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [k.name for k in kernels.all_kernels()]
    for row in rows:
        assert f"{row['name']} " in table
        spelled = spell(np.array(row["values"]))
        assert spelled in table
        np.testing.assert_allclose(parse_kernel(spelled).values, row["values"], atol=1e-4)


def test_the_hint_names_a_kernel_that_does(capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (1612, 1208), 77).save("large.png")  # four times the tutorial's sides
    assert main(["convolve", "large.png", "-k", "edge"]) == 0
    assert "hint: 3×3 is small for 1208×1612: it takes 13×13 " in capsys.readouterr().out
    assert main(["convolve", "large.png", "-k", "blur13"]) == 0
    assert "hint" not in capsys.readouterr().out


def test_a_sheet_in_the_way_is_replaced_and_nothing_else_is_left(photo: Path) -> None:
    Path("sheet.png").write_text("an older one")
    assert main(["convolve", str(photo), "-o", "sheet.png"]) == 0
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")
    assert names_in(".") == ["photo.png", "sheet.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-k", "1 2; 3"], 2, "--kernel: expected rows of equal length; received: 2 numbers in row 1, 1 in row 2"),
        (["-k", "1 a 2"], 2, "--kernel: expected finite numbers of at most 1e9 in size; received: 'a'"),
        (["-k", "nan"], 2, "--kernel: expected finite numbers of at most 1e9 in size; received: 'nan'"),
        (["-k", "1 -inf 2"], 2, "--kernel: expected finite numbers of at most 1e9 in size; received: '-inf'"),
        (["-k", "1/0"], 2, "--kernel: expected finite numbers of at most 1e9 in size; received: '1/0'"),
        (["-k", "1,,2"], 2, "--kernel: expected finite numbers of at most 1e9 in size; received: ''"),
        (["-k", ""], 2, "--kernel: expected rows of numbers such as '1 0 -1; 2 0 -2; 1 0 -1'; received nothing"),
        (["-k", "[[]]"], 2, "--kernel: expected rows of numbers such as '1 0 -1; 2 0 -2; 1 0 -1'; received nothing"),
        (["-k", "blur41"], 2,
         "kernel 'blur41': with padding valid expected at most the picture's 40×60; received: 41×41"),
        (["-k", "1 2; 3 4", "--padding", "same"], 2,
         "kernel 'numbers': with padding same expected odd sides, for a middle; received: 2×2"),
        (["-k", "blur4"], 2,
         "kernel 'blur4': expected an odd size, so that it has a middle, from 1 to 999; received: 4"),
        (["-k", "gaussian1001"], 2,
         "kernel 'gaussian1001': expected an odd size, so that it has a middle, from 1 to 999; received: 1001"),
        (["-k", "emboss5"], 2, "kernel 'emboss5': emboss is 3×3 and takes no size; edge, blur, gaussian, random do"),
        (["-k", "sobelx"], 2, "unknown kernel 'sobelx'; did you mean 'sobel-x'?"),
        (["-k", "edge", "-k", "missing.txt"], 1, "missing.txt: no such file"),
        (["-k", "photo.png"], 1, "photo.png: expected a kernel as text, CSV or .npy; received something else"),
        (["-k", "edge"] * 65, 2, "--kernel: expected 1 to 64 kernels; received: 65"),
        (["--stride", "0"], 2, "Invalid value for '--stride': should be greater than or equal to 1"),
        (["--seed", "-1"], 2, "Invalid value for '--seed': should be greater than or equal to 0"),
        (["-o", "sheet.jpg"], 2, "--output: expected a name that ends in .png; received: 'sheet.jpg'"),
        (["--npy", "raw.txt"], 2, "--npy: expected a name that ends in .npy; received: 'raw.txt'"),
        (["-o", "photo.png"], 2, "photo.png: is read, so that it cannot be written as well; choose another name"),
        (["-o", "link.png"], 2, "link.png: is read, so that it cannot be written as well; choose another name"),
        (["-k", "k.npy", "--npy", "k.npy"], 2,
         "k.npy: is read, so that it cannot be written as well; choose another name"),
        (["-o", "photo.png/sheet.png"], 1, "photo.png/sheet.png: file exists"),
        (["--list"], 2, "--list: takes no photo and no --kernel"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_writes_nothing(
    photo: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    np.save("k.npy", np.ones((3, 3)))
    Path("link.png").symlink_to("photo.png")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert main(["convolve", "photo.png", *arguments]) == code
    assert capsys.readouterr() == ("", f"eyesight: error: {message}\n")
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    ("name", "code"), [("missing.png", 1), ("text.png", 1), ("folder", 1), ("cut.png", 1), ("", 2)]
)
def test_a_photo_that_is_none_is_one_line(
    photo: Path, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    Path("folder").mkdir()
    Path("text.png").write_text("not a picture")
    Path("cut.png").write_bytes(photo.read_bytes()[:2000])
    assert main(["convolve", name]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"eyesight: error: {name or 'photo'}: ")
    assert not Path("convolve.png").exists()


def test_the_guide_shows_what_the_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    guide = Path(__file__).resolve().parents[2] / "docs" / "convolve.md"
    shown = re.findall(r"^    \$ eyesight (.+)\n((?:    .+\n)+)", guide.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(shown) == 3
    for command, output in shown:
        assert main(shlex.split(command)) == 0
        assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
            line.removeprefix("    ") for line in output.splitlines()
        ]


# the sheet


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((302, 403), ["edge"]),
        ((900, 300), ["random7", "-3 1 2", "1;-2;1"]),
        ((20, 400), ["blur3", "gaussian15"]),
        ((8, 8), ["edge", "random5", "1000000 -0.001; 3 4", "blur7"]),
        ((750, 1000), [LONG + ".txt", "edge", "1e9 -1e9 0.5; 7 7 7", "blur15"]),
    ],
)
def test_no_text_on_a_sheet_meets_another_or_a_picture(size: tuple[int, int], names: list[str]) -> None:
    Path(LONG + ".txt").write_text("-1 -0.5; 0.25 0.3333")
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    Image.fromarray(pixels).save(LONG + ".png")
    figure = draw(convolve.convolve(LONG + ".png", names))
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.texts]
    areas = [axes.get_window_extent() for axes in figure.axes]
    for (text, box), (other, its) in combinations(boxes, 2):
        assert not box.overlaps(its), f"{text!r} meets {other!r}"
    for text, box in boxes:
        assert not any(box.overlaps(area) for area in areas), f"{text!r} meets a picture or a kernel"
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width, f"{text!r} leaves the sheet"
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height, f"{text!r} leaves the sheet"
    assert not any(a.overlaps(b) for a, b in combinations(areas, 2))
    for axes in figure.axes:
        numbers = [text.get_window_extent() for text in axes.texts]
        assert not any(a.overlaps(b) for a, b in combinations(numbers, 2)), "the numbers of a kernel meet"
    pictures = [axes.get_position(original=True) for axes in figure.axes if not axes.axison]
    assert len(pictures) == 1 + len(names)
    assert len({(round(box.width, 6), round(box.height, 6)) for box in pictures}) == 1


def test_a_large_result_is_made_smaller_for_the_sheet() -> None:
    Image.new("L", (2500, 1300), 200).save("large.png")
    result = convolve.convolve("large.png", ["blur3"]).results[0]
    assert result.shape == (1298, 2498)
    assert result.picture.shape == (433, 833, 1)
    assert (result.picture == 200).all()

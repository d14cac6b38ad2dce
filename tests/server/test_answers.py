"""A server that runs as a program: its answers are those of the classifier, and the rest is refused with a reason."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

import eyesight
from asking import digit, encoded, head, odd_photos, program, raw

KEY = "open-sesame"
PHOTOS = odd_photos()


@pytest.fixture(scope="module")
def url(digits_run: eyesight.Run) -> Iterator[str]:
    with program(digits_run.path, "--timeout", "3") as (address, _):
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as found:
        yield found


def same(answer: dict, expected: eyesight.Answer) -> None:
    assert answer["label"] == expected.label
    assert [entry["label"] for entry in answer["top"]] == [name for name, _ in expected.top]
    np.testing.assert_allclose([e["probability"] for e in answer["top"]], [p for _, p in expected.top], atol=1e-5)


@pytest.mark.parametrize("name", PHOTOS)
def test_an_odd_photo_is_answered_as_by_the_classifier(
    name: str, client: httpx.Client, digits_run: eyesight.Run
) -> None:
    reply = client.post("/predict", params={"top": 10}, content=PHOTOS[name])
    assert reply.status_code == 200, reply.text
    same(reply.json()["predictions"][0], digits_run.classifier.predict(PHOTOS[name], top=10)[0])


def test_a_form_has_an_answer_for_each_file_and_a_bad_one_harms_no_other(
    client: httpx.Client, digits_run: eyesight.Run
) -> None:
    files = [("file", (f"{name}.bin", data)) for name, data in PHOTOS.items()]
    files.insert(2, ("file", ("notes.txt", b"no picture at all, but some text")))
    answers = client.post("/predict?top=10", files=files).json()["predictions"]
    assert [answer["source"] for answer in answers] == [file[0] for _, file in files]
    bad = answers.pop(2)
    assert "not a picture" in bad["error"] or "text" in bad["error"]
    for answer, data in zip(answers, PHOTOS.values(), strict=True):
        same(answer, digits_run.classifier.predict(data, top=10)[0])


def test_many_clients_at_once_get_their_own_answers(url: str, digits_run: eyesight.Run) -> None:
    bodies = [digit(seed) if seed % 5 else b"broken" + digit(seed) for seed in range(120)]

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, timeout=30) as many:
            return await asyncio.gather(*(many.post("/predict?top=10", content=body) for body in bodies))

    for body, reply in zip(bodies, asyncio.run(ask()), strict=True):
        if body.startswith(b"broken"):
            assert reply.status_code == 400
        else:
            assert reply.status_code == 200, reply.text
            same(reply.json()["predictions"][0], digits_run.classifier.predict(body, top=10)[0])


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/docs", "text/html"), ("/openapi.json", "json"), ("/metrics", "text/plain"),
     ("/health", "json"), ("/ready", "json"), ("/classes", "json")],
)  # fmt: skip
def test_every_address_answers(path: str, kind: str, client: httpx.Client) -> None:
    reply = client.get(path)
    assert reply.status_code == 200
    assert kind in reply.headers["content-type"]
    assert "://" not in reply.text.replace(str(client.base_url).rstrip("/"), "") or path == "/metrics"  # no CDN


def test_classes_are_those_of_the_model(client: httpx.Client, digits_run: eyesight.Run) -> None:
    assert client.get("/classes").json()["classes"] == list(digits_run.classifier.classes)


def bomb() -> bytes:
    """A PNG of a few kilobytes that says it has 400 megapixels."""
    whole = encoded(Image.new("L", (64, 64)))
    header = b"IHDR" + (20000).to_bytes(4) + (20000).to_bytes(4) + whole[24:29]
    return whole[:12] + header + zlib.crc32(header).to_bytes(4) + whole[33:]


@pytest.mark.parametrize(
    ("body", "headers", "query", "status", "field"),
    [
        (b"words, and no picture", {}, "", 400, None),
        (PHOTOS["grey"][:2000], {}, "", 400, None),
        (digit()[:60], {}, "", 400, None),
        (b"", {}, "", 400, "body"),
        (bomb(), {}, "", 413, None),
        (encoded(Image.new("L", (5100, 5000))), {}, "", 413, None),
        (bytes(12_000_000), {}, "", 413, "body"),
        (digit(), {"content-type": "application/json"}, "", 415, "content-type"),
        (digit(), {"content-type": "text/plain"}, "", 415, "content-type"),
        (digit(), {"content-type": "multipart/form-data"}, "", 400, "body"),
        (digit(), {"content-type": "multipart/form-data; boundary=x"}, "", 400, "body"),
        (digit(), {}, "?top=0", 422, "top"),
        (digit(), {}, "?top=three", 422, "top"),
        (digit(), {}, "?top=" + "9" * 5000, 422, "top"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused_with_the_reason(
    body: bytes, headers: dict[str, str], query: str, status: int, field: str | None, client: httpx.Client
) -> None:
    reply = client.post("/predict" + query, content=body, headers=headers)
    assert reply.status_code == status, reply.text
    told = reply.json()
    assert told["error"]
    assert told["field"] == field


def test_a_long_body_without_a_length_is_refused(client: httpx.Client) -> None:
    reply = client.post("/predict", content=(bytes(1 << 20) for _ in range(12)))
    assert (reply.status_code, reply.json()["field"]) == (413, "body")


def test_a_form_of_too_many_files_is_refused(client: httpx.Client) -> None:
    reply = client.post("/predict", files=[("file", (f"{k}.png", digit())) for k in range(65)])
    assert (reply.status_code, reply.json()["field"]) == (400, "body")


def test_other_addresses_and_methods_are_refused_as_json(client: httpx.Client) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/predict").status_code == 405
    assert set(client.delete("/predict").json()) == {"error", "field"}


def test_slow_headers_a_slow_body_and_a_length_that_lies_end(url: str) -> None:
    picture = digit()
    slow = (b"POST /pre", head(len(picture))[:-2], head(len(picture)) + picture[:20], head(10**9) + picture)
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda data: raw(url, data), slow))
    for answer in answers:
        assert answer.split(b" ")[1] in (b"408", b"413"), answer
        assert b'"error"' in answer


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01nonsense\r\n\r\n", head("-5"), head("5x"), head(5, "Content-Length: 6") + b"abcde",
     b"GET / HTTP/1.1\r\nX: " + bytes(65) * 1100],
)  # fmt: skip
def test_what_is_no_http_is_refused(data: bytes, url: str) -> None:
    answer = raw(url, data)
    assert answer.split(b" ")[1] in (b"400", b"431"), answer


def test_after_a_short_length_the_connection_ends(url: str) -> None:
    picture = digit()
    answer = raw(url, head(30) + picture)  # the rest is read as a request, and is none
    assert answer.startswith(b"HTTP/1.1 400")


def test_counts_are_told(client: httpx.Client) -> None:
    client.post("/predict", content=digit())
    text = client.get("/metrics").text
    assert 'eyesight_requests_total{path="/predict",status="200"}' in text
    assert "eyesight_batch_pictures_bucket" in text


def test_a_key_and_an_origin(digits_run: eyesight.Run) -> None:
    with eyesight.serve(digits_run.path, api_key=KEY, cors=["https://a.example"]) as server:
        ask = httpx.Client(base_url=server.url, headers={"origin": "https://a.example"})
        assert ask.post("/predict", content=digit()).status_code == 401
        assert ask.get("/classes", headers={"x-api-key": "another"}).json()["field"] == "x-api-key"
        assert ask.get("/health").status_code == 200
        for headers in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
            reply = ask.post("/predict", content=digit(), headers=headers)
            assert reply.status_code == 200
            assert reply.headers["access-control-allow-origin"] == "https://a.example"
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
        assert ask.options("/predict", headers=asked).status_code == 200
        ask.close()


def test_answers_below_the_threshold_are_said_to_be_unsure(digits_run: eyesight.Run) -> None:
    digits = [Image.fromarray(picture[..., 0]) for picture in digits_run.data().test.gather(np.arange(12))]
    pictures = [encoded(picture) for picture in (*digits, *(Image.new("L", (8, 8), grey) for grey in (0, 128, 255)))]
    expected = [digits_run.classifier.predict(data, threshold=0.97)[0] for data in pictures]
    assert {answer.unsure for answer in expected} == {True, False}
    with eyesight.serve(digits_run.path, threshold=0.97) as server:
        answers = httpx.post(f"{server.url}/predict", files=[("file", data) for data in pictures]).json()["predictions"]
    assert [answer["unsure"] for answer in answers] == [answer.unsure for answer in expected]
    for threshold in (0, 1, 2.5):
        with pytest.raises(eyesight.EyesightError, match=r"^threshold: expected a probability between 0 and 1"):
            eyesight.serve(digits_run.path, threshold=threshold)

"""The queue by itself: what is taken is answered once, whatever goes wrong in its threads."""

from __future__ import annotations

import asyncio
import io
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from eyesight.errors import EyesightError
from eyesight.pictures.preprocess import Preprocessing
from eyesight.server.batching import Batcher
from eyesight.server.limits import Limits, LostClientError, RequestError
from eyesight.server.model import Model

FATAL = 13  # a picture of this grey makes the engine fail


class Engine:
    """Says which grey a picture has; fails where one of the batch is grey in a certain way."""

    classes = tuple(str(k) for k in range(256))
    checksum = None
    preprocessing = Preprocessing(height=4, width=4, channels=1, mean=(0.5,), std=(0.25,))

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def probabilities(self, pictures):
        self.gate.wait(20)
        assert pictures.shape[1:] == self.preprocessing.shape
        self.sizes.append(len(pictures))
        if (pictures == FATAL).any():
            raise MemoryError("too little")
        return np.eye(256)[pictures[:, 0, 0, 0]]


def grey(value: int, side: int = 4) -> bytes:
    out = io.BytesIO()
    Image.new("L", (side, side), value).save(out, "PNG")
    return out.getvalue()


def nobody_left() -> bool:
    return False


def within(test, **limits):
    """Run a coroutine with a queue of its own, which must be empty and have living threads in the end."""

    async def run():
        engine = Engine()
        batcher = Batcher(Model(engine), Limits(**limits), observe=lambda _: None)
        try:
            await test(batcher, engine)
            assert not batcher.stuck()
        finally:
            engine.gate.set()
            await asyncio.to_thread(batcher.close)
        await asyncio.sleep(0)
        assert batcher.waiting == 0

    asyncio.run(asyncio.wait_for(run(), 30))


def told(answers) -> list[int | type]:
    return [type(a) if isinstance(a, BaseException) else int(a[1].argmax()) for a in answers]


def test_one_bad_picture_among_many_harms_nobody():
    async def test(batcher, engine):
        engine.gate.clear()
        bodies = [grey(k) for k in range(40)]
        bodies[7] = b"no picture"
        futures = batcher.submit([(str(k), body) for k, body in enumerate(bodies)], lost=nobody_left)
        engine.gate.set()
        answers = told(await asyncio.gather(*futures, return_exceptions=True))
        assert answers[FATAL] is RequestError
        assert issubclass(answers[7], EyesightError)
        assert [k for k in range(40) if answers[k] != k] == [7, FATAL]
        assert max(engine.sizes) > 10, "they were computed together"

    within(test)


def test_large_and_small_pictures_get_their_own_answers():
    async def test(batcher, engine):
        sides = [4, 300, 4, 500, 1000, 4, 300]
        futures = batcher.submit([("p", grey(k, side)) for k, side in enumerate(sides)], lost=nobody_left)
        assert told(await asyncio.gather(*futures)) == list(range(7))

    within(test)


def test_the_end_answers_what_was_taken_and_refuses_more():
    async def test(batcher, engine):
        engine.gate.clear()
        futures = batcher.submit([("p", grey(k, 4 if k % 2 else 300)) for k in range(20)], lost=nobody_left)
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError, match="stopping"):
            batcher.submit([("late", grey(1))], lost=nobody_left)
        engine.gate.set()
        assert told(await asyncio.gather(*futures, return_exceptions=True)) == [
            k if k != FATAL else RequestError for k in range(20)
        ]
        await closing

    async def run():
        engine = Engine()
        await test(Batcher(Model(engine), Limits(), observe=lambda _: None), engine)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_what_waits_for_too_long_is_given_up():
    async def test(batcher, engine):
        engine.gate.clear()
        futures = batcher.submit([("p", grey(k)) for k in range(5)], lost=nobody_left)
        await asyncio.sleep(0.15)
        batcher.expire()
        assert told(await asyncio.gather(*futures, return_exceptions=True)) == [RequestError] * 5
        assert batcher.waiting == 0
        assert batcher.stuck()
        engine.gate.set()
        (future,) = batcher.submit([("p", grey(9))], lost=nobody_left)
        assert told([await future]) == [9]

    within(test, timeout=0.1)


def test_clients_that_have_gone_are_not_computed_for():
    async def test(batcher, engine):
        engine.sizes.clear()
        futures = batcher.submit([("p", grey(k, 4 + 300 * k)) for k in range(2)], lost=lambda: True)
        assert told(await asyncio.gather(*futures, return_exceptions=True)) == [LostClientError] * 2
        assert engine.sizes == []

    within(test)


def test_an_error_where_batches_are_counted_does_not_end_the_thread():
    async def run():
        engine = Engine()

        def observe(_):
            raise OSError("no space left")

        batcher = Batcher(Model(engine), Limits(), observe=observe)
        futures = batcher.submit([("p", grey(1)), ("p", grey(2))], lost=nobody_left)
        assert told(await asyncio.gather(*futures, return_exceptions=True)) == [RequestError] * 2
        assert not batcher.stuck()
        await asyncio.to_thread(batcher.close)

    asyncio.run(asyncio.wait_for(run(), 30))


def noise(seed: int) -> bytes:
    """A file so large that the pool decodes it."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(100, 256, (300, 300), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_a_model_replaced_while_pictures_wait_answers_none_with_the_shape_of_the_other():
    async def decoded(batcher, count):
        while len(batcher._decoded) < count:
            await asyncio.sleep(0.01)

    async def test(batcher, engine):
        other = Engine()
        other.preprocessing = Preprocessing(height=6, width=6, channels=1, mean=(0.5,), std=(0.25,))
        new = Model(other)
        engine.gate.clear()
        futures = batcher.submit([("first", grey(1))], lost=nobody_left)
        await asyncio.sleep(0.1)  # it is being computed
        futures += batcher.submit([("old", noise(1))], lost=nobody_left)
        await decoded(batcher, 1)
        old, batcher.model = batcher.model, new
        futures += batcher.submit([("new", noise(2))], lost=nobody_left)
        await decoded(batcher, 2)
        engine.gate.set()
        assert [model for model, _ in await asyncio.gather(*futures)] == [old, old, new]

    within(test)


def test_the_loop_may_end_before_the_threads_do():
    engine = Engine()

    async def run():
        batcher = Batcher(Model(engine), Limits(timeout=5), observe=lambda _: None)
        engine.gate.clear()
        batcher.submit([("p", grey(1)), ("p", grey(2, 400))], lost=nobody_left)
        return batcher

    batcher = asyncio.run(run())
    engine.gate.set()
    batcher.close()
    assert not batcher._thread.is_alive()


def test_cut_uploads_leave_memory_flat_and_warnings_as_they_were():
    """Over 8 threads, as a public report has it; here through the queue's own threads, a thousand times."""
    resident = _resident()
    if resident is None:
        pytest.skip("needs /proc")
    out = io.BytesIO()
    few = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(few).resize((300, 300)).save(out, "JPEG")
    cut = out.getvalue()[: len(out.getvalue()) // 2]
    filters = list(warnings.filters)

    async def test(batcher, engine):
        async def many(count):
            for _ in range(count // 50):
                futures = batcher.submit([("cut.jpg", cut)] * 50, lost=nobody_left)
                answers = await asyncio.gather(*futures, return_exceptions=True)
                assert all(isinstance(answer, EyesightError) for answer in answers)

        await many(400)
        before = _resident()
        await many(1000)
        assert _resident() - before < 4 << 20

    within(test)
    assert warnings.filters == filters


def _resident() -> int | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * 4096
    except OSError:
        return None

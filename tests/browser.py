"""A real browser, without a window: Chromium through selenium; left out with the reason where there is none."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
).split()


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Yield a driver of a browser that keeps its files in a folder of its own."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        reason = "needs a browser: chromium and chromedriver (Debian: chromium chromium-driver)"
        if os.environ.get("EYESIGHT_BROWSER_TESTS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0] or ""
    for option in (*_OPTIONS, f"--user-data-dir={profile}", "--window-size=1200,1600"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def ask(driver: Any, code: str, *values: Any) -> Any:
    """Return what an asynchronous piece of JavaScript gives; arrays of bytes arrive as such. Its errors are raised."""
    given = [base64.b64encode(v.tobytes()).decode() if isinstance(v, np.ndarray) else v for v in values]
    kinds = [isinstance(v, np.ndarray) for v in values]
    found = driver.execute_async_script(
        "const [given, kinds, done] = arguments;"
        "const values = given.map((v, i) => kinds[i] ? Uint8Array.from(atob(v), (c) => c.charCodeAt(0)) : v);"
        f"(async (...values) => {{ {code} }})(...values).then((v) => done([v]), (e) => done(String(e)));",
        given,
        kinds,
    )
    if isinstance(found, str):
        raise AssertionError(found)
    return found[0]

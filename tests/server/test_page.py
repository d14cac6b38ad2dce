"""The page that pictures are dropped on, in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import eyesight
from asking import digit

selenium = pytest.importorskip("selenium")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if not all(programs):
        if os.environ.get("EYESIGHT_BROWSER_TESTS") == "required":
            pytest.fail("chromium and chromedriver are required and not installed")
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    profile = tmp_path_factory.mktemp("profile")
    for option in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage",
        f"user-data-dir={profile}", "window-size=900,800",
    ):  # fmt: skip
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


def wait(browser, script: str):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(script))


def test_a_picture_on_the_page_gets_its_class_and_a_bad_one_its_reason(
    browser, digits_run: eyesight.Run, tmp_path: Path
) -> None:
    (tmp_path / "seven.png").write_bytes(digit())
    (tmp_path / "<b>notes.png").write_bytes(b"no picture, some words")
    with eyesight.serve(digits_run.path) as server:
        browser.get(server.url)
        wait(browser, "return document.getElementById('about').textContent.startsWith('10 classes')")
        field = browser.find_element("id", "files")
        field.send_keys(f"{tmp_path / 'seven.png'}\n{tmp_path / '<b>notes.png'}")
        wait(browser, "return document.querySelectorAll('#answers .label, #answers .error').length == 2")
        expected = digits_run.classifier.predict(digit())[0]
        assert browser.find_element("css selector", "#answers .label").text == expected.label
        assert "not a picture" in browser.find_element("css selector", "#answers .error").text
        browser.execute_script("document.activeElement.blur()")
        from selenium.webdriver.common.keys import Keys

        browser.find_element("tag name", "body").send_keys(Keys.TAB)
        assert browser.switch_to.active_element.get_attribute("id") == "files"  # the keyboard reaches it first
        folder = os.environ.get("EYESIGHT_SCREENSHOTS")
        for scheme in ("light", "dark"):
            values = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": values})
            shot = tmp_path / f"{scheme}.png"
            browser.save_screenshot(str(shot))
            grey = Image.open(shot).convert("L").getpixel((5, 400))
            assert (grey > 128) == (scheme == "light")
            if folder:
                shutil.copy(shot, Path(folder) / f"serve-{scheme}.png")
        browser.get(f"{server.url}/docs")
        wait(browser, "return document.querySelectorAll('section').length > 4")
        if folder:
            browser.save_screenshot(str(Path(folder) / "serve-docs.png"))
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [entry for entry in severe if "/predict" not in entry["message"]]  # the bad picture's 400 is told there


def test_a_key_is_asked_for(browser, digits_run: eyesight.Run) -> None:
    with eyesight.serve(digits_run.path, api_key="sesame") as server:
        browser.get(server.url)
        wait(browser, "return !document.getElementById('lock').hidden")
        key = browser.find_element("id", "key")
        key.send_keys("sesame\t")
        wait(browser, "return document.getElementById('about').textContent.startsWith('10 classes')")

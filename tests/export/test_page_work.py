"""The page shows its work, to everybody: feature maps, accounts of their numbers, where it looks; keys and phones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from browser import ask
from pages import LARGE_PICTURES, PICTURES, classifier, family, open_page, show, text, wait_for


def numbers(words: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?", words)]


def test_a_click_on_a_cell_shows_the_products_that_make_its_value(driver, digits_page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    show(driver, digits_page)
    driver.find_element("css selector", "#examples button").click()
    wait_for(driver, "#answer", "%")
    layer = driver.find_element("css selector", "#layers details")
    driver.execute_script("arguments[0].scrollIntoView()", layer)
    maps = layer.find_elements("css selector", ".maps button")
    best = ask(
        driver,
        """const network = await eyesight.network(), { out } = network.operations[0];
      const maps = [...Array(16).keys()].map((c) => Math.max(...network.channel(out, c)));
      return maps.indexOf(Math.max(...maps))""",
    )
    maps[best].click()
    told = driver.find_element("css selector", ".inspector .cell")
    canvas = driver.find_element("css selector", ".inspector .large")
    ActionChains(driver).move_to_element_with_offset(canvas, -canvas.size["width"] // 5, 0).click().perform()
    value = float(told.get_attribute("data-value"))
    sums = [line.text.replace("−", "-") for line in driver.find_elements("css selector", ".inspector .sum")]
    products = re.findall(r"\(?(-?[\d.e-]+)\)?×\(?(-?[\d.e-]+)\)?", sums[0])
    made = sum(float(a) * float(b) for a, b in products)
    assert len(products) > 1
    assert made == pytest.approx(numbers(sums[1])[0], abs=0.01)
    bias = numbers(sums[-2])[1]
    assert value == pytest.approx(max(made + bias, 0) if "relu" in sums[-1] else made + bias, abs=0.05)
    assert value == pytest.approx(numbers(told.text)[-1], abs=1e-3)


ACCOUNT = """const network = await eyesight.network(), found = [];
  for (const [i, operation] of network.operations.entries()) {
    const [h, w, c] = network.shapes[operation.out];
    for (const share of [0, 0.5, 0.999]) {
      const place = [h, w, c].map((side) => Math.floor(side * share));
      const { groups = [], bias = 0, sum = null, value, parts = [] } = await eyesight.account(i, ...place);
      let made = bias;
      for (const { window, kernel } of groups) {
        if (kernel) window.forEach((row, y) => row.forEach((n, x) => { made += (n ?? 0) * kernel[y][x]; }));
      }
      const window = groups.flatMap((group) => group.window.flat());
      found.push({ kind: operation.kind, function: operation.function ?? "", made, sum, value, window, parts });
    }
  }
  return found;"""
FUNCTIONS = {"": lambda x: x, "relu": nn.functional.relu, "relu6": nn.functional.relu6, "tanh": torch.tanh,
             "gelu": nn.functional.gelu, "silu": nn.functional.silu}  # fmt: skip


def retell(account: dict[str, Any]) -> float:
    """Return the number that an account makes, of what it shows."""
    window = account["window"]
    match account["kind"]:
        case "largest":
            return max(number for number in window if number is not None)
        case "pad" | "flatten":
            return window[0] or 0.0
        case "mean":
            return sum(window) / len(window)
        case "sum":
            total = sum(account["parts"])
        case "activation":
            total = account["sum"]
        case _:
            total = account["made"]
    assert account["sum"] == pytest.approx(total, rel=1e-5, abs=1e-5)
    return float(FUNCTIONS[account["function"]](torch.tensor(total)))


@pytest.mark.parametrize("name", ["lenet5", "whitened-16-32-32", "alexnet", "resnet", "efficientnet"])
def test_every_account_adds_up_to_the_number_that_is_shown(driver, name: str, tmp_path: Path) -> None:
    pictures = LARGE_PICTURES if name == "alexnet" else PICTURES
    open_page(driver, tmp_path, classifier(family(name)), pictures)
    ask(driver, "await eyesight.show(values[0])", pictures[0])
    for account in ask(driver, ACCOUNT):
        assert account["value"] == pytest.approx(retell(account), rel=1e-4, abs=1e-4), account["kind"]


@pytest.mark.parametrize(("name", "kind"), [("resnet", "mean"), ("whitened-16-32-32", "sum")])
def test_the_map_over_the_picture_adds_up_to_the_score(driver, name: str, kind: str, tmp_path: Path) -> None:
    ours = classifier(family(name))
    open_page(driver, tmp_path, ours, PICTURES)
    ask(driver, "await eyesight.show(values[0])", PICTURES[0])
    score = float(driver.find_element("id", "attention").get_attribute("data-score"))
    assert score == pytest.approx(1.3 * ours.logits(PICTURES[:1]).max(), abs=1e-3)  # the temperature
    assert f"Their {kind}" in text(driver, "#attention-says")


def test_other_networks_say_so_and_cover_parts(driver, digits_run, tmp_path: Path) -> None:
    ours = classifier(family("small-cnn"))
    open_page(driver, tmp_path, ours, PICTURES)
    before = ask(driver, "return Array.from(await eyesight.show(values[0]))", PICTURES[0])
    assert "there is no exact map" in text(driver, "#attention-says")
    driver.find_element("id", "cover").click()
    wait_for(driver, "#attention-says", "lowers the probability")
    logit = "const n = await eyesight.network(); return n.number(n.shapes.length - 1, 0, 0, 0)"
    after = ask(driver, logit)
    ask(driver, "await eyesight.show(values[0])", PICTURES[0])
    assert after == ask(driver, logit), "the maps must be those of the whole picture again"
    assert len(before) == 5


def test_below_the_threshold_the_answer_is_unsure(driver, digits_page: Path) -> None:
    show(driver, digits_page)
    code = "return [await eyesight.show(values[0]), document.getElementById('answer').textContent]"
    found = {}
    for level in (0, 40, 80, 120, 160, 200, 255):
        shares, answer = ask(driver, code, np.full((8, 8, 1), level, np.uint8))
        found[max(shares)] = answer.startswith("unsure (perhaps ")
    assert any(found.values())
    for share, unsure in found.items():
        assert unsure == (share < 0.6)


def test_the_page_is_used_with_the_keyboard_alone(driver, digits_page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(driver, digits_page)
    driver.find_element("css selector", "#examples button").send_keys(Keys.ENTER)
    wait_for(driver, "#answer", "%")
    assert text(driver, "#told") == text(driver, "#answer")  # what a screen reader hears
    driver.find_element("css selector", ".maps button").send_keys(Keys.ENTER)
    first = text(driver, ".inspector .cell")
    ActionChains(driver).send_keys(Keys.ARROW_DOWN).send_keys(Keys.ARROW_RIGHT).perform()
    row, column = re.search(r"row (\d+), column (\d+)", first).groups()
    assert f"row {int(row) + 1}, column {int(column) + 1}" in text(driver, ".inspector .cell")
    ActionChains(driver).send_keys(Keys.ESCAPE).perform()
    assert not driver.find_elements("css selector", ".inspector")
    assert driver.switch_to.active_element.get_attribute("aria-label").startswith("look into map 1")


def test_everything_that_can_be_reached_has_a_name(driver, digits_page: Path) -> None:
    show(driver, digits_page)
    driver.find_element("css selector", "#examples button").click()
    driver.find_element("css selector", ".maps button").click()
    nameless = ask(
        driver,
        """const named = (e) => e.textContent.trim() || e.getAttribute("aria-label")
        || e.getAttribute("aria-labelledby") || e.labels?.length || e.querySelector("img")?.alt;
      return [...document.querySelectorAll("button, select, input, canvas[tabindex], [role=img]")]
        .filter((e) => !named(e)).map((e) => e.outerHTML)""",
    )
    assert nameless == []


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_sticks_out_on_a_phone(driver, digits_page: Path, width: int) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        show(driver, digits_page)
        driver.find_element("css selector", "#examples button").click()
        driver.find_element("css selector", ".maps button").click()
        assert ask(driver, "return document.documentElement.scrollWidth") <= width
        assert text(driver, "#short") == text(driver, "#answer")  # beside what is drawn, as the answer is out of sight
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def seen_levels(driver: Any) -> np.ndarray:
    """Return the bytes (8, 8) that the network on the open page has been given."""
    code = (
        "const n = await eyesight.network(); return Array.from(n.channel(0, 0), (x) => (x - n.shift[0]) / n.scale[0])"
    )
    return np.array(ask(driver, code)).reshape(8, 8)


def test_drawn_strokes_are_answered(driver, digits_page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(driver, digits_page)
    canvas = driver.find_element("css selector", ".drawing")
    driver.execute_script("arguments[0].scrollIntoView()", canvas)
    chain = ActionChains(driver).move_to_element_with_offset(canvas, 0, -80).click_and_hold()
    chain.move_by_offset(0, 80).move_by_offset(0, 80).release().perform()
    wait_for(driver, "#answer", "%")
    levels = seen_levels(driver)
    assert levels[:, 3:5].max() > 100
    assert levels[:, [0, 7]].max() < 100
    driver.find_element("css selector", "#draw button").click()  # clear
    canvas.send_keys(" ", *[Keys.ARROW_LEFT] * 6, " ")
    levels = seen_levels(driver)
    assert levels[3:5, 2].max() > 50
    assert levels[[0, 7]].max() < 50


def test_the_camera_is_answered_until_it_is_stopped(driver, digits_page: Path) -> None:
    show(driver, digits_page)
    button = driver.find_element("id", "camera")
    button.click()
    wait_for(driver, "#answer", "%")
    assert button.text == "Stop the camera"
    button.click()
    assert button.text == "Use the camera"

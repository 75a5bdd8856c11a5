"""The page in a browser, if there is one: it loads, a molecule rotates, the filters filter, and nobody complains."""

from collections.abc import Callable
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from moldiff.metrics.html import run_report
from tests.metrics.html.parsed import HOSTILE


def test_the_page_works(
    browser: webdriver.Chrome, mine: Path, ethanol: Path, tmp_path: Path, shown: Callable[[], int]
) -> None:
    run_report([mine, mine.parent / "mine.sdf"], tmp_path / "report.html", str(ethanol))
    browser.get((tmp_path / "report.html").as_uri())
    assert "mine.sdf" in browser.title

    # Texts of the file are shown, and do nothing.
    assert browser.find_element(By.CSS_SELECTOR, ".head .title").text == f"{HOSTILE}0"
    assert browser.execute_script("return window.hacked") is None

    # The filters filter: of two files with 5 molecules, 3 are valid, 2 of these novel.
    assert shown() == 10
    click(browser, "valid")
    assert shown() == 6
    click(browser, "novel")
    assert shown() == 4
    assert browser.find_element(By.ID, "shown").text == "4 of 10 shown"
    least = browser.find_element(By.NAME, "least")
    least.clear()
    least.send_keys("0.99")
    assert shown() == 0
    browser.find_element(By.CSS_SELECTOR, "#filters button").click()
    WebDriverWait(browser, 5).until(lambda _: shown() == 10)

    # A molecule rotates.
    browser.find_element(By.CSS_SELECTOR, "#gallery .view").click()
    solid = browser.find_element(By.CSS_SELECTOR, "#gallery .solid")
    before, image = view(browser, solid), solid.screenshot_as_png
    ActionChains(browser).move_to_element(solid).click_and_hold().move_by_offset(50, 30).release().perform()
    after = view(browser, solid)
    assert sum(value * value for value in after[4:]) == pytest.approx(1.0)
    assert after[4:] != pytest.approx(before[4:], abs=0.1)  # the quaternion
    assert after[3] == pytest.approx(before[3])  # not the zoom
    WebDriverWait(browser, 5).until(lambda _: solid.screenshot_as_png != image)
    browser.find_element(By.CSS_SELECTOR, "#gallery .back").click()
    assert browser.find_elements(By.CSS_SELECTOR, ".solid") == []
    assert browser.find_element(By.CSS_SELECTOR, "#gallery .view").is_displayed()

    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []

    # The network is forbidden by the page itself.
    browser.execute_script("addEventListener('securitypolicyviolation', e => { window.refused = e.blockedURI })")
    browser.execute_script("fetch('http://127.0.0.1:9/').catch(() => 0)")
    WebDriverWait(browser, 5).until(lambda b: b.execute_script("return window.refused") == "http://127.0.0.1:9/")


@pytest.fixture
def shown(browser: webdriver.Chrome) -> Callable[[], int]:
    """Counts the cards that can be seen in the gallery."""
    script = "return [...document.querySelectorAll('#gallery .card')].filter(e => e.offsetParent !== null).length"
    return lambda: int(browser.execute_script(script))


def click(browser: webdriver.Chrome, name: str) -> None:
    browser.find_element(By.NAME, name).click()


def view(browser: webdriver.Chrome, solid: WebElement) -> list[float]:
    """Position, zoom and quaternion (x, y, z, w)."""
    return list(browser.execute_script("return arguments[0].viewer.getView()", solid))

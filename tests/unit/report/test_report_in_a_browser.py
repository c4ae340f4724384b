"""The page as a browser shows it: what a reader presses and types does what the page says, and nothing is fetched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from triplelake.report.model import Document, Mention, Report
from triplelake.report.page import page

ROOT = Path(__file__).resolve().parents[3]
_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (_BROWSER and _DRIVER), reason="needs a browser and its driver: apt-get install chromium chromium-driver"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = _BROWSER or ""
    options.add_argument("--headless=new")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # it refuses to have one as root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options, ChromeService(_DRIVER)) as browser:
        yield browser


@pytest.fixture
def shown(browser: Chrome, report: Callable[..., Report], tmp_path: Path) -> Chrome:
    """The report in the browser, in English."""
    file = tmp_path / "report.html"
    file.write_text(page(report(), "en", None), encoding="utf-8")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # of the page before: each call takes what it tells
    browser.get(file.as_uri())
    return browser


def seen(browser: Chrome, selector: str) -> list[WebElement]:
    """What a reader can see of it."""
    return [each for each in browser.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]


def documents(browser: Chrome) -> list[str]:
    return [each.text for each in seen(browser, ".document h3 code")]


def names(browser: Chrome) -> set[str]:
    """What is written into the graph."""
    return {each.text for each in seen(browser, ".graph text")}


def press(browser: Chrome, keys: str) -> WebElement:
    """Press keys, wherever the focus is, and tell where it is then."""
    ActionChains(browser).send_keys(keys).perform()
    return browser.switch_to.active_element


def test_the_keys_that_the_page_names(shown: Chrome) -> None:
    assert documents(shown) == ["卷一/a", "b", "c"]
    for key, title in (("j", "卷一/a"), ("j", "b"), ("k", "卷一/a")):
        assert press(shown, key).find_element(By.CSS_SELECTOR, "h3 code").text == title
    assert press(shown, "/").get_attribute("id") == "filter"
    # These letters are no keys here.
    press(shown, "LUnd")
    assert documents(shown) == ["b"]
    assert shown.find_element(By.ID, "hidden").text.startswith("2 ")
    press(shown, Keys.ESCAPE)
    assert documents(shown) == ["卷一/a", "b", "c"]


def test_a_relation_that_is_switched_off(shown: Chrome) -> None:
    def counts() -> tuple[int, int, int]:
        marks = [each for each in seen(shown, "mark") if each.get_attribute("class") != "off"]
        return len(seen(shown, ".triples li")), len(marks), len(seen(shown, ".line .seen"))

    everything = counts()
    assert everything[0] == 4 and everything[2] == 3
    [born] = shown.find_elements(By.CSS_SELECTOR, "#relations [data-r='0']")
    born.click()
    assert born.get_attribute("aria-pressed") == "false"
    assert counts()[0] == 2 and counts()[2] == 1
    shown.find_element(By.CSS_SELECTOR, "[data-all='0']").click()
    assert counts() == (0, 0, 0)
    shown.find_element(By.CSS_SELECTOR, "[data-all='1']").click()
    assert counts() == everything


def test_a_triple_points_at_its_places_in_the_text(shown: Chrome) -> None:
    first = shown.find_element(By.CSS_SELECTOR, ".triples li")
    ActionChains(shown).move_to_element(first).perform()
    assert {each.text for each in shown.find_elements(By.CSS_SELECTOR, "mark.on")} == {"林若兰", "临川城"}


def test_nothing_is_fetched_and_nothing_goes_wrong(shown: Chrome) -> None:
    told = [json.loads(entry["message"])["message"] for entry in shown.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in told if each["method"] == "Network.requestWillBeSent"]
    assert asked == [shown.current_url]
    # A style or a script that the page's own policy refuses would be here.
    assert shown.get_log("browser") == []


@pytest.mark.parametrize("width", [500, 1400])
def test_a_window_may_be_narrow(shown: Chrome, width: int) -> None:
    shown.set_window_size(width, 900)
    inner = shown.execute_script("return innerWidth")
    assert shown.execute_script("return document.documentElement.scrollWidth") <= inner


def test_a_picture_of_it_shows_the_triples_without_the_controls(
    shown: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "infra"))
    import pictures

    pictures.take(shown, tmp_path / "report.html", tmp_path / "report.png")
    assert documents(shown) == ["卷一/a", "b"] and seen(shown, ".graph")
    assert not seen(shown, "#filter") and not seen(shown, ".tiles")
    head = shown.find_element(By.TAG_NAME, "header").text
    assert "atom-7b-chat@0123456789ab" in head and "corpus.jsonl" not in head
    assert names(shown) == {"林若兰", "临川城", "云梦书院", "Edda Lund", "Harrow", "born_in", "employer"}
    with Image.open(tmp_path / "report.png") as picture:
        assert (picture.format, picture.mode) == ("PNG", "P")
        assert picture.width == shown.execute_script("return document.documentElement.clientWidth * devicePixelRatio")

    # A part of the graph is there as a whole or not at all, and the highest one is always there.
    for low in (100, 0):
        monkeypatch.setattr(pictures, "_GRAPH", low)
        pictures.take(shown, tmp_path / "report.html", tmp_path / "report.png")
        assert names(shown) == {"Edda Lund", "Harrow", "born_in"}


def test_a_picture_has_the_surest_text_of_each_language(
    browser: Chrome, report: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "infra"))
    import pictures

    def text(name: str, lang: str, *shares: float | None) -> Document:
        mentions = (Mention("Edda", "born_in", "Harrow", None, None, (), share) for share in shares)
        return Document(name, "", "Edda was born in Harrow.", lang, False, tuple(mentions))

    texts = (
        text("one is sure", "en", 0.99, 0.2),
        text("both are", "en", 0.6, 0.5),
        text("one alone", "en", 0.99),
        text("none", "zh-Hant"),
        text("unknown", "zh-Hant", None, None),
        text("as unknown", "zh-Hant", None, None),
    )
    (tmp_path / "report.html").write_text(page(report(documents=texts), "en", None), encoding="utf-8")
    pictures.take(browser, tmp_path / "report.html", tmp_path / "report.png")
    assert documents(browser) == ["both are", "unknown"]


def test_a_picture_without_a_graph(
    browser: Chrome, report: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "infra"))
    import pictures

    (tmp_path / "report.html").write_text(page(report(edges=()), "zh", None), encoding="utf-8")
    pictures.take(browser, tmp_path / "report.html", tmp_path / "report.png")
    assert documents(browser) == ["卷一/a", "b"] and (tmp_path / "report.png").is_file()

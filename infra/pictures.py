"""The pictures of README and its Chinese twin: what the report of `make demo` shows, as a browser draws it.

    python infra/pictures.py            # or: make pictures

Needs the tables of the demo, and chromium with its driver. Left out of a picture is what shows no triple:
counts, runs, failures, the controls. The facts and texts that it shows are those that the report chooses.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from triplelake.cli.report import report_command

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).resolve().parents[1]
DEMO = "out/demo"
"""As the page names it: below the folder of the checkout, where `make` runs."""

PICTURES = {"en": "report.png", "zh": "report.zh-CN.png"}
_TEXTS = 6
_SIZE = (1000, 4000)
"""Width and height of the window in CSS pixels; a picture is as high as what it shows."""

_LEAVE_OUT = """
const sections = [...document.querySelectorAll('main > section')];
for (const section of sections)
  if (!section.querySelector('.graph, .document')) section.remove();
for (const each of document.querySelectorAll('.tools')) each.remove();
"""


def main() -> int:
    browser_file = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver_file = shutil.which("chromedriver")
    if not (browser_file and driver_file):
        print("A browser draws the pictures: apt-get install chromium chromium-driver fonts-noto-cjk", file=sys.stderr)
        return 1
    if not Path(DEMO).is_dir():
        print("There is no output of the demo: make demo", file=sys.stderr)
        return 1
    with open_browser(browser_file, driver_file) as browser, tempfile.TemporaryDirectory() as folder:
        for lang, name in PICTURES.items():
            page = Path(folder) / f"{lang}.html"
            words = ["--output", DEMO, "--to", str(page), "--lang", lang, "--documents", str(_TEXTS)]
            if code := report_command(words):
                return code
            take(browser, page, ROOT / "docs" / name)
    return 0


def open_browser(browser_file: str, driver_file: str) -> Chrome:
    """A browser without a window."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = browser_file
    for word in ("--headless=new", "--hide-scrollbars", "--window-size={},{}".format(*_SIZE)):
        options.add_argument(word)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # it refuses to have one as root
    return Chrome(options, ChromeService(driver_file))


def take(browser: Chrome, page: Path, to: Path) -> None:
    """Draw the report, without what is left out, into a PNG file."""
    browser.get(page.as_uri())
    browser.execute_script(_LEAVE_OUT)
    browser.find_element("css selector", "body").screenshot(str(to))


if __name__ == "__main__":
    sys.exit(main())

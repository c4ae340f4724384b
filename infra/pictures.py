"""The pictures of README and its Chinese twin: what the report of `make demo` shows, as a browser draws it.

    python infra/pictures.py            # or: make pictures

Needs the tables of the demo, and chromium with its driver. A picture has the first parts of the graph, and of each
language the text whose triples are surest: the demo lists facts by confidence, too. Whether a triple is right by gold
does not count. All else of the report is left out: counts, runs, failures, hints for keys and pointer, the place of
the input.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from triplelake.cli.report import report_command

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).resolve().parents[1]
DEMO = "out/demo"
"""As the page names it: below the folder of the checkout, where `make` runs."""

PICTURES = {"en": "report.png", "zh": "report.zh-CN.png"}
_TEXTS = 100
"""Texts among which the surest are looked for: all of the demo."""

_TRIPLES = 2
"""A text with fewer triples is shown only where a language has no other."""

_GRAPH = 300
"""How far down the drawing of the graph its parts are shown, in the units of the drawing."""

_SIZE = (960, 2000)
"""Width and height of the window in CSS pixels. GitHub shows a picture some 830 wide; it is as high as its content."""

_SHARP = 2
"""Pixels of a picture per CSS pixel, as screens with small pixels have them."""

_COLOURS = 256
"""As many as the palette of a PNG can have."""

_LEAVE_OUT = """
const [low, atLeast] = arguments;
document.body.style.display = 'flow-root';  // the margins of what is first and last belong to the picture
for (const section of document.querySelectorAll('main > section'))
  if (!section.querySelector('.graph, .document')) section.remove();
// Of the facts about the run only the model stays: it alone has a title.
const rest = '.tools, header > .quiet, section > .quiet, dl.facts > div:not(:has([title]))';
for (const each of document.querySelectorAll(rest)) each.remove();
const surest = new Map();
for (const text of document.querySelectorAll('.document')) {
  const shares = [...text.querySelectorAll('.triples li')].map((each) => {
    const told = each.querySelector('[title]');
    return told ? parseInt(told.textContent) : 0;
  });
  const sure = shares.length < atLeast ? shares.length - atLeast : Math.min(...shares);
  if (!(surest.get(text.lang)?.sure >= sure)) surest.set(text.lang, {text, sure});
}
for (const text of document.querySelectorAll('.document')) if (surest.get(text.lang).text !== text) text.remove();
const graph = document.querySelector('.graph');
if (graph) {
  const nodes = new Map(), lines = [];
  for (const circle of graph.querySelectorAll('circle')) {
    const place = `${circle.getAttribute('cx')} ${circle.getAttribute('cy')}`;
    nodes.set(place, {g: circle.parentNode, y: +circle.getAttribute('cy'), near: []});
  }
  for (const line of graph.querySelectorAll('.line .seen')) {
    const [x1, y1, x2, y2] = ['x1', 'y1', 'x2', 'y2'].map((name) => line.getAttribute(name));
    const from = nodes.get(`${x1} ${y1}`), to = nodes.get(`${x2} ${y2}`);
    lines.push({g: line.parentNode, from});
    from.near.push(to);
    to.near.push(from);
  }
  // A part stays where all of it stands high enough, and the highest one stays always.
  for (const node of nodes.values()) {
    const part = new Set([node]);
    for (const each of part) each.near.forEach((other) => part.add(other));
    node.end = Math.max(...[...part].map((each) => each.y));
  }
  const last = Math.max(low, Math.min(...[...nodes.values()].map((node) => node.end)));
  for (const line of lines) if (line.from.end > last) line.g.remove();
  for (const node of nodes.values()) if (node.end > last) node.g.remove();
  const box = graph.getBBox();
  graph.setAttribute('viewBox', [box.x - 4, box.y - 4, box.width + 8, box.height + 8].join(' '));
}
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
    size = "--window-size={},{}".format(*_SIZE)
    for word in ("--headless=new", "--hide-scrollbars", size, f"--force-device-scale-factor={_SHARP}"):
        options.add_argument(word)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # it refuses to have one as root
    return Chrome(options, ChromeService(driver_file))


def take(browser: Chrome, page: Path, to: Path) -> None:
    """Draw the report, without what is left out, into a PNG file."""
    browser.get(page.as_uri())
    browser.execute_script(_LEAVE_OUT, _GRAPH, _TRIPLES)
    drawn = Image.open(io.BytesIO(browser.find_element("css selector", "body").screenshot_as_png))
    # A palette takes a third of the room. The rounds of k-means put its colours where most pixels are, so that the
    # large areas keep theirs.
    palette = drawn.convert("RGB").quantize(_COLOURS, kmeans=3, dither=Image.Dither.NONE)
    palette.save(to, optimize=True)


if __name__ == "__main__":
    sys.exit(main())

"""The terminal: each line is printed as it is meant, and no text of others can steer it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_KEPT = "\n\t"
_PICTURES = 0x2400  # ␀ and the others stand in the order of what they picture
_REPLACEMENT = 0xFFFD
_C0, _DELETE, _C1 = range(0x20), 0x7F, range(0x80, 0xA0)
# They reverse or hide what stands around them, so that a line shows another text than it holds; and two line ends.
_REORDERING = (*range(0x2028, 0x202F), *range(0x2066, 0x206A))
_VISIBLE = {
    **{code: _PICTURES + code for code in _C0 if chr(code) not in _KEPT},
    _DELETE: 0x2421,
    **dict.fromkeys((*_C1, *_REORDERING, *range(0xD800, 0xE000)), _REPLACEMENT),
}


class Terminal(Console):
    """A console on which control characters of documents, models and paths are shown and never act.

    What rich itself writes (colours, the movements of a bar) is not text and passes.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or (segment.text.isascii() and segment.text.isprintable()):
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


def terminal(*, stderr: bool = False, file: TextIO | None = None, width: int | None = None) -> Console:
    """The console that a command prints to: every one is made here."""
    # In a notebook rich would show what is meant for a file, and to it `:cat:` would be a picture, also within a path.
    return Terminal(stderr=stderr, file=file, width=width, emoji=False, force_jupyter=None if file is None else False)


def say(console: Console, text: str, *, style: str | None = None) -> None:
    """Print a line: brackets in a text or a path are no markup, nothing is coloured, and a pipe gets it unbroken."""
    # Before rich sees it: of some control characters it leaves nothing to be shown.
    console.print(visible(text), style=style, highlight=False, markup=False, soft_wrap=True)


def visible(text: str) -> str:
    """A text with its control characters made visible: ␛ for ESC, � for what has no picture; line ends and tabs stay.

    Also those that reorder the line (bidi overrides), and halves of characters, which no terminal can be sent.
    """
    return text.replace("\r\n", "\n").translate(_VISIBLE)


def log_to_terminal() -> None:
    """Send warnings of the program's loggers to stderr, a line for each, made visible."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Visible("%(levelname)s %(message)s"))
    # What it logs it raises, too; and a signal would leave a traceback.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _Visible(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))

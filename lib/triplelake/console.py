"""A line on the terminal as it is meant."""

from __future__ import annotations

from rich.console import Console


def say(console: Console, text: str, *, style: str | None = None) -> None:
    """Print a line: brackets in a text or a path are no markup, nothing is coloured, and a pipe gets it unbroken."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

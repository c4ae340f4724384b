"""What a training has told so far: `log.jsonl` of its folder, from which the plot is drawn and it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Log:
    """Lines of a training: each has `step` and `seconds`; some have `loss`, those of a look `held_loss` and `f1`.

    Args:
        step: of a state that is gone on from; what was told after it is forgotten.
    """

    def __init__(self, file: Path, step: int = 0) -> None:
        self._file = file
        self._lines: list[Mapping[str, Any]] = [each for each in _read(file) if each["step"] <= step]
        part = file.with_suffix(".part")
        part.write_text("".join(map(_line, self._lines)), encoding="utf-8")
        part.replace(file)

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a line, to be seen at once."""
        self._lines.append(line)
        with self._file.open("a", encoding="utf-8") as out:
            out.write(_line(line))

    @property
    def lines(self) -> Sequence[Mapping[str, Any]]:
        """In their order."""
        return self._lines

    @property
    def seconds(self) -> float:
        """Spent until the last line."""
        return float(self._lines[-1]["seconds"]) if self._lines else 0.0

    @property
    def looks(self) -> Sequence[Mapping[str, Any]]:
        """Lines of looks at dev texts."""
        return [each for each in self._lines if "held_loss" in each]

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The look with the best F1; where none was asked, with the least loss."""
        return max(self.looks, key=worth, default=None)

    @property
    def in_vain(self) -> int:
        """Looks since the best one."""
        best = self.best
        return 0 if best is None else sum(each["step"] > best["step"] for each in self.looks)


def worth(look: Mapping[str, Any]) -> tuple[float, float]:
    """How good a look was: the larger the better; of equal F1 the one with less loss."""
    return float(look.get("f1", 0.0)), -float(look["held_loss"])


def _read(file: Path) -> list[Mapping[str, Any]]:
    if not file.is_file():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # torn where an earlier command was killed
    return found


def _line(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"

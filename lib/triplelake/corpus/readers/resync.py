"""Where a damaged JSON file goes on: the start of the next item after one that cannot be read.

JSON has no mark that only stands between items, so the next one is told by how the items stand. Where each begins a
line, the next begins a line with as much space before it. Elsewhere it has the keys that items had, and stands outside
of all brackets that opened since the damage, unless no item so far held an object that could be taken for one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]', re.DOTALL)
_FIRST_KEY = re.compile(r'\{\s*"((?:[^"\\]|\\.)*+)"')
_ANY = "\0"  # where no object was damaged, brackets can be trusted whatever the keys
_KEY_SETS = 100
_BUDGET = 1 << 27  # characters looked at in vain, in a whole file: else one made for it costs the square of its size

Scan = Callable[[str, int], tuple[object, int]]


class AtEdge(Exception):
    """More of the file must be seen from the candidate at `position` on before it can be judged."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class Habits:
    """How the items of a file have stood so far."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._keys: set[frozenset[str]] = set()
        self._flat = True
        self._budget = _BUDGET

    def learn(self, value: object) -> None:
        """An item that was read."""
        if isinstance(value, dict):
            if len(self._keys) < _KEY_SETS:
                self._keys.add(frozenset(value))
            self._flat = self._flat and not any(isinstance(each, dict | list) for each in value.values())

    def next_item(self, text: str, start: int, after: int, indent: str | None, *, ended: bool) -> int | None:
        """Where the next item begins.

        Args:
            text: what is seen of the file.
            start: where the damaged item begins.
            after: where to look from; no candidate before it is left.
            indent: the space before the damaged item in its line; None where it does not begin one.
            ended: `text` goes to the file's end.

        Raises:
            AtEdge: that cannot be said yet.
        """
        opening = text[start : start + 1]
        first = _FIRST_KEY.match(text, start)
        key = first[1] if first else None if opening == "{" else _ANY
        wanted = opening if opening in ("{", '"') else "{" if self._keys else '{"'
        depth = _Depth(text, start)
        for at in _candidates(text, max(after, start + 1), wanted):
            if indent is not None:
                if _indent(text, at) != indent:
                    continue
            elif not (self._keys and self._flat and text[at] == "{") and not depth.outside(at):
                continue
            if self._is_item(text, at, key, indent, ended):
                return at
        return None

    def _is_item(self, text: str, at: int, key: str | None, indent: str | None, ended: bool) -> bool:
        if self._budget <= 0:
            return False
        try:
            value, end = self._scan(text, at)
        except json.JSONDecodeError as error:
            if not ended and (error.pos >= len(text) - 10 or error.msg.startswith("Unterminated string")):
                raise AtEdge(at) from None
            self._budget -= max(1, error.pos - at)
            return False
        except RecursionError:
            self._budget -= 1000
            return False
        following = text[end : end + 64].lstrip()[:1]
        if not following and not ended:
            raise AtEdge(at)
        if following not in (",", "]", "{", "") or (following == "{" and not isinstance(value, dict)):
            return False
        if indent is not None or not isinstance(value, dict):
            return True
        return frozenset(value) in self._keys if self._keys else key in (_ANY, next(iter(value), None))


class _Depth:
    """Brackets that are open since a position, as far as strings can be told from what is none."""

    def __init__(self, text: str, start: int) -> None:
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text, start)
        self._next = next(self._tokens, None)
        self._depth = 0
        self._end = start

    def outside(self, position: int) -> bool:
        """Whether none is open; positions ascend."""
        while self._next is not None and self._next.start() < position:
            token = self._next.group()
            self._depth += 1 if token in "{[" else -1 if token in "}]" else 0
            self._end = self._next.end()
            self._next = next(self._tokens, None)
        return self._depth == 0 and self._end <= position


def _candidates(text: str, start: int, wanted: str) -> Iterator[int]:
    """Where an item may begin: after a comma or an item, or at the start of a line."""
    for found in re.compile(f"[{wanted}]").finditer(text, start):
        at = found.start()
        before = text[max(0, at - 1000) : at].rstrip(" \t\r\n")
        line = "\n" in text[max(0, at - 1000) + len(before) : at]
        if line or before[-1:] == "," or (before[-1:] == "}" and found.group() == "{"):
            yield at


def _indent(text: str, at: int) -> str | None:
    line = text.rfind("\n", max(0, at - 1000), at) + 1
    space = text[line:at]
    return space if line and not space.strip(" \t\r") else None


def decoder(hook: Callable[[list[tuple[str, object]]], dict[str, object]]) -> Scan:
    """What reads one value. Python limits the digits of an int that it reads; a Decimal has no such limit."""
    return json.JSONDecoder(parse_int=Decimal, object_pairs_hook=hook).raw_decode

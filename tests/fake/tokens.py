"""A tokeniser whose tokens can be turned back into text, so that a prompt of ids can be read.

A token is a special token, a line break, up to four other ASCII characters, or one other code point.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

SPECIAL = {
    "<pad>": 0,
    "<eos>": 1,
    "<bos>": 2,
    "<|im_start|>": 3,
    "<|im_end|>": 4,
    "<start_of_turn>": 105,
    "<end_of_turn>": 106,
    "</s>": 212,
}
"""Texts of the special tokens, and their ids."""

BOS, BOS_ID = "<bos>", SPECIAL["<bos>"]
EOS = "<eos>"

_CODE_POINTS = 1_000
_ASCII = 1_200_000
N_VOCAB = _ASCII + 2**28
"""Ids are below it."""

_PLAIN = r"\n|[\x00-\x09\x0b-\x7f]{1,4}|[^\x00-\x7f]"
_TOKEN = re.compile(_PLAIN)
_SPECIAL_TEXT = re.compile("|".join(map(re.escape, SPECIAL)))
_TEXT_OF = {number: text for text, number in SPECIAL.items()}


def tokenize(text: str, *, special: bool) -> list[int]:
    """Ids of a text; with `special` the texts of special tokens are read as these."""
    if not special:
        return [_id(piece) for piece in _TOKEN.findall(text)]
    ids: list[int] = []
    for plain, found in _parts(text):
        ids += [_id(piece) for piece in _TOKEN.findall(plain)]
        if found:
            ids.append(SPECIAL[found])
    return ids


def count(text: str) -> int:
    """How many tokens a text has, special ones read as such.

    The prefix that all prompts share is counted once: a line break ends every token.
    """
    head, gap, tail = text.rpartition("\n\n")
    return _count(head) + 2 * bool(gap) + _count_now(tail)


def cut(text: str, tokens: int) -> str:
    """The first tokens of an answer, which holds no special ones."""
    return "".join(_TOKEN.findall(text)[:tokens])


def is_token(number: int) -> bool:
    """Whether an id stands for a text."""
    return number in _TEXT_OF or _CODE_POINTS <= number < N_VOCAB


def piece(number: int) -> str:
    """The text of an id."""
    if number in _TEXT_OF:
        return _TEXT_OF[number]
    if number < _ASCII:
        return chr(number - _CODE_POINTS)
    packed = number - _ASCII
    return bytes(part for shift in (0, 7, 14, 21) if (part := packed >> shift & 0x7F)).decode("ascii")


def join(ids: Iterable[int]) -> str:
    """The text of ids."""
    return "".join(map(piece, ids))


@lru_cache(maxsize=256)
def _count(text: str) -> int:
    return _count_now(text)


def _count_now(text: str) -> int:
    if "<" not in text:
        return len(_TOKEN.findall(text))
    return sum(len(_TOKEN.findall(plain)) + bool(found) for plain, found in _parts(text))


def _parts(text: str) -> Iterable[tuple[str, str]]:
    """Stretches of plain text, each with the special token behind it; the last has none."""
    at = 0
    for match in _SPECIAL_TEXT.finditer(text):
        yield text[at : match.start()], match.group()
        at = match.end()
    yield text[at:], ""


def _id(text: str) -> int:
    first = ord(text[0])
    if first >= 0x80:
        return _CODE_POINTS + first
    # NUL would vanish in the packing; it never stands in a prompt.
    return _ASCII + sum(ord(char) << (7 * place) for place, char in enumerate(text))

"""How the texts of a request are read: wrapped lines joined, and which of their edges the program made.

Prompt, grammar and grounding all read a text through here, so that what a model is shown, what it may say and what
is looked for are the same. Offsets always lead back to the text as it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import regex

from triplelake.types import Request, SpanSource

_LINE_END = r"(?:\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029])"
LINE_END = regex.compile(_LINE_END)
_BREAK = regex.compile(rf"[ \t\u3000]*{_LINE_END}\s*")
_CLOSERS = r"[”’\"'」』）)】\]》〉]"

# A line end inside a paragraph: the line is as long as hard-wrapped lines are, it does not end as a
# sentence does, and the next line starts neither indented nor as an item of a list.
_WRAP_COLUMNS = range(40, 121)
_WIDE = regex.compile(r"[\u1100-\uFFFF]")
_ENDS_LIKE_SENTENCE = regex.compile(rf"[.。！？!?…:：；;]{_CLOSERS}*\s*$")
_STARTS_ANEW = regex.compile(
    r"\s|[-*•·●■◆#>|+=~]|[(（]?(?:\d{1,3}|[一二三四五六七八九十]{1,3})[.、)）:：]|第[\d一二三四五六七八九十百]+[章节節条條回]"
)

# Scripts that are written without spaces, with their punctuation: nothing stands where a line of theirs was broken.
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\u3000-\u303F\uFF01-\uFF0F\uFF1A-\uFF20“”‘’…—·々〇]")
_HYPHENATED = regex.compile(r"\p{L}[-\u2010\u00AD]")
_SMALL = regex.compile(r"\p{Ll}")

_IN_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]")
_HARD_CUT = 48
"""Characters without space or punctuation before the end of a chunk from which on the chunker is taken to have cut
there: it does so only where many tokens of text leave it nothing better."""
_LONG_JOINED = 24
"""The same on both sides of where context and chunk meet, which tells more."""
_LONG_RUN = regex.compile(rf"[\p{{L}}\p{{N}}\p{{M}}]{{{_HARD_CUT}}}\Z")


def join_lines(text: str) -> str:
    """Text with its line ends taken out: nothing between Han characters, else one space.

    A hyphen at the end of a line before a small letter goes too. Applied to the code points of a span it gives the
    name that the span stands for.
    """
    if not LINE_END.search(text):
        return text
    parts = []
    here = 0
    for start, end, between in _joints(text):
        parts += [text[here:start], between]
        here = end
    return "".join([*parts, text[here:]])


def is_wrapped(text: str, line: int, end: int, following: int) -> bool:
    """Whether the line `text[line:end]` goes on in the line that begins at `following`."""
    if following >= len(text) or end - line > _WRAP_COLUMNS.stop:
        return False
    content = text[line:end]
    if len(content) + len(_WIDE.findall(content)) not in _WRAP_COLUMNS:
        return False
    return not _ENDS_LIKE_SENTENCE.search(content) and not _STARTS_ANEW.match(text, following)


def _joints(text: str) -> Iterator[tuple[int, int, str]]:
    """Of each line end what goes, from where to where, and what stands in its place."""
    for found in _BREAK.finditer(text):
        start, end = found.span()
        if start == 0 or end == len(text):
            yield start, end, ""
        elif start > 1 and _HYPHENATED.match(text, start - 2) and _SMALL.match(text, end):
            yield start - 1, end, ""
        elif _UNSPACED.match(text, start - 1) and _UNSPACED.match(text, end):
            yield start, end, ""
        else:
            yield start, end, " "


@dataclass(frozen=True, slots=True)
class _Joint:
    """At `at` of the joined text `shift` code points more of the original text have gone by than of the joined one."""

    at: int
    shift: int


class Reading:
    """A text as it is read.

    Args:
        original: the text as it came.
        before: what precedes it in the document, as far as known: it tells how long the first line is.
        cut_start, cut_end: the text begins or ends where the program cut it inside a word, so that no entity may
            begin or end there.
    """

    def __init__(self, original: str, before: str = "", *, cut_start: bool = False, cut_end: bool = False) -> None:
        self.original = original
        self.cut_start = cut_start
        self.cut_end = cut_end
        self._before = before

    @property
    def text(self) -> str:
        """The text with its wrapped lines joined; other line ends stay."""
        return self._joined[0]

    def interval(self, start: int, end: int) -> tuple[int, int]:
        """The code points of the original that `text[start:end]` was made of."""
        joints = self._joined[1]
        first = max((joint.shift for joint in joints if joint.at <= start), default=0)
        last = max((joint.shift for joint in joints if joint.at < end), default=0)
        return start + first, end + last

    @cached_property
    def _joined(self) -> tuple[str, tuple[_Joint, ...]]:
        text = self.original
        if not LINE_END.search(text):
            return text, ()
        whole, base = self._before + text, len(self._before)
        wrapped = {found.start() - base for found in _wrapped_ends(whole)}
        parts: list[str] = []
        joints: list[_Joint] = []
        here = length = 0
        for start, end, between in _joints(text):
            if start == 0 or end == len(text) or not any(at in wrapped for at in range(start, end)):
                continue
            parts += [text[here:start], between]
            length += start - here + len(between)
            # What stands in the place of a line end counts as a part of what went.
            joints.append(_Joint(length - len(between), end - length))
            here = end
        return "".join([*parts, text[here:]]), tuple(joints)


def _wrapped_ends(text: str) -> Iterator[regex.Match[str]]:
    line = 0
    for found in LINE_END.finditer(text):
        if is_wrapped(text, line, found.start(), found.end()):
            yield found
        line = found.end()


def _is_cut_between(context: str, text: str) -> bool:
    """Whether the chunker cut where context and text meet: inside a run so long that it had no better place."""
    head, tail = text[:_LONG_JOINED], context[-_LONG_JOINED:]
    left = next((n for n, char in enumerate(reversed(tail)) if not _IN_WORD.match(char)), len(tail))
    right = next((n for n, char in enumerate(head) if not _IN_WORD.match(char)), len(head))
    return bool(left and right) and left + right >= _LONG_JOINED


def readings(request: Request) -> dict[SpanSource, Reading]:
    """How chunk, title and context of a request are read, in the order in which surfaces are looked for."""
    text, context = request.text, request.context
    inside = _is_cut_between(context, text)
    # The chunker begins a context at a boundary; only where a word fills all of it has it none.
    unbroken = inside and all(map(_IN_WORD.match, context))
    return {
        "chunk": Reading(
            text, context, cut_start=inside, cut_end=_LONG_RUN.match(text, max(0, len(text) - _HARD_CUT)) is not None
        ),
        "title": Reading(request.title),
        "context": Reading(context, cut_start=unbroken, cut_end=inside),
    }

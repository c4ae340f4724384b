"""Where paragraphs and sentences end, as offsets that tile the text.

`sentencex` finds most sentence ends, in Chinese and English alike. Its time grows with the square of
the text, so it is shown a paragraph at a time, and a long paragraph in windows. The rules here add
what it lacks (；, ……, an end inside brackets) and take back what it gets wrong (《为什么？》, `1.` of a
list, `No. 5`, `U.S.` before Chinese, a combining mark after the end).
"""

from __future__ import annotations

from collections.abc import Iterator

import regex
import sentencex

from triplelake.readings import is_wrapped

_LINE_END = r"(?:\r\n|[\n\v\f\r\x85\u2028\u2029])"
_BREAK = regex.compile(rf"{_LINE_END}(?P<blank>\s*{_LINE_END})?")
_CLOSERS = r"[”’\"'」』）)】\]》〉]"

_HAS_END = regex.compile(r"[.!?。！？…；．｡]")
_MORE_ENDS = regex.compile(
    rf"；{_CLOSERS}*|(?<=[\p{{Han}}，。！？”」』])…+{_CLOSERS}*(?=[\p{{Han}}“「『《（])|[。！？…；][”’」』）】)\]]+"
)
_SPACE = regex.compile(r"\s*")
_CLOSING = "”’」』）】)]"
_ONLY_OUTSIDE = _CLOSING + "；…"  # what ends no sentence while a quotation or a bracket is open
_PAIRS = ("“”", "「」", "『』", "《》", "（）", "【】", "()", "[]")
_JOINS_LEFT = regex.compile(r"[\p{M}\p{Grapheme_Extend}\u200D”’」』）】)\]]")
_NUMBERED = regex.compile(r"(?:^|\s)[(（]?\d{1,3}[.)）]$")
_TITLE = regex.compile(r"(?<![A-Za-z])(?:Dr|Mr|Mrs|Ms|Prof|St|Gen|Sen|Gov|Capt|Lt|Col)\.$")
_INITIAL = regex.compile(r"(?<![A-Za-z])[A-Z]\.$")
_BEFORE_NUMBER = regex.compile(r"(?<![A-Za-z])(?:approx|ca|No|Nos|no|Fig|Figs|fig|Vol|vol|pp|p|Art|Sec|Ch|Eq|op)\.$")
_BEFORE_HAN = regex.compile(r"(?<![A-Za-z])(?:Inc|Ltd|Co|Corp|Jr|Sr|vs|No|Vol)\.$")
_HAN = regex.compile(r"\p{Han}")

_WINDOW = 1000
_MARGIN = 16


def paragraph_ends(text: str) -> Iterator[int]:
    """The ends of the paragraphs, ascending; blank lines belong to the paragraph before them.

    A paragraph ends with its line, as in most Chinese text, unless the line was wrapped by hand.
    """
    line = 0
    for found in _BREAK.finditer(text):
        if found["blank"] or not is_wrapped(text, line, found.start(), found.end()):
            yield found.end()
        line = found.end()
    if line < len(text):
        yield len(text)


def sentence_ends(text: str, start: int, end: int) -> Iterator[int]:
    """The ends of the sentences of the paragraph `text[start:end]`, ascending; the last is `end`.

    Space after a sentence belongs to it. No end stands inside a grapheme.
    """
    if not _HAS_END.search(text, start, end):
        yield end
        return
    here = start
    window = start
    while True:
        window_end = min(end, window + _WINDOW)
        last = window_end == end
        # Near the window's edge the closing quotes may be missing: what stands there is seen again.
        safe = window_end if last else window_end - _MARGIN
        for bound in _candidates(text, window, window_end):
            if bound >= safe:
                break
            if here < bound and _may_end(text, here, bound):
                yield bound
                here = bound
        if last:
            yield end
            return
        window = here if here > window else safe


def _candidates(text: str, start: int, end: int) -> list[int]:
    found = [start + item["end_index"] for item in sentencex.get_sentence_boundaries("en", text[start:end])]
    found += [match.end() for match in _MORE_ENDS.finditer(text, start, end)]
    return sorted({_after_space(text, bound, end) for bound in found})


def _after_space(text: str, bound: int, end: int) -> int:
    space = _SPACE.match(text, bound, end)
    return space.end() if space else bound


def _may_end(text: str, here: int, bound: int) -> bool:
    """Whether the sentence that began at `here` may end at `bound`."""
    following = text[bound]
    sentence = text[max(here, bound - _WINDOW) : bound]  # bounded: a sentence may be megabytes long
    left = sentence.rstrip()
    if not left or _JOINS_LEFT.match(following):
        return False
    if left[-1] in "》〉":  # an end inside a work's title
        return False
    if left[-1] in _ONLY_OUTSIDE and any(left.count(pair[0]) > left.count(pair[1]) for pair in _PAIRS):
        return False
    return left[-1] not in ".)）" or not _is_abbreviation(left[-12:], following, spaced=len(left) < len(sentence))


def _is_abbreviation(tail: str, following: str, *, spaced: bool) -> bool:
    """Whether the full stop or bracket that ends `tail` belongs to a short form or to the number of an item."""
    if not spaced and tail[-1] == "." and following.isascii() and following.isalnum():
        return True
    return bool(
        _NUMBERED.search(tail)
        or _TITLE.search(tail)
        or (following.isupper() and _INITIAL.search(tail))
        or (following.isdigit() and _BEFORE_NUMBER.search(tail))
        or (_HAN.match(following) and _BEFORE_HAN.search(tail))
    )

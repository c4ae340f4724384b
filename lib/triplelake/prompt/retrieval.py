"""Examples that are shown because they are like the text that is asked about.

Likeness is BM25 (Robertson and Zaragoza 2009; the library bm25s) over pairs of Chinese characters and over words of
other scripts. Retrieved examples stand behind the fixed ones, so that the fixed beginning of a prompt stays in the
servers' caches; the likest stands last, next to the question.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import regex

from triplelake.prompt.fewshot import Example
from triplelake.types import Lang, Request

if TYPE_CHECKING:
    import bm25s

_SPARE = 8
"""Examples looked at besides those that are shown: some are the text itself."""

_MAKING = threading.Lock()
_INDEXES: dict[tuple[str, Lang], bm25s.BM25] = {}

_RUN = regex.compile(r"\p{Han}+|[^\W\p{Han}]+")


class Gallery:
    """Examples of which each request is shown the likest.

    It can be pickled to a worker, where each process makes the index when it is first needed.

    Args:
        examples: by language.
        shots: shown of them for a request.
    """

    def __init__(self, examples: Mapping[Lang, Sequence[Example]], shots: int) -> None:
        self._examples = {lang: tuple(each) for lang, each in examples.items() if each}
        self.shots = shots

    def of(self, lang: Lang) -> tuple[Example, ...]:
        """All examples of a language."""
        return self._examples.get(lang, ())

    def nearest(self, request: Request) -> tuple[Example, ...]:
        """The examples that are likest to a request's text, the likest last; none that has nothing in common with it.

        An example that holds the text, or that the text holds, is left out: its answer would be the question's.
        """
        examples = self._examples.get(request.lang, ())
        asked = grams(request.text)
        if not examples or not asked:
            return ()
        own = _squeezed(request.text)
        wanted = min(self.shots + _SPARE, len(examples))
        ranks, scores = self._index(request.lang).retrieve([asked], k=wanted, show_progress=False)
        found = [
            examples[rank]
            for rank, score in zip(ranks[0], scores[0], strict=True)
            if score > 0 and own not in (there := _squeezed(examples[rank].text)) and there not in own
        ]
        return tuple(reversed(found[: self.shots]))

    def _index(self, lang: Lang) -> bm25s.BM25:
        return _made(self._digest, lang, self._examples[lang])

    @cached_property
    def _digest(self) -> str:
        rows = [[lang, *map(astuple, examples)] for lang, examples in sorted(self._examples.items())]
        return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()

    def __getstate__(self) -> dict[str, object]:
        return {"_examples": self._examples, "shots": self.shots}


def grams(text: str) -> list[str]:
    """Pairs of neighbouring Chinese characters, and words of other scripts, in lower case."""
    return list(_grams(text.casefold()))


def _grams(text: str) -> Iterator[str]:
    for match in _RUN.finditer(text):
        run = match.group()
        if regex.match(r"\p{Han}", run) and len(run) > 1:
            yield from (first + second for first, second in pairwise(run))
        else:
            yield run


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _made(digest: str, lang: Lang, examples: Sequence[Example]) -> bm25s.BM25:
    """The index of examples, made once per process: tasks come and go, and threads ask at the same time."""
    with _MAKING:
        if (index := _INDEXES.get((digest, lang))) is None:
            # Imported late: it takes a third of a second, which tasks without examples need not wait for.
            import bm25s

            index = _INDEXES[digest, lang] = bm25s.BM25()
            index.index([grams(example.text) or [""] for example in examples], show_progress=False)
        return index

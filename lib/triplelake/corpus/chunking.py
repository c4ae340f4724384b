"""A document cut into chunks: whole sentences of one paragraph, with a little of what precedes them.

An edit must change few requests, since every changed request is paid for again. Three rules see to it:

- Packing starts anew at each paragraph, and the context of a chunk stays inside its paragraph. So an
  edit never reaches beyond it, and a paragraph that many documents share is asked once. (Who a
  paragraph is about is usually said in it, or by the title, which is always shown.)
- Inside a long paragraph the cuts are chosen by the text around them (content-defined chunking, as in
  rsync-like backup tools: the smallest hash in a window of allowed cuts), not by counting from the
  start, so that after an edit the old cuts are found again, mostly within one or two chunks.
- Which Chinese script is asked in is decided once for a document, not by each chunk.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice

import regex

from triplelake.config import ChunkingSettings
from triplelake.corpus.pieces import Piece, context_start, pieces
from triplelake.corpus.sentences import paragraph_ends
from triplelake.corpus.tokens import PARTS, estimate_tokens
from triplelake.text import detect_language
from triplelake.types import TRAITS, Chunk, Lang

_HAN = regex.compile(r"\p{Han}")
_SCRIPT_SAMPLE = 20_000  # Han characters that decide between Simplified and Traditional
_VERY_SHORT = 4  # a paragraph below this part of the target is joined to the next
_NEAR = 24  # characters on either side of a cut that its hash sees


def chunk_document(text: str, title: str | None, settings: ChunkingSettings) -> list[Chunk]:
    """The chunks of a document, in order; their texts joined are `text`.

    A text without anything but space has none. Space between sentences belongs to the one before it.
    The title takes part in the choice of script only.
    """
    if not text or text.isspace():
        return []
    script = _script(title or "", text)
    target = min(settings.target_tokens, settings.max_tokens) * PARTS
    longest = settings.max_tokens * PARTS
    chunks: list[Chunk] = []
    start = 0
    for block in _blocks(text, longest, target):
        block_start = start
        for group in _pack(text, block, target):
            context_start = _context_start(text, block, block_start, group.start, settings.context_tokens * PARTS)
            end = block[group.stop - 1].end
            chunks.append(_chunk(text, len(chunks), context_start, start, end, script))
            start = end
    return chunks


def _chunk(text: str, ordinal: int, context_start: int, start: int, end: int, script: Lang) -> Chunk:
    body = text[start:end]
    told = detect_language(body)
    return Chunk(
        ordinal=ordinal,
        char_start=start,
        char_end=end,
        text=body,
        context=text[context_start:start],
        lang=script if TRAITS[told].twin else told,
        est_tokens=estimate_tokens(text[context_start:end]),
    )


def _script(title: str, text: str) -> Lang:
    han = islice((match.group() for match in _HAN.finditer(title + text)), _SCRIPT_SAMPLE)
    return detect_language("".join(han))


def _blocks(text: str, longest: int, target: int) -> Iterator[list[Piece]]:
    """Paragraphs, the very short ones (headings, list items, blank lines) joined to what follows."""
    block: list[Piece] = []
    held: list[Piece] = []  # a whole block, held back in case only short paragraphs follow
    start = 0
    for end in paragraph_ends(text):
        paragraph = list(pieces(text, start, end, longest=longest, target=target))
        block += paragraph
        start = end
        if sum(piece.parts for piece in paragraph) * _VERY_SHORT >= target:
            if held:
                yield held
            held, block = block, []
    if last := held + block:
        yield last


def _pack(text: str, block: Sequence[Piece], target: int) -> Iterator[range]:
    """Ranges of pieces, each of `target` at most unless a single piece is larger."""
    sizes = list(accumulate((piece.parts for piece in block), initial=0))
    first, last = 0, len(block)
    while first < last:
        base, rest = sizes[first], sizes[last] - sizes[first]
        if rest <= target:
            yield range(first, last)
            return
        two = rest <= 2 * target  # then what follows the cut should fit into one chunk
        smallest = max(target // 2, rest - target) if two else target // 2
        stop = bisect_right(sizes, base + target, first + 1, last)
        cuts = range(bisect_left(sizes, base + smallest, first + 1, last), stop)
        if not cuts:
            cut = max(stop - 1, first + 1)
        else:
            best = min(block[cut - 1].rank for cut in cuts)
            good = (cut for cut in cuts if block[cut - 1].rank == best)
            if two:
                cut = min(good, key=lambda cut: abs(2 * (sizes[cut] - base) - rest))
            else:
                cut = min(good, key=lambda cut: _hash_around(text, block[cut - 1].end))
        yield range(first, cut)
        first = cut


def _hash_around(text: str, cut: int) -> int:
    return zlib.crc32(text[max(0, cut - _NEAR) : cut + _NEAR].encode("utf-8", "surrogatepass"))


def _context_start(text: str, block: Sequence[Piece], block_start: int, first: int, budget: int) -> int:
    """Where the context of the chunk that begins with piece `first` begins."""

    def start_of(piece: int) -> int:
        return block[piece - 1].end if piece else block_start

    begin = first
    while begin and (parts := block[begin - 1].parts) <= budget:
        budget -= parts
        begin -= 1
    if begin == first and begin:
        return context_start(text, start_of(first - 1), start_of(first), budget)
    return start_of(begin)

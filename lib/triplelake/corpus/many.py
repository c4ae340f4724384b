"""Whether a text that is read as one document plainly holds many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import regex

from triplelake.corpus.files import CorpusFile
from triplelake.corpus.sentences import paragraph_ends
from triplelake.corpus.wikidoc import attributes

_BLANK = regex.compile(r"\n[ \t\r\u3000]*(?=\n)")
_PAGE = regex.compile(r"\.html?(\.gz)?$", regex.IGNORECASE)
_LOOKED_AT = 200_000  # characters
_MANY = 100
"""Paragraphs from which it is told: few articles have as many, and a novel's reader can say that it is one."""
_HUGE = 4 << 20  # bytes: more than a long novel


def notes_on(files: Sequence[CorpusFile], read: Mapping[str, str]) -> tuple[str, ...]:
    """What is to be said, of all files, of those that look like many documents: of the first, and how many more.

    Args:
        read: the texts of those that were read already, by their paths.
    """
    told = [note for file in files if (note := many_documents(file, read.get(file.path)))]
    if len(told) < 2:
        return tuple(told)
    return told[0], f"So {'do' if len(told) > 2 else 'does'} {len(told) - 1:,} more, of those that were looked at"


def many_documents(file: CorpusFile, text: str | None) -> str | None:
    """What a file looks like that is read as one document, and what would make many of it; None if it looks like one.

    Args:
        file: the file.
        text: what stands in it; None if it was not read yet.
    """
    name, lines, blocks = file.relative, 0, 0
    if _PAGE.search(name):
        return None  # the lines of its source say nothing
    if text is not None:
        head = text[:_LOOKED_AT]
        if attributes(head.lstrip().partition("\n")[0]) is not None:
            return f"{name} begins with <doc …>, and is read as one document. If each is one: --format wikidoc"
        blocks = sum(not part.isspace() for part in _BLANK.split(head) if part)
        begin = 0
        for end in paragraph_ends(head):
            lines += not head[begin:end].isspace()
            begin = end
    more = "more than " if text is not None and len(text) > _LOOKED_AT else ""
    if blocks >= _MANY:
        return (
            f"{name} holds {more}{blocks:,} texts between blank lines, and is read as one document. If each is one: "
            f"""jq -cRs 'splits("\\n[ \\t\\r]*\\n") | select(test("\\\\S")) | {{text: .}}' FILE > FILE.jsonl"""
        )
    if lines >= _MANY:
        return f"{name} holds {more}{lines:,} lines, and is read as one document. If each line is one: --format lines"
    if file.size >= _HUGE:
        return f"{name} is one document of {file.size >> 20:,} MiB. If each of its lines is one: --format lines"
    return None

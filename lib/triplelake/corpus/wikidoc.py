"""Articles as the known extractor of Wikipedia dumps writes them: `<doc id="…" url="…" title="…">`, text, `</doc>`."""

from __future__ import annotations

import html
import re
import zlib

from triplelake.corpus.files import CorpusFile, compression_of, open_file

__all__ = ["END", "ID", "TITLE", "attributes", "decoded", "holds_articles", "without_title"]

ID, TITLE = "id", "title"
"""The attributes that are an article's id and title, unless other columns are named."""

END = "</doc>"

_STRICT = re.compile(r'<doc((?:\s+[\w:.-]+="[^"]*")+)\s*>(.*)', re.DOTALL)
_LOOSE = re.compile(r"<doc(\s+\S.*?)>(\s*)", re.DOTALL)  # a quotation mark inside a title that nobody escaped
_ATTRIBUTE = re.compile(r'([\w:.-]+)="(.*?)"(?=\s+[\w:.-]+="|\s*$)', re.DOTALL)
_OURS = frozenset({ID, TITLE, "url"})
# The extractor escapes what HTML would take for its own, and nothing else: `&copy` without a semicolon is text.
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|#\d{1,7}|#[xX][\da-fA-F]{1,6});", re.ASCII)
_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?\s*<doc\s[^\n>]*\b(?:id|url|title)=\"")
_LOOKED_AT = 4096  # bytes


def attributes(line: str) -> tuple[dict[str, str], str] | None:
    """The attributes of a line that begins an article, and what follows on it; None of any other line."""
    if not line.startswith("<doc"):
        return None
    found = _STRICT.fullmatch(line) or _LOOSE.fullmatch(line)
    if found is None:
        return None
    named = {name: decoded(value) for name, value in _ATTRIBUTE.findall(found[1])}
    return (named, found[2]) if named.keys() & _OURS else None


def decoded(text: str) -> str:
    """Text with the characters that the extractor has escaped."""
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text)


def without_title(text: str, title: str | None) -> str:
    """The text without its first line if that repeats the title, and without blank lines around it."""
    text = text.strip("\r\n")
    first, _, rest = text.partition("\n")
    return rest.strip("\r\n") if title is not None and first.strip() == title.strip() else text


def holds_articles(file: CorpusFile) -> bool:
    """Whether a file begins with such an article; False if it cannot be opened, which its reader says."""
    try:
        with open_file(file.path, compression_of(file.path)) as stream:
            return _BEGINS.match(stream.read(_LOOKED_AT)) is not None
    except (OSError, EOFError, zlib.error):
        return False

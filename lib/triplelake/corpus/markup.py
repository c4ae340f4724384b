"""HTML in a text: whether there is any, and what a reader of the page would see."""

from __future__ import annotations

import html
from collections.abc import Sequence

import regex
from inscriptis import Inscriptis
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from lxml.etree import ParserError
from lxml.html import HTMLParser, document_fromstring

_NAMES = (
    "a|article|b|blockquote|body|br|center|dd|div|dl|dt|em|font|h[1-6]|head|hr|html|i|img|li|link|meta|ol|p|pre|script|"
    "section|span|strong|style|sub|sup|table|tbody|td|th|title|tr|u|ul"
)
_TAG = regex.compile(rf"<!DOCTYPE\s+html|</?(?:{_NAMES})(?:\s[^<>]*)?/?>", regex.IGNORECASE)
_ENTITY = regex.compile(r"&(?:#\d+|#x[\da-f]+|\w+);", regex.IGNORECASE)
_DECLARATION = regex.compile(r"^\s*<\?xml[^>]*\?>")  # speaks of the encoding of bytes, which are decoded here
# What XML does not know: libxml2 puts U+FFFD in the place of some and drops others with what follows.
_NOT_XML = regex.compile("[\0-\x08\x0b\x0e-\x1f]")

_LOOKED_AT = 20_000  # characters of a text
_TAGS = 2  # in a text that is HTML; one alone may be spoken about
_SHARE = 0.1

_CONFIG = ParserConfig(css=CSS_PROFILES["strict"])  # `relaxed`, the default, puts spaces between words that have none


class NotConverted(Exception):
    """HTML of which not all text could be had: the reason."""


def first_html(texts: Sequence[str]) -> str | None:
    """The first text that is HTML, if a tenth of them are."""
    found = [text for text in texts if len(_TAG.findall(text[:_LOOKED_AT])) >= _TAGS]
    return found[0] if found and len(found) >= _SHARE * len(texts) else None


def html_to_text(text: str) -> str:
    """What a reader would see of HTML: paragraphs, items and rows in lines of their own, no scripts, no styles.

    A text without a tag keeps its lines.

    Raises:
        NotConverted: nested so deeply that the parser leaves text out.
    """
    if not _TAG.search(text):
        return html.unescape(text) if _ENTITY.search(text) else text
    parser = HTMLParser()
    try:
        tree = document_fromstring(_NOT_XML.sub("", _DECLARATION.sub("", text)), parser=parser)
        seen: str = Inscriptis(tree, _CONFIG).get_text().strip()
    except ParserError:  # comments and nothing else
        return ""
    except (ValueError, RecursionError) as error:
        raise NotConverted(f"cannot be converted from HTML: {' '.join(str(error).split())[:100]}") from None
    if any(each.level_name == "FATAL" for each in parser.error_log):
        raise NotConverted("cannot be converted from HTML: it is nested too deeply")
    return seen

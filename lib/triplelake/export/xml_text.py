"""Text as XML 1.0 can hold it."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

# Not even as a reference may these stand in a document.
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\ufffd"
# A parser makes a line feed of a carriage return, unless it stands there as a reference.
_REFERENCES = {"\r": "&#13;", '"': "&quot;"}


def xml_text(text: str) -> tuple[str, int]:
    """Text for an element or an attribute in double quotes, and how many characters were replaced by U+FFFD."""
    allowed, replaced = _FORBIDDEN.subn(_REPLACEMENT, text)
    return escape(allowed, _REFERENCES), replaced

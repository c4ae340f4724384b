"""What tells that a text was seen before, whatever its script, width, case and white space."""

from __future__ import annotations

import hashlib

from triplelake.text import comparison_key


def text_hash(text: str) -> str:
    """The sha256, in hex, of a text's comparison key: what a card of training lists of every text.

    Two texts have one hash where they differ in white space, case, width (NFKC), marks typed for one another, or in
    Chinese script alone; character by character, so that it does not depend on the phrases that OpenCC knows.
    """
    return hashlib.sha256(comparison_key(text).encode("utf-8", "surrogatepass")).hexdigest()

"""The IRIs that an export gives to what it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from pyoxigraph import NamedNode

from triplelake.errors import UsageError

_BASE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:.*[:/#])?")
_EXAMPLE = "Examples: urn:triplelake:, https://example.org/kg/"


@dataclass(frozen=True, slots=True)
class Names:
    """The IRIs of an export.

    Args:
        base: what all of them begin with; ends with `:`, `/` or `#`.
    """

    base: str

    def __post_init__(self) -> None:
        try:
            NamedNode(self.base)
        except ValueError as error:
            raise UsageError(f"--base-iri {self.base}", f"is no IRI: {error}", _EXAMPLE) from None
        if not _BASE.fullmatch(self.base):
            raise UsageError(f"--base-iri {self.base}", "does not end with `:`, `/` or `#`", _EXAMPLE)

    def of(self, kind: str, name: str) -> NamedNode:
        """The IRI of an `entity`, `relation`, `type`, `document`, `fact`, `triple` or `column`."""
        separator = ":" if self.base.endswith(":") else "/"
        return NamedNode(f"{self.base}{kind}{separator}{quote(name, safe='')}")

"""The forms that there are, and the one that a person wants."""

from __future__ import annotations

from collections.abc import Mapping

from triplelake.errors import UsageError
from triplelake.export.delimited import CSV
from triplelake.export.form import FormKind
from triplelake.export.graphml import GRAPHML
from triplelake.export.json_lines import JSON_LINES
from triplelake.export.neo4j import NEO4J
from triplelake.export.nquads import N_QUADS

FORMS: Mapping[str, FormKind] = {kind.name: kind for kind in (CSV, JSON_LINES, N_QUADS, GRAPHML, NEO4J)}
"""Every form by its name."""


def chosen_form(name: str | None, to: str) -> FormKind:
    """The form that was named, else that of the file's ending.

    Raises:
        UsageError: neither tells; it is no form of facts and triples; or a folder is to go to a store that cannot hold
            one.
    """
    if name is None:
        file = to.removesuffix(".gz")
        found = next((kind for kind in FORMS.values() if kind.ending and file.endswith(kind.ending)), None)
        if found is None:
            endings = ", ".join(kind.ending for kind in FORMS.values() if kind.ending)
            raise UsageError(f"--to {to}", "has no ending that tells the form", f"Known: {endings}; or name --format.")
        return found
    if name not in FORMS:
        raise UsageError(f"--format {name}", "is a form of training data", f"Known here: {', '.join(FORMS)}.")
    kind = FORMS[name]
    if kind.folder and ("://" in to or to.endswith(".gz")):
        raise UsageError(f"--to {to}", f"cannot be a folder for {kind.tool}", "Name a folder of this machine.")
    return kind

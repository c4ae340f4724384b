"""The forms by name and by the ending of a file."""

from __future__ import annotations

from triplelake.errors import UsageError

ENDINGS = {"csv": ".csv", "jsonl": ".jsonl", "nquads": ".nq", "graphml": ".graphml", "neo4j": ""}
"""Forms with the ending of their file; Neo4j's is a folder."""

_FOLDER = "neo4j"


def chosen_form(name: str | None, to: str) -> str:
    """The form that was named, else that of the file's ending.

    Raises:
        UsageError: neither tells; it is no form of facts and triples; or files for Neo4j are to go to a store that
            cannot hold a folder.
    """
    if name is None:
        file = to.removesuffix(".gz")
        found = next((form for form, ending in ENDINGS.items() if ending and file.endswith(ending)), None)
        if found is None:
            endings = ", ".join(filter(None, ENDINGS.values()))
            raise UsageError(f"--to {to}", "has no ending that tells the form", f"Known: {endings}; or name --format.")
        return found
    if name not in ENDINGS:
        raise UsageError(f"--format {name}", "is a form of training data", f"Known here: {', '.join(ENDINGS)}.")
    if name == _FOLDER and ("://" in to or to.endswith(".gz")):
        raise UsageError(f"--to {to}", "cannot be a folder for Neo4j", "Name a folder of this machine.")
    return name

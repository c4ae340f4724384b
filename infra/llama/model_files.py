"""The files of a model: which there are, how much room they take, and whether they are whole.

    model_files.py list FOLDER             as JSON: the files that a conversion needs
    model_files.py names LIST              their names, one a line
    model_files.py weigh LIST              bytes of the weights
    model_files.py lacking LIST FOLDER     bytes that are not in FOLDER yet
    model_files.py check FOLDER            ends with 4 and says why, where a conversion could not work

LIST is what `list` or `hub.py list` wrote.
"""

from __future__ import annotations

import fnmatch
import json
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

EXIT_USAGE, EXIT_FAILED = 2, 4
# What the guide's folder holds. Weights in another form would be the same ones once more.
PATTERNS = ("*.json", "*.py", "*.safetensors", "tokenizer.model")
TOKENIZERS = ("tokenizer.model", "tokenizer.json")
"""One of them: of Llama's kind, as Atom's, or of Qwen's and others."""
_OURS = ("manifest.json",)


def main(argv: list[str]) -> int:
    match argv:
        case ["list", folder]:
            print(json.dumps(list_files(Path(folder)), indent=2))
        case ["names", listing]:
            print("\n".join(_read(listing)["files"]))
        case ["weigh", listing]:
            files = _read(listing)["files"]
            print(sum(entry["bytes"] for name, entry in files.items() if name.endswith(".safetensors")))
        case ["lacking", listing, folder]:
            files = _read(listing)["files"]
            print(sum(entry["bytes"] for name, entry in files.items() if not _is_there(Path(folder) / name, entry)))
        case ["check", folder]:
            check(Path(folder))
        case _:
            print(__doc__, file=sys.stderr)
            return EXIT_USAGE
    return 0


def fail(code: int, subject: object, reason: str, remedy: str) -> NoReturn:
    print(f"error: {subject}: {reason}\n  {remedy}", file=sys.stderr)
    sys.exit(code)


def wanted(name: str) -> bool:
    return "/" not in name and name not in _OURS and any(fnmatch.fnmatch(name, pattern) for pattern in PATTERNS)


def list_files(folder: Path) -> dict[str, Any]:
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and wanted(path.name))
    return {"revision": "", "files": {name: {"bytes": (folder / name).stat().st_size} for name in names}}


def check(folder: Path) -> None:
    again = "Fetch or copy it again; what is whole is kept."
    if not (folder / "config.json").is_file():
        fail(EXIT_FAILED, folder / "config.json", "is missing", again)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        fail(EXIT_FAILED, folder / TOKENIZERS[0], f"is missing, and so is {TOKENIZERS[1]}", again)
    try:
        json.loads((folder / "config.json").read_text("utf-8"))
    except ValueError as error:
        fail(EXIT_FAILED, folder / "config.json", f"is not JSON ({error})", again)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    else:
        shards = sorted(path.name for path in folder.glob("*.safetensors"))
    if not shards:
        fail(EXIT_FAILED, folder, "holds no weights (*.safetensors)", "Name a model in the form of safetensors.")
    for name in shards:
        if not (folder / name).is_file():
            fail(EXIT_FAILED, folder / name, "is missing, and the index names it", again)
        if (folder / name).stat().st_size != safetensors_size(folder / name):
            fail(EXIT_FAILED, folder / name, "is cut short or damaged", again)


def safetensors_size(path: Path) -> int | None:
    """How long the file must be by its own header; None if there is no such header."""
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            return None
        (length,) = struct.unpack("<Q", start)
        if length > path.stat().st_size:
            return None
        try:
            header = json.loads(file.read(length))
        except ValueError:
            return None
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + int(length) + max(ends, default=0)


def _read(listing: str) -> Any:
    return json.loads(Path(listing).read_text("utf-8"))


def _is_there(path: Path, entry: dict[str, Any]) -> bool:
    return path.is_file() and path.stat().st_size == entry["bytes"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

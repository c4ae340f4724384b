"""The record of what a script made: what it was made from, and every file with its size and hash.

    manifest.py record FILE [NAME]... [--forget NAME]... [--set KEY=VALUE]... [--json KEY=FILE]...
    manifest.py whole FILE [NAME]... [--verify] [--set KEY=VALUE]...
    manifest.py get FILE KEY...

Names are below the manifest's own folder; in `whole` and after `--forget` they may be patterns, as *.json.
`record` adds to what is there already and forgets files that are gone. `whole` ends with 0 if every key has this
value and every named file (without names: every recorded one) is still what was recorded; else it says why not and
ends with 1. A file whose size and time are those recorded is not read again, unless `--verify` is given.
`KEY=` with dots reaches into nested tables; `get` takes one key for each level.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="manifest.py", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    record_parser = commands.add_parser("record")
    record_parser.add_argument("file", type=Path)
    record_parser.add_argument("names", nargs="*")
    record_parser.add_argument("--set", action="append", default=[], type=_pair, metavar="KEY=VALUE")
    record_parser.add_argument("--forget", action="append", default=[], metavar="NAME")
    record_parser.add_argument("--json", action="append", default=[], type=_pair, metavar="KEY=FILE")
    whole_parser = commands.add_parser("whole")
    whole_parser.add_argument("file", type=Path)
    whole_parser.add_argument("names", nargs="*")
    whole_parser.add_argument("--set", action="append", default=[], type=_pair, metavar="KEY=VALUE")
    whole_parser.add_argument("--verify", action="store_true")
    get_parser = commands.add_parser("get")
    get_parser.add_argument("file", type=Path)
    get_parser.add_argument("keys", nargs="+")
    options = parser.parse_args(argv)
    if options.command == "record":
        values = dict(options.set) | {key: json.loads(Path(file).read_text("utf-8")) for key, file in options.json}
        record(options.file, values, options.names, options.forget)
        return 0
    if options.command == "get":
        print(_get(_read(options.file), options.keys))
        return 0
    reason = why_not_whole(options.file, dict(options.set), options.names, verify=options.verify)
    if reason:
        print(reason)
    return 1 if reason else 0


def record(manifest: Path, values: dict[str, Any], names: list[str], forget: list[str]) -> None:
    content = _read(manifest)
    for key, value in values.items():
        table = content
        *parents, last = key.split(".")
        for parent in parents:
            table = table.setdefault(parent, {})
        table[last] = value
    folder = manifest.parent
    kept = {name: entry for name, entry in content.get("files", {}).items() if not _matches(name, forget)}
    files = kept | {name: _describe(folder / name) for name in names}
    content["files"] = {name: files[name] for name in sorted(files) if (folder / name).exists()}
    part = manifest.with_name(manifest.name + ".part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(manifest)


def why_not_whole(manifest: Path, values: dict[str, str], names: list[str], *, verify: bool) -> str | None:
    content = _read(manifest)
    if not content:
        return f"{manifest} is not there"
    for key, value in values.items():
        if (recorded := _get(content, key.split("."))) != value:
            return f"{key} was {recorded or 'not recorded'} and is now {value or 'empty'}"
    files = content.get("files", {})
    for name in names:
        if not fnmatch.filter(files, name):
            return f"{name} is not recorded"
    for name in files:
        asked = not names or _matches(name, names)
        if asked and not _unchanged(manifest.parent / name, files[name], verify=verify):
            return f"{name} is missing or not what was recorded"
    return None


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _read(manifest: Path) -> dict[str, Any]:
    try:
        content = json.loads(manifest.read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def _get(content: Any, keys: list[str]) -> str:
    for key in keys:
        content = content.get(key, {}) if isinstance(content, dict) else {}
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False) if content else ""


def _describe(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"bytes": stat.st_size, "sha256": _sha256(path), "mtime_ns": stat.st_mtime_ns}


def _unchanged(path: Path, entry: dict[str, Any], *, verify: bool) -> bool:
    if not path.is_file() or path.stat().st_size != entry["bytes"]:
        return False
    if not verify and path.stat().st_mtime_ns == entry["mtime_ns"]:
        return True
    return _sha256(path) == str(entry["sha256"])


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


if __name__ == "__main__":
    sys.exit(main())

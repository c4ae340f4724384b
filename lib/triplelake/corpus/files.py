"""Where the corpus lies: files, folders and globs, on this machine or behind a URI that Arrow knows."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Literal, cast

from pyarrow.fs import FileInfo, FileSystem, FileType

from triplelake.errors import InputError
from triplelake.filesystems import URI, Place, children, is_loop, locate, one_line, what_is_there

Compression = Literal["gzip"]

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A file of the corpus.

    Args:
        path: absolute path or URI; `open_file` takes it.
        size: bytes as stored.
        modified: last change, seconds since the epoch; 0.0 where the store does not tell.
        relative: the path below the input root (the folder named, or what precedes a glob's first
            wildcard); the name alone for a file named by itself.
    """

    path: str
    size: int
    modified: float
    relative: str


def list_files(patterns: Sequence[str]) -> list[CorpusFile]:
    """All files that the patterns name, sorted by path, each once.

    A folder stands for everything below it except names that start with `_` or `.`. In a glob, `*`
    and `?` stay within a name and `**` spans folders. A path that exists as written is not a glob.
    URI paths are taken literally: no percent-decoding.

    Raises:
        InputError: a pattern names nothing, or nothing but empty folders; or a store refuses.
    """
    found: dict[str, CorpusFile] = {}
    for pattern in patterns:
        place = locate(pattern)
        try:
            here = list(_below(place, pattern))
        except OSError as error:
            raise InputError(
                pattern, f"cannot be listed: {one_line(error)}", "Check the path and the access rights."
            ) from None
        if not here:
            raise InputError(
                pattern,
                "no files found",
                "The folder holds no file, or only names that start with `_` or `.`, which are skipped.",
            )
        found.update((file.path, file) for file in here)
    return [found[path] for path in sorted(found)]


def list_roots(patterns: Sequence[str]) -> list[str]:
    """The files and folders that the patterns name themselves; what is in the folders is not looked at.

    Raises:
        InputError: as `list_files`.
    """
    roots: dict[str, None] = {}
    for pattern in patterns:
        place = locate(pattern)
        if place.fs.get_file_info(place.path).type != FileType.NotFound:
            roots[place.written(place.path)] = None
        else:
            roots |= dict.fromkeys(place.written(info.path) for info in _matches(place, pattern)[1])
    return list(roots)


def open_file(path: str, compression: Compression | None = None) -> BinaryIO:
    """A stream of the file's bytes, decompressed; uncompressed files can be sought.

    Raises:
        OSError: the file is gone or may not be read. A damaged gzip raises while reading.
    """
    place = locate(path)
    stream = cast(BinaryIO, place.fs.open_input_file(place.path))
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if compression == "gzip" else stream


def compression_of(path: str) -> Compression | None:
    """The compression that a path's ending names."""
    return "gzip" if _name(path).endswith(".gz") else None


def ending_of(path: str) -> str:
    """The ending of a path's name, in lower case; `.gz` after it is looked through. Empty if the name has none."""
    return PurePosixPath(_name(path).removesuffix(".gz")).suffix


def fingerprint(files: Sequence[CorpusFile]) -> str:
    """A hash of what the files are (path, size, time of change): equal means nothing changed."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.size}\0{file.modified!r}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def _below(place: Place, pattern: str) -> Iterator[CorpusFile]:
    info = place.fs.get_file_info(place.path)
    if info.type == FileType.File:
        yield _corpus_file(place, info, info.base_name)
    elif info.type == FileType.Directory:
        yield from _walk(place, place.path, place.path)
    else:
        root, matches = _matches(place, pattern)
        for match in matches:
            if match.type == FileType.File:
                yield _corpus_file(place, match, _relative(match.path, root))
            else:
                yield from _walk(place, match.path, root)


def _walk(place: Place, folder: str, root: str) -> Iterator[CorpusFile]:
    for info in children(place.fs, folder):
        if info.type == FileType.File:
            yield _corpus_file(place, info, _relative(info.path, root))
        elif info.type == FileType.Directory and not is_loop(place.fs, info.path):
            yield from _walk(place, info.path, root)


def _matches(place: Place, pattern: str) -> tuple[str, list[FileInfo]]:
    """The folder before the first wildcard, and what a glob matches below it.

    Raises:
        InputError: there are no wildcards, there is no such folder, or nothing matches.
    """
    if not _MAGIC.search(place.path):
        raise InputError(pattern, "no such file or folder", what_is_there(place))
    parts = place.path.split("/")
    first = next(index for index, part in enumerate(parts) if _MAGIC.search(part))
    root = "/".join(parts[:first]) or ("/" if place.path.startswith("/") else "")
    if place.fs.get_file_info(root).type != FileType.Directory:
        raise InputError(pattern, f"no such folder: {place.written(root)}", what_is_there(place, root))
    matches = list(_expand(place.fs, root, parts[first:]))
    if not matches:
        raise InputError(pattern, "matches no file", what_is_there(place, root))
    return root, matches


def _expand(fs: FileSystem, folder: str, parts: Sequence[str]) -> Iterator[FileInfo]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _expand(fs, folder, rest or ["*"])
        for info in children(fs, folder):
            if info.type == FileType.Directory and not is_loop(fs, info.path):
                yield from _expand(fs, info.path, parts)
        return
    for info in children(fs, folder, hidden=part.startswith(("_", "."))):
        if fnmatch.fnmatchcase(info.base_name, part):
            if not rest:
                yield info
            elif info.type == FileType.Directory:
                yield from _expand(fs, info.path, rest)


def _corpus_file(place: Place, info: FileInfo, relative: str) -> CorpusFile:
    modified = info.mtime.timestamp() if info.mtime is not None else 0.0
    return CorpusFile(place.written(info.path), int(info.size or 0), modified, relative)


def _relative(path: str, root: str) -> str:
    return path[len(root) :].lstrip("/") if root else path


def _name(path: str) -> str:
    uri = URI.fullmatch(path)
    return ((uri["path"] or "") if uri else path).rpartition("/")[2].lower()

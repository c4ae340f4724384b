"""A line of shell that makes another file of one of the input: what a person is told to give."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

from triplelake.corpus.files import compression_of
from triplelake.corpus.looks import Look
from triplelake.filesystems import URI

__all__ = ["made_of", "piped"]

_ICONV = {"gb18030": "GB18030", "big5": "CP950", "utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE"}
_ENDINGS = re.compile(r"(\.\w+)?(\.gz)?$", re.IGNORECASE)


def piped(look: Look, command: str, *, as_utf8: bool) -> str:
    """The command over a file, which is unpacked first where it is compressed.

    Args:
        command: takes a file as its last word, or what is piped to it.
        as_utf8: it reads nothing else.
    """
    path = look.file.path
    parts = [command]
    if as_utf8 and look.encoding in _ICONV:
        parts.insert(0, f"iconv -f {_ICONV[look.encoding]} -t UTF-8")
    if compression_of(path):
        parts.insert(0, "gzip -dc")
    parts[0] += f" {'FILE' if URI.fullmatch(path) else shlex.quote(path)}"
    return " | ".join(parts)


def made_of(look: Look, ending: str) -> str:
    """What is made of a file: in the folder one stands in, and never over the file; as a shell takes it."""
    stem = _ENDINGS.sub("", PurePosixPath(look.file.path).name, count=1) or "items"
    return shlex.quote(f"{stem}.{ending}")

"""A look at every file before any is read: what it is, which encoding, whether its format is another one."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from triplelake.config import CorpusEncoding, CorpusFormat
from triplelake.corpus.detect import Unclear, detect_encoding
from triplelake.corpus.encodings import CODECS, Encoding, declared
from triplelake.corpus.files import CorpusFile, compression_of, open_file
from triplelake.corpus.magic import refuse_binary
from triplelake.corpus.readers import READERS
from triplelake.errors import InputError

HEAD_BYTES = 64 * 1024
"""So much of each file's start is looked at, and of large ones some pieces further on."""

_PIECES, _PIECE_BYTES = 3, 16 * 1024
_AT_A_TIME = 16  # looking at a file behind a URI is mostly waiting
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Look:
    """What a file turned out to be.

    Args:
        file: the file.
        format: how it is read, never `auto`: `jsonl` also where a `.json` holds JSON Lines.
        encoding: its encoding; of a binary format nobody asks for it.
        renamed: the format is not what its ending or the settings say.
    """

    file: CorpusFile
    format: CorpusFormat
    encoding: Encoding
    renamed: bool = False


def look_at(files: Sequence[CorpusFile], fmt: CorpusFormat, encoding: CorpusEncoding) -> list[Look]:
    """Look at a sample of each file.

    A file that cannot be opened is left to its reader, which says so.

    Args:
        fmt: the format of all files, one that is read here.
        encoding: as the settings have it.

    Raises:
        InputError: a file is no plain text, or its encoding is unclear, and the format is not binary.
    """
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(lambda file: _look(file, fmt, encoding), files))


def refuse_unless_text(file: CorpusFile, sample: bytes | None = None, *, utf16: bool = False) -> None:
    """Refuse a file that is no plain text, whatever its ending.

    Args:
        sample: what `read_sample` gives of it, where the caller has it already.
        utf16: it is wanted as UTF-16.

    Raises:
        InputError: what it is, and the format that reads it or the command that converts it.
    """
    try:
        refuse_binary(file.path, read_sample(file) if sample is None else sample, utf16=utf16)
    except InputError:
        # `magic` knows no reader, and would have a file converted that can be read as it is.
        for reader in READERS.values():
            if reader.binary and reader.recognises is not None and reader.recognises(file):
                reason = f"is of the format {reader.format}, not plain text"
                raise InputError(file.path, reason, f"Read it as that: --format {reader.format}.") from None
        raise


def read_sample(file: CorpusFile) -> bytes:
    """Some lines of a file: its start and, of a large one that can be sought, pieces further on. Empty if it fails."""
    compression = compression_of(file.path)
    try:
        with open_file(file.path, compression) as stream:
            head = stream.read(HEAD_BYTES)
            parts = [head]
            if compression is None and file.size > 2 * HEAD_BYTES and b"\n" in head:
                parts = [head[: head.rindex(b"\n") + 1]]
                for number in range(1, _PIECES + 1):
                    stream.seek(file.size * number // (_PIECES + 1))
                    parts.append(_whole_lines(stream.read(_PIECE_BYTES)))
    except (OSError, EOFError, zlib.error):
        return b""
    return b"".join(parts)


def text_of(look: Look) -> str:
    """Some lines of a file, as far as they can be decoded."""
    return _text(read_sample(look.file), look.encoding)


def describe(looks: Iterable[Look]) -> Iterator[str]:
    """What was chosen, for people: a line per encoding, with the first of its files."""
    groups: dict[str, list[str]] = {}
    for look in looks:
        if READERS[look.format].binary:
            continue
        name = CODECS[look.encoding].name + (f", {look.format}" if look.renamed else "")
        groups.setdefault(name, []).append(look.file.relative)
    for name, files in groups.items():
        more = f" and {len(files) - _NAMED:,} more" if len(files) > _NAMED else ""
        yield f"{name} in {', '.join(files[:_NAMED])}{more}"


def _look(file: CorpusFile, fmt: CorpusFormat, wanted: CorpusEncoding) -> Look:
    reader = READERS[fmt]
    if reader.binary:
        return Look(file, fmt, "utf-8")
    sample = read_sample(file)
    refuse_unless_text(file, sample, utf16=wanted == "utf-16")
    try:
        encoding = detect_encoding(sample, wanted)
    except Unclear as unclear:
        raise _ask(file.path, unclear) from None
    instead = reader.instead(_text(sample, encoding), len(sample) >= HEAD_BYTES) if reader.instead is not None else None
    return Look(file, instead or fmt, encoding, renamed=instead is not None)


def _ask(path: str, unclear: Unclear) -> InputError:
    width = max(map(len, unclear.readings))
    readings = [f"  --encoding {option:{width}}  {text}" for option, text in unclear.readings.items()]
    return InputError(
        path,
        "its encoding is unclear",
        "\n".join(
            (
                "Give the one that reads right (� cannot be decoded); it goes for all files without a byte order mark:",
                *readings,
                "If none does, convert the file: iconv -f ITS_ENCODING -t UTF-8",
            )
        ),
    )


def _whole_lines(piece: bytes) -> bytes:
    """What stands between the first and the last line feed: whole characters in every encoding but UTF-16."""
    first, last = piece.find(b"\n"), piece.rfind(b"\n")
    return piece[first + 1 : last + 1] if first < last else b""


def _text(sample: bytes, encoding: Encoding) -> str:
    codec = CODECS[encoding]
    return codec.guess(sample[len(codec.bom) :] if declared(sample) else sample)

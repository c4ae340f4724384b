"""Files that hold no plain text, by their first bytes, and the command that makes text of them."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

from triplelake.corpus.detect import seems_utf16
from triplelake.corpus.encodings import declared
from triplelake.errors import InputError

_CSV = "libreoffice --headless --convert-to 'csv:Text - txt - csv (StarCalc):44,34,76,1' {path}"
_TXT = "libreoffice --headless --convert-to 'txt:Text (encoded):UTF8' {path}"
_PLAIN = "pandoc --to plain --wrap none --output {stem}.txt {path}"

# First bytes, what they are, and the command.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF", "pdftotext -enc UTF-8 -nopgbrk {path} {stem}.txt"),
    (b"{\\rtf", "an RTF document", _PLAIN),
    (b"\x1f\x8b", "compressed with gzip but not named so", "mv {path} {path}.gz"),
    (b"BZh", "compressed with bzip2", "bunzip2 --keep {path}"),
    (b"\xfd7zXZ\0", "compressed with xz", "unxz --keep {path}"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unzstd {path}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x {path}"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar x {path}"),
    (b"PAR1", "Parquet", "mv {path} {stem}.parquet"),
    (b"\xff\xfe\0\0", "UTF-32", "iconv -f UTF-32 -t UTF-8 -o {stem}.utf8.txt {path}"),
    (b"\0\0\xfe\xff", "UTF-32", "iconv -f UTF-32 -t UTF-8 -o {stem}.utf8.txt {path}"),
)
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = b"PK\x03\x04"
_ZIPPED = (
    (b"word/", "a Word document (.docx)", _PLAIN),
    (b"xl/", "an Excel workbook (.xlsx)", _CSV),
    (b"ppt/", "a PowerPoint presentation (.pptx)", _TXT),
    (b"application/epub", "an EPUB book", _PLAIN),
    (b"opendocument.text", "an OpenDocument text (.odt)", _PLAIN),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods)", _CSV),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MUCH_CONTROL = 0.05  # of random bytes 11 % are such; of text none, whatever its encoding


def refuse_binary(
    path: str, sample: bytes, *, utf16: bool = False, instead: str = ", or leave it out of --input"
) -> None:
    """Refuse a file that begins with `sample` if it is no plain text.

    Args:
        utf16: it is wanted as UTF-16.
        instead: what else can be done than to convert it.

    Raises:
        InputError: what it is, and the command that converts it.
    """
    what, command = _kind(path, sample)
    # In UTF-16 a byte may have any value.
    if not what and not utf16 and declared(sample) is None and not seems_utf16(sample) and is_binary(sample):
        what, command = "binary", "file {path}"
    if not what:
        return
    stem = re.sub(r"\.\w+$", "", path)
    line = command.format(path=shlex.quote(path), stem=shlex.quote(stem))
    raise InputError(path, f"is {what}, not plain text", f"Convert it{instead}:\n  {line}")


def is_binary(sample: bytes) -> bool:
    """Whether a sample holds so many control characters that it is no text."""
    return len(_CONTROL.findall(sample)) > max(_MUCH_CONTROL * len(sample), 3)


def _kind(path: str, sample: bytes) -> tuple[str, str]:
    for start, what, command in _KINDS:
        if sample.startswith(start) and (start != b"BZh" or sample[4:10] == b"1AY&SY"):
            return what, command
    if sample.startswith(_ZIP):
        return next(
            ((what, command) for mark, what, command in _ZIPPED if mark in sample), ("a ZIP archive", "unzip {path}")
        )
    if sample.startswith(_OLD_OFFICE):
        table = PurePosixPath(path).suffix.lower().startswith(".xl")
        return ("an old Excel workbook (.xls)", _CSV) if table else ("an old Office document (.doc)", _TXT)
    return "", ""

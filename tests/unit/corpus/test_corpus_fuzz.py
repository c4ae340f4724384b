"""Damaged files through the readers: nothing raises, nothing hangs, and what the damage left whole is read."""

from __future__ import annotations

import csv
import io
import json
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import get_args

import pytest

from triplelake.config import CorpusFormat
from triplelake.corpus.columns import Columns
from triplelake.corpus.encodings import CODECS, Encoding
from triplelake.corpus.files import CorpusFile
from triplelake.corpus.looks import look_at
from triplelake.corpus.readers import READERS, read_split
from triplelake.corpus.splits import Split
from triplelake.errors import InputError
from triplelake.types import Record, Rejected

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
TEXT_FORMATS = [name for name, reader in READERS.items() if not reader.binary]
TEXTS = [
    "許功蓋生於臨川城，在雲夢書院教書。",
    "他的母親是陳珮，後來去了北嶺。",
    "Edda Lund was born in Harrow and lived in Ostrell.",
    "城北有一條河，叫做長水。",
] * 3
FILES_EACH = 17
HANGS_AFTER_S = 120


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"hangs after {HANGS_AFTER_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANGS_AFTER_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Whole:
    """A good file, and the bytes that each of its texts stands in, to the end of its record."""

    fmt: CorpusFormat
    encoding: Encoding
    content: bytes
    places: list[tuple[int, int]]

    def spared(self, start: int, end: int, shift: int) -> list[str]:
        """The texts that a reader must find when bytes `[start, end)` were changed, and the rest moved by `shift`."""
        codec = CODECS[self.encoding]
        spared = [text for text, (_, last) in zip(TEXTS, self.places, strict=True) if last <= start]
        # One line says nothing of the next; but a quotation mark in CSV, and a bracket in JSON, does.
        alone = (
            self.fmt in ("jsonl", "lines", "tsv", "wikidoc") and start >= self.places[0][0] and shift % codec.unit == 0
        )
        if alone:
            line = next((last for _, last in self.places if last >= end + codec.unit), len(self.content))
            spared += [text for text, (first, _) in zip(TEXTS, self.places, strict=True) if first >= line]
        return spared


def whole(fmt: CorpusFormat, encoding: Encoding) -> Whole:
    codec = CODECS[encoding]
    forms = {
        "jsonl": ("", "", [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS]),
        "json": ("[", "{}]", [json.dumps({"text": text}, ensure_ascii=False) + ", " for text in TEXTS]),
        "csv": ("text,n\n", "", [_row(text, ",") for text in TEXTS]),
        "tsv": ("text\tn\n", "", [_row(text, "\t") for text in TEXTS]),
        "lines": ("", "", [text + "\n" for text in TEXTS]),
        "text": ("", "", [text + "\n" for text in TEXTS]),
        "wikidoc": ("", "", [f'<doc id="{number}">\n{text}\n</doc>\n' for number, text in enumerate(TEXTS)]),
    }
    head, tail, records = forms[fmt]
    content = codec.bom + head.encode(codec.python)
    places = []
    for record in records:
        start = len(content)
        content += record.encode(codec.python)
        places.append((start, len(content)))
    return Whole(fmt, encoding, content + tail.encode(codec.python), places)


def _row(text: str, delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow([text, 1])
    return out.getvalue()


def damaged(good: Whole, dice: random.Random) -> tuple[bytes, list[str]]:
    """A file with one stretch changed, and the texts that must be found in it all the same."""
    content = good.content
    start = dice.randrange(len(content))
    end = min(len(content), start + dice.choice([1, 1, 2, 5, 40]))
    match dice.choice(["cut", "flip", "noise", "insert", "remove", "recode", "repeat"]):
        case "cut":
            end, new = len(content), b""
        case "flip":
            new = bytes(byte ^ (1 << dice.randrange(8)) for byte in content[start:end])
        case "noise":
            new = dice.randbytes(end - start)
        case "insert":
            end, new = start, dice.randbytes(dice.randint(1, 50))
        case "remove":
            new = b""
        case "recode":
            other = CODECS[dice.choice(ENCODINGS)].python
            new = dice.choice(TEXTS).encode(other)
        case _:
            new = content[start:end] * dice.randint(2, 100)
    spared = good.spared(start, end, len(new) - (end - start))
    return content[:start] + new + content[end:], spared


def read(path: Path, fmt: CorpusFormat, encoding: Encoding) -> list[Record | Rejected]:
    return list(read_split(Split(str(path), path.name, fmt, encoding=encoding), Columns("text")))


def holds_in_order(found: list[str], wanted: list[str]) -> bool:
    rest = iter(found)
    return all(text in rest for text in wanted)


@pytest.mark.parametrize("fmt", TEXT_FORMATS)
def test_of_a_damaged_file_all_is_read_that_the_damage_spared(tmp_path: Path, fmt: CorpusFormat) -> None:
    path = tmp_path / "file"
    told = 0
    for encoding in ENCODINGS:
        good = whole(fmt, encoding)
        for number in range(FILES_EACH):
            name = f"{fmt} {encoding} {number}"
            content, spared = damaged(good, random.Random(name))
            path.write_bytes(content)
            found = read(path, fmt, encoding)
            texts = [item.text for item in found if isinstance(item, Record)]
            if fmt != "text":
                assert holds_in_order(texts, spared), name
            assert all(item.reason for item in found if isinstance(item, Rejected)), name
            # And as a run sees it, which is told nothing.
            try:
                (look,) = look_at([CorpusFile(str(path), len(content), 0.0, "file")], fmt, "auto")
            except InputError as error:
                assert error.remedy, name
                continue
            for item in read(path, look.format, look.encoding):
                if isinstance(item, Record) and "\ufffd" in item.text:
                    assert "\ufffd".encode(CODECS[look.encoding].python) in content, name
            told += look.encoding == encoding
    assert told > 0.8 * len(ENCODINGS) * FILES_EACH


def test_a_good_file_gives_all_its_texts(tmp_path: Path) -> None:
    for fmt in TEXT_FORMATS:
        for encoding in ENCODINGS:
            good = whole(fmt, encoding)
            (tmp_path / "file").write_bytes(good.content)
            found = [item.text for item in read(tmp_path / "file", fmt, encoding) if isinstance(item, Record)]
            assert found == (["".join(f"{text}\n" for text in TEXTS)] if fmt == "text" else TEXTS)


@pytest.mark.parametrize("fmt", TEXT_FORMATS)
def test_a_file_of_another_type_or_encoding_is_rejected_or_read(tmp_path: Path, fmt: CorpusFormat) -> None:
    path = tmp_path / "file"
    for other in TEXT_FORMATS:
        for encoding in ENCODINGS:
            path.write_bytes(whole(other, encoding).content)
            for wrong in ENCODINGS:
                for item in read(path, fmt, wrong):
                    assert "\ufffd" not in item.text if isinstance(item, Record) else item.reason

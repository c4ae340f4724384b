"""The sheet in which people judge triples: its columns, its words, and how it is read."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from triplelake.corpus.detect import Unclear, detect_encoding
from triplelake.corpus.encodings import CODECS
from triplelake.corpus.magic import refuse_binary
from triplelake.corpus.readers.delimited import separator
from triplelake.errors import InputError

ENCODING = "utf-8-sig"
"""With a byte order mark: else Excel does not show Chinese."""

COLUMNS = ("triple_id", "subject", "predicate", "object", "evidence", "verdict")
"""What a sheet must have. It may have more; `lang`, if there, makes groups, `document` or `doc_id` tells which triples
are of one document, and `weight` how many triples of the sample a row stands for, which is 1 where there is none."""

_RIGHT = ("yes", "y", "true", "t", "1", "right", "correct", "ok", "对", "對", "是", "正确", "正確", "✓", "✔", "√")
_WRONG = (
    "no",
    "n",
    "false",
    "f",
    "0",
    "wrong",
    "incorrect",
    "错",
    "錯",
    "否",
    "不是",
    "错误",
    "錯誤",
    "✗",
    "✘",
    "×",
    "x",
)
_UNSURE = ("?", "unsure", "unclear", "不确定", "不確定", "不清楚")
_NOTHING = ("none", "nothing", "无", "無", "没有", "沒有")
"""The sentence states no fact at all, so that the triple of the row is wrong; the row may have none."""
_MISSING = ("missing", "missed", "漏", "遗漏", "遺漏", "缺", "缺失")
"""The row was added by the reviewer: a fact of the sentence that was not found."""
_WORDS: Mapping[str, bool | None] = (
    dict.fromkeys(_RIGHT, True) | dict.fromkeys((*_WRONG, *_NOTHING), False) | dict.fromkeys(_UNSURE, None)
)
_DOCUMENT = ("document", "doc_id")
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+")
"""What spreadsheets make of an id of many digits: equal for all of them."""
_NO_DOCUMENT = (
    "Of some rows it cannot be told which are of one document, so that each sentence counts as one: the intervals may "
    "be too narrow. The columns `document` and `doc_id` tell it, if they are left as they were written."
)
_WEIGHT = re.compile(r"\d{1,9}([.,]\d+)?")
"""In figures, with the decimal comma that a spreadsheet may have put. What it wrote as 1.2E+17 or as a date is lost."""
_AS_UTF8 = "Save it anew from the spreadsheet, as “CSV UTF-8”."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person said of a triple.

    Args:
        right: None where the reviewer could not tell.
        lang: empty if the sheet has no such column.
        document: that holds it, by a name that only this sheet knows.
        weight: how many triples of the sample it stands for.
        subject, object, evidence: as the cells have them.
    """

    triple_id: str
    predicate: str
    right: bool | None
    lang: str = ""
    document: str = ""
    weight: float = 1.0
    subject: str = field(default="", compare=False)
    object: str = field(default="", compare=False)
    evidence: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Review:
    """A filled-in sheet.

    Args:
        verdicts: in its order.
        open: triples that have none yet.
        missing: facts that reviewers have added, since they were not found; without a `triple_id`.
        silent: sentences that state no fact at all, each with its document.
        notes: what a reader of its figures must know.
    """

    verdicts: tuple[Verdict, ...]
    open: int
    missing: tuple[Verdict, ...] = ()
    silent: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def read_review(path: Path) -> Review:
    """Read a sheet, as Excel and its like leave it: separated by commas, semicolons or tabs, in any of the encodings.

    Raises:
        InputError: its encoding cannot be told, a column is missing, a verdict is none of the known words, two verdicts
            contradict one another, a fact that was added is not whole, a weight is no positive number; with the line.
    """
    rows = list(_rows(path))
    sentences = _Sentences(row for _, row in rows)
    verdicts: dict[str, Verdict] = {}
    missing: list[Verdict] = []
    silent: list[tuple[str, str]] = []
    open = 0
    unknown = False
    for line, row in rows:
        word = unicodedata.normalize("NFKC", row["verdict"]).strip().casefold()
        where = f"{path}, line {line}"
        if not word:
            # A text in which nothing was found has a row without a triple.
            open += bool(row["triple_id"])
            continue
        if word in _NOTHING:
            silent.append((sentences.document(row), row["evidence"]))
        if word in _MISSING:
            missing.append(_missing(where, row, sentences.document(row)))
            continue
        if word not in _WORDS:
            raise InputError(
                where,
                f"the verdict `{row['verdict'].strip()}` is none that is known",
                f"Write 对 or yes, 错 or no, ? where you cannot tell; or one of {', '.join((*_WORDS, *_MISSING))}.",
            )
        if not row["triple_id"]:
            if word in _NOTHING and row["evidence"].strip():
                continue
            remedy = (
                "Leave that column as it was written. A fact that you have added has the verdict 漏 or missing, and a "
                "text without a triple that states none has 无 or none."
            )
            raise InputError(where, "has a verdict and no triple_id", remedy)
        unknown |= _document(row) is None
        verdict = Verdict(
            row["triple_id"],
            row["predicate"],
            _WORDS[word],
            row.get("lang", ""),
            _document(row) or _of_sentence(row["evidence"]),
            _weight(where, row.get("weight", "1")),
            row["subject"],
            row["object"],
            row["evidence"],
        )
        if verdicts.setdefault(verdict.triple_id, verdict).right != verdict.right:
            raise InputError(where, "contradicts an earlier verdict on the same triple", "Keep one of the two.")
    _check_silent(path, silent, (*verdicts.values(), *missing))
    notes = (_NO_DOCUMENT,) if unknown else ()
    return Review(tuple(verdicts.values()), open, tuple(missing), tuple(dict.fromkeys(silent)), notes)


class _Sentences:
    """Tells the document of a row that a reviewer added, by the other rows of its sentence."""

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._documents: dict[str, str] = {}
        for row in rows:
            if document := _document(row):
                self._documents.setdefault(row["evidence"], document)

    def document(self, row: Mapping[str, str]) -> str:
        return _document(row) or self._documents.get(row["evidence"]) or _of_sentence(row["evidence"])


def _missing(where: str, row: Mapping[str, str], document: str) -> Verdict:
    """A fact that a reviewer has added; its relation by id or, in the column `relation`, by name."""
    relation = row["predicate"] or row.get("relation", "")
    cells = {"subject": row["subject"], "predicate": relation, "object": row["object"], "evidence": row["evidence"]}
    if lacking := [name for name, cell in cells.items() if not cell.strip()]:
        reason = f"is a fact that was added, and its {', '.join(lacking)} is empty"
        raise InputError(where, reason, "Copy a row of the same sentence, and write the fact over its triple.")
    lang = row.get("lang", "")
    return Verdict("", relation, True, lang, document, 1.0, row["subject"], row["object"], row["evidence"])


def _of_sentence(evidence: str) -> str:
    return f"sentence {evidence}"


def _check_silent(path: Path, silent: Iterable[tuple[str, str]], verdicts: Iterable[Verdict]) -> None:
    """Whether neither a sentence that states nothing nor a part of it has a fact that is right."""
    right = [(each.document, each.evidence) for each in verdicts if each.right]
    for document, sentence in silent:
        if any(of == document and part in sentence for of, part in right):
            reason = "states nothing by one verdict, and a fact by another"
            remedy = "Write 错 or no for a triple that is wrong while its sentence states another fact."
            raise InputError(f"{path}, {sentence!r}", reason, remedy)


def _weight(where: str, cell: str) -> float:
    """How many triples a row stands for."""
    written = unicodedata.normalize("NFKC", cell).strip()
    weight = float(written.replace(",", ".")) if _WEIGHT.fullmatch(written) else 0.0
    if not weight:
        raise InputError(
            where,
            f"has the weight `{cell.strip()}`, which is no positive number" if written else "has lost its weight",
            "Copy the column `weight` from the sheet as it was written; it tells how many triples a row stands for.",
        )
    return weight


def _document(row: Mapping[str, str]) -> str | None:
    """The document that a row is of; None where it cannot be told."""
    cells = ((column, row.get(column, "")) for column in _DOCUMENT)
    return next((f"{column} {cell}" for column, cell in cells if cell and not _ROUNDED.fullmatch(cell)), None)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows with the lines where they begin, each with every column of the sheet."""
    text = _text(path)
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator(text.partition("\n")[0]))
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check(path, header)
        line = reader.line_num + 1  # a quoted cell may hold line breaks: a row begins where the last one ended
        for cells in reader:
            if any(cells):
                padded = [*cells, *[""] * (len(header) - len(cells))]
                yield line, dict(zip(header, padded, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        place = f"{path}, line {reader.line_num}"
        raise InputError(place, f"is not valid CSV: {error}", _AS_UTF8) from None


def _text(path: Path) -> str:
    """A sheet's text. Excel's plain “CSV” is in the country's encoding: GB18030, Big5; its “Unicode text” in UTF-16."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "Check the path.") from None
    refuse_binary(str(path), raw, instead=", or save it as “CSV UTF-8”")
    try:
        codec = CODECS[detect_encoding(raw)]
    except Unclear:
        raise InputError(str(path), "is in an encoding that cannot be told", _AS_UTF8) from None
    try:
        return raw.decode(codec.python).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(str(path), codec.fault(error, 0), _AS_UTF8) from None


def _check(path: Path, header: Sequence[str]) -> None:
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        columns = "column" if len(missing) == 1 else "columns"
        raise InputError(
            f"{path}, line 1", f"lacks the {columns} {', '.join(missing)}", f"It needs: {', '.join(COLUMNS)}."
        )

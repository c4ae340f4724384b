"""An input as far as it can be seen without Spark: its files, their formats, its columns."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from triplelake.config import SPARK_READS, CorpusFormat, Settings
from triplelake.corpus.banner import banner_hint
from triplelake.corpus.columns import (
    Columns,
    choose_columns,
    first_records,
    names_of,
    refuse_html,
    texts_of,
)
from triplelake.corpus.files import CorpusFile, list_files
from triplelake.corpus.formats import format_of
from triplelake.corpus.jq import advice
from triplelake.corpus.looks import Look, describe, look_at
from triplelake.corpus.parquet import refuse_damaged
from triplelake.corpus.readers import READERS, Reader
from triplelake.corpus.readers.raw import RawRecord
from triplelake.corpus.shapes import shape_of
from triplelake.corpus.splits import Split
from triplelake.corpus.splitting import plan_splits
from triplelake.errors import InputError, UsageError
from triplelake.types import Rejected

_SAMPLED_SPLITS = 5
_AT_A_TIME = 16  # looking at a file behind a URI is mostly waiting


@dataclass(frozen=True)
class FoundInput:
    """An input as far as it can be seen without Spark.

    Args:
        format: never `auto`.
        files: sorted by path; empty where Spark reads the input.
        splits: of the files.
        columns: chosen; None where Spark reads the input.
        sample: the first records.
        encodings: for people: which encoding, in which files.
    """

    format: CorpusFormat
    files: tuple[CorpusFile, ...] = ()
    splits: tuple[Split, ...] = ()
    columns: Columns | None = None
    sample: tuple[RawRecord, ...] = ()
    encodings: tuple[str, ...] = ()

    def description(self) -> str:
        """For people: how many files, of what format; only of an input that is read here."""
        count, note = len(self.files), READERS[self.format].note
        return f"{count} file{'s' if count > 1 else ''}, {self.format}{f' ({note})' if note else ''}"

    def notes(self) -> tuple[str, ...]:
        """For people: files that may not be what they are read as; only of an input that is read here."""
        doubts = READERS[self.format].doubts
        if doubts is None or self.columns is None or self.columns.html:
            return ()
        return doubts(self.files, self._texts(self.columns.text))

    def _texts(self, column: str) -> dict[str, str]:
        """What was read already of files that are one document each, by their paths."""
        if len(self.sample) != min(len(self.splits), _SAMPLED_SPLITS):
            return {}  # some could not be read, and the records do not say of which file they are
        pairs = zip(self.splits, self.sample, strict=False)
        return {split.path: str(record.fields.get(column, "")) for split, record in pairs}


def find_input(settings: Settings) -> FoundInput:
    """Find the input, and choose its columns where Spark is not needed to see them.

    Raises:
        UsageError: no input was named.
        InputError: nothing there, nothing in it, mixed formats, a file that is no plain text or no whole Parquet, or
            whose encoding is unclear, a column that does not exist, or HTML that nobody has spoken of.
    """
    if not settings.input:
        raise UsageError("--input", "is missing", "Name files, folders, globs, a Delta path or a table.")
    if settings.corpus.format in SPARK_READS - {"parquet"}:
        return FoundInput(settings.corpus.format)
    files = list_files(settings.input)
    formats = {settings.corpus.format} if settings.corpus.format != "auto" else _formats(files)
    if len(formats) > 1:
        raise InputError(
            ", ".join(settings.input),
            f"holds files of several formats: {', '.join(sorted(formats))}",
            "Name one of them with --format and a glob, and run once per format.",
        )
    form = formats.pop()
    if form in SPARK_READS:
        refuse_damaged(files)
        return FoundInput(form)
    reader = READERS[form]
    looks = look_at(files, form, settings.corpus.encoding)
    splits = plan_splits(looks, settings.corpus.split_mb << 20)
    firsts = [first_records(split) for split in splits[:_SAMPLED_SPLITS]]
    sampled = [each for first in firsts for each in first]
    records = [each for each in sampled if isinstance(each, RawRecord)]
    names = names_of(records)
    if not names or not any(file.size for file in files):
        problems = [each for each in sampled if isinstance(each, Rejected)]
        error = nothing_readable(settings, [(problem.source, problem.place, problem.reason) for problem in problems])
        raise _with_banner(error, looks[0])
    shape = shape_of(record.fields for record in records) if reader.records == "object" else None
    many = any(len(first) > 1 for first in firsts)
    try:
        columns = choose_columns(names, settings.corpus, shape, lambda way: advice(way, looks[0], many=many))
    except InputError as error:
        raise _with_banner(error, looks[0]) from None
    columns = _with_own(columns, reader, names)
    if settings.corpus.html_to_text is None:
        refuse_html(", ".join(settings.input), texts_of(records, columns.text))
    return FoundInput(form, tuple(files), tuple(splits), columns, tuple(records), tuple(describe(looks)))


def _with_banner(error: InputError, look: Look) -> InputError:
    """The error; of a spreadsheet's export whose first row looks like a title, with that as the likely cause."""
    hint = banner_hint(look) if READERS[look.format].records == "row" else ""
    return InputError(error.subject, error.reason, f"{hint}{error.remedy}")


def _formats(files: Sequence[CorpusFile]) -> set[CorpusFormat]:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return set(pool.map(format_of, files))


def _with_own(columns: Columns, reader: Reader, names: Sequence[str]) -> Columns:
    """The format says which column is the id and which the title, where nobody has."""
    own_id = reader.id if reader.id in names else None
    own_title = reader.title if reader.title in names else None
    return replace(
        columns,
        id=columns.id or (() if own_id is None else (own_id,)),
        title=columns.title if columns.title is not None else own_title,
    )


def nothing_readable(settings: Settings, problems: Sequence[tuple[str, str, str]]) -> InputError:
    """The error for an input without a document.

    Args:
        problems: source, place and reason of some records that cannot be read; none where there are no records.
    """
    name = ", ".join(settings.input)
    if not problems:
        return InputError(name, "holds no documents", "Check --input; empty files hold nothing to extract from.")
    first = "\n".join(f"  {source} {place}: {reason}" for source, place, reason in problems[:2])
    return InputError(name, "none of its records can be read", f"The first are:\n{first}")

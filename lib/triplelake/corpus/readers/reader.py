"""What a format of the input is, in one value: how it is read, and all that is asked of it before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal

from triplelake.config import CorpusFormat
from triplelake.corpus.files import CorpusFile
from triplelake.corpus.readers.raw import RawRecord
from triplelake.corpus.splits import Split
from triplelake.types import Rejected

RecordKind = Literal["text", "row", "object"]
"""What a record is: a text with named values beside it, a row under a header, or an object that may hold others."""


@dataclass(frozen=True)
class Reader:
    """A format that is read here. What comes before and after the reading asks this value, and knows no format by name.

    Args:
        format: the value of `corpus.format` that names it.
        read: the records of a split, in file order, and the reasons why others are none.
        endings: of the names of its files, in lower case; each may have `.gz` after it.
        splittable: `read` keeps to the bytes of its split, so that several tasks may read one large file.
        binary: `read` takes the bytes as they are. Of any other format a file must be plain text in a known encoding.
        records: what a record is.
        whole_file: a file is one document, which is named by the file's path.
        id: the column that is a document's id where a record has it and nobody names another.
        title: the column that is a document's title, in the same way.
        vague: its endings say only that a file is text. A reader that recognises the file goes before this one.
        recognises: whether a file is of this format, where its ending names none or is vague.
        instead: the format that a sample of a file shows in place of this one, if any. It is given the sample's text,
            and whether the last line of the sample may be cut.
        note: how a file is read, for people, where the name of the format does not say so.
        doubts: for people, where a file is one document: which files look like something else. It is given the texts
            that were read already, by the paths of their files.
    """

    format: CorpusFormat
    read: Callable[[BinaryIO, Split], Iterator[RawRecord | Rejected]]
    endings: tuple[str, ...] = ()
    splittable: bool = False
    binary: bool = False
    records: RecordKind = "text"
    whole_file: bool = False
    id: str | None = None
    title: str | None = None
    vague: bool = False
    recognises: Callable[[CorpusFile], bool] | None = None
    instead: Callable[[str, bool], CorpusFormat | None] | None = None
    note: str = ""
    doubts: Callable[[Sequence[CorpusFile], Mapping[str, str]], tuple[str, ...]] | None = None

    @property
    def named_by_content(self) -> bool:
        """Whether a document is named by its content where nobody names an id column."""
        return not self.whole_file and self.id is None

"""What training data is made of: what was chosen, and the texts that gold, sheets and tables know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from triplelake.commands.tune_texts import with_texts
from triplelake.config import ChunkingSettings, Settings
from triplelake.errors import InputError, UsageError
from triplelake.evaluate.gold import READERS, GoldDocument, gold_format
from triplelake.evaluate.judged_sentences import is_sheet, judged_sentences
from triplelake.evaluate.review import read_review
from triplelake.training.card import LineForm
from triplelake.training.parts import Wanted
from triplelake.training.texts import KnownText, cut_document

if TYPE_CHECKING:
    from triplelake.commands.training_tables import Lake


@dataclass(frozen=True, slots=True)
class TrainingChoice:
    """What training data is made of, and how.

    Args:
        to: path of the folder.
        settings: profile, prompts, input, chunking and bounds of an answer.
        gold, review: files that are known to be right, in their order.
        gold_format: of all gold files, if their first lines do not tell.
        apart: gold or sheets that an evaluation is kept for.
        output: tables; None where none are read.
        facts: the accepted facts of the tables are a source.
        min_confidence, precision: so are their triples that are so sure, or of which such a share is expected right.
        ontology: whose relations are asked about; else that of the settings, or of the newest run.
        hant: Traditional copies of Simplified lines are added.
    """

    to: str
    settings: Settings
    gold: tuple[Path, ...] = ()
    review: tuple[Path, ...] = ()
    gold_format: str | None = None
    apart: tuple[Path, ...] = ()
    output: str | None = None
    facts: bool = False
    min_confidence: float | None = None
    precision: float | None = None
    ontology: str | None = None
    form: LineForm = "jsonl"
    wanted: Wanted = field(default_factory=Wanted)
    hant: bool = False
    overwrite: bool = False

    @property
    def reads_tables(self) -> bool:
        """Whether facts or triples of tables are a source."""
        return self.facts or self.min_confidence is not None or self.precision is not None


def check_sources(choice: TrainingChoice) -> None:
    """Refuse what contradicts itself before anything is read.

    Raises:
        UsageError: no source, tables that are not named, a share or a number that cannot be.
    """
    if not (choice.gold or choice.review or choice.reads_tables):
        reason = "has no source: neither gold nor a sheet, and nothing of the tables"
        raise UsageError("--what training", reason, "Name --gold, --review, --facts, --min-confidence or --precision.")
    if choice.reads_tables and choice.output is None:
        reason = "is missing: --facts, --min-confidence and --precision read its tables"
        raise UsageError("--output", reason, "Name the path, or catalog.schema, of the tables.")
    if choice.min_confidence is not None and choice.precision is not None:
        raise UsageError("--precision", "goes without --min-confidence", "Set one of them.")
    wanted = choice.wanted
    if not 0 <= wanted.empty < 1:
        raise UsageError(f"--empty {wanted.empty:g}", "is no share below 1", "0.1 is one in ten.")
    if wanted.dev < 0 or (wanted.dev > 1 and not wanted.dev.is_integer()):
        raise UsageError(f"--dev {wanted.dev:g}", "is neither a share nor a number of texts", "Such as 0.1, or 200.")
    if wanted.n is not None and wanted.dev >= max(1, wanted.n):
        reason = f"leaves nothing of --n {wanted.n} to train on"
        raise UsageError(f"--dev {wanted.dev:g}", reason, "--n counts the texts of dev, too: raise it.")


@dataclass
class Sources:
    """What the named files and tables know.

    Attributes:
        left_out: texts that never became any, by the reason why.
        notes: for a person.
    """

    choice: TrainingChoice
    lake: Lake | None
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def texts(self) -> Iterator[KnownText]:
        """What is known best comes first."""
        for file in self.choice.gold:
            yield from self._of_file(file)
        for file in self.choice.review:
            yield from self._of_sheet(file)
        if self.lake is not None and self.choice.reads_tables:
            yield from self.lake.texts(self.choice, self.notes)

    def apart(self) -> Iterator[KnownText]:
        """The texts of the files that are kept for an evaluation."""
        for file in self.choice.apart:
            yield from self._of_sheet(file) if is_sheet(file) else self._of_file(file)

    def _of_file(self, file: Path) -> Iterator[KnownText]:
        if is_sheet(file):
            raise UsageError(f"--gold {file}", "is a sheet by its name", f"Name it with --review {file}.")
        format = self.choice.gold_format or gold_format(file)
        documents, chunking = self._with_texts(READERS[format](file), file, is_own=format != "duie")
        for document in documents:
            if not document.text.strip():
                self.left_out[f"no text for a document of {file.name}"] += 1
            name = document.id if format == "jsonl" else f"{file.name}#{document.id}"
            yield from cut_document(document, chunking, origin=f"gold:{file.name}", name=name, is_complete=True)

    def _with_texts(
        self, gold: Sequence[GoldDocument], file: Path, *, is_own: bool
    ) -> tuple[Sequence[GoldDocument], ChunkingSettings]:
        """Gold with its texts, and how they are cut."""
        settings = self.choice.settings
        if any(each.text for each in gold):
            return gold, settings.chunking
        if settings.input:
            return with_texts(gold, file, settings), settings.chunking
        if self.lake is not None:
            return self.lake.with_texts(gold, is_own=is_own), self.lake.chunking()
        raise InputError(
            str(file),
            "holds no texts, and there is neither an output nor an input with them",
            "Write `text` into its lines; or name the texts with the same ids: --output PATH, or --input FILE "
            "--id-column NAME.",
        )

    def _of_sheet(self, file: Path) -> Iterator[KnownText]:
        review = read_review(file)
        if review.open:
            self.notes.append(f"{file.name}: {review.open:,} rows have no verdict yet and say nothing")
        for judged in judged_sentences(review):
            document = GoldDocument(judged.document, judged.text, judged.right)
            yield from cut_document(
                document,
                self.choice.settings.chunking,
                origin=f"sheet:{file.name}",
                name=f"{file.name}#{judged.document}",
                is_complete=judged.is_nothing,
            )

"""What a program can order: the functions and classes that `import triplelake` has beside the errors."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from triplelake.commands import extract as extraction
from triplelake.commands.evaluate import AgainstGold, evaluate
from triplelake.commands.export import Choice, Exported, What, export
from triplelake.config import load_settings
from triplelake.console import terminal
from triplelake.engine.run_row import RunRow
from triplelake.errors import UsageError, classified
from triplelake.evaluate.gold import READERS, gold_format
from triplelake.evaluate.report import GoldReport
from triplelake.evaluate.seen import SeenPolicy
from triplelake.export.choice import chosen_form
from triplelake.spark import lent, open_session
from triplelake.tables.schemas import TABLES
from triplelake.tables.store import Store
from triplelake.tables.views import VIEWS, Views

log = logging.getLogger("triplelake")

Location = str | PathLike[str]
"""A path or a URI; of tables also `catalog.schema`."""

_LOG_WIDTH = 120


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What a run did, as its row in `runs` has it.

    Args:
        documents: that became current.
        rejected: records that could not be read; why is in the table `documents`.
        lost_lines: lines of files that went with them.
        removed: documents that the input lacks (`run.mode: replace`).
        chunks: pieces that the documents were cut into.
        requests: questions that the chunks need; of these, `reused` had an answer already.
        answered: requests that came to an end; of these, `failed` have no answer: see `KnowledgeGraph.failures`.
        triples: that were written.
        prompt_tokens: that the servers have read; `cached_tokens` of these were in a cache of theirs.
        completion_tokens: that they have decoded.
        asking_s: seconds of asking.
    """

    documents: int
    rejected: int
    lost_lines: int
    removed: int
    chunks: int
    requests: int
    reused: int
    answered: int
    failed: int
    triples: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    asking_s: float


@dataclass(frozen=True)
class KnowledgeGraph:
    """The tables of an output, to read, judge and hand on: `triplelake.open(output)`.

    Each property is a DataFrame of the session, evaluated when it is used. What it holds is what counts now: a text
    that has changed since, or was removed, is no longer in it. `table` also has what was before.

    Args:
        output: path, or `catalog.schema`, of the tables.
        spark: the session that reads them.
    """

    output: str
    spark: SparkSession = field(repr=False)

    @property
    def facts(self) -> DataFrame:
        """What the texts say, once for each fact: how often, in how many documents, how sure, with an example."""
        return self.table("facts")

    @property
    def triples(self) -> DataFrame:
        """Every place that states something, doubtful ones too: with offsets, evidence, flags and confidence."""
        return self.table("current_triples")

    @property
    def entities(self) -> DataFrame:
        """Subjects and objects by name, with the number of mentions, documents and facts."""
        return self.table("entities")

    @property
    def relations(self) -> DataFrame:
        """Predicates, with the number of mentions, facts and documents."""
        return self.table("relations")

    @property
    def documents(self) -> DataFrame:
        """Documents that are answered: their version, language, number of chunks and of failed ones."""
        return self.table("current_documents")

    @property
    def failures(self) -> DataFrame:
        """Chunks without an answer, and why."""
        return self.table("failures")

    @property
    def runs(self) -> DataFrame:
        """Every run: its settings, counts, versions and how it ended."""
        return self.table("runs")

    def table(self, name: str) -> DataFrame:
        """A table or a view by its name in SQL; docs/tables.md has their columns.

        Raises:
            UsageError: there is none of that name.
        """
        known = (*(table.name for table in TABLES), *VIEWS)
        if name not in known:
            raise UsageError(name, "is no table of an output", f"There are: {', '.join(known)}.")
        return Views(Store(self.spark, self.output))[name]

    def evaluate(
        self,
        gold: Location,
        *,
        format: str | None = None,
        ontology: Location | None = None,
        count_missing: bool = False,
        card: Location | None = None,
        seen: SeenPolicy = "refuse",
    ) -> GoldReport:
        """Compare what was found with gold triples.

        `report.groups["all"].figures["f1"].value` is strict F1, with `low` and `high` of its 95 % interval; the other
        names are those of the table that `triplelake evaluate` prints.

        Args:
            gold: JSON Lines with gold triples (docs/evaluating.md has the formats).
            format: of the file, if its first line does not tell.
            ontology: file of that whose names of relations count; if not given, that of the run.
            count_missing: gold documents that are not in the output count as answered with nothing; else they are
                left out.
            card: of the training of the model; if not given, the one beside the run's adapter.
            seen: what is done about gold that the model was trained on: "refuse" it, "drop" these documents of it, or
                "allow" it.

        Raises:
            InputError: the gold file or the card cannot be read, none of its documents is in the output, or the
                model was trained on some.
            UsageError: there is no such format or ontology.
        """
        if format is not None and format not in READERS:
            raise UsageError(f"format {format!r}", "is no format of gold", f"There are: {', '.join(READERS)}.")
        wanted = AgainstGold(
            output=self.output,
            gold=Path(gold),
            format=format or gold_format(Path(gold)),
            ontology=None if ontology is None else fspath(ontology),
            count_missing=count_missing,
            card=None if card is None else Path(card),
            seen=seen,
        )
        with _guarded(self.spark):
            return evaluate(wanted, self.spark)

    def export(
        self,
        to: Location,
        *,
        what: What = "facts",
        format: str | None = None,
        where: str | None = None,
        predicates: Iterable[str] = (),
        plain: bool = False,
        base_iri: str = "urn:triplelake:",
        ontology: Location | None = None,
        overwrite: bool = False,
        progress: bool = False,
    ) -> Exported:
        """Write facts or triples for other tools, whole or not at all; docs/export.md says what each format is for.

        Args:
            to: file to write, also `.gz` or a URI; a folder where the format is one.
            what: `facts`, or `triples`: every mention.
            format: if the ending of `to` does not tell; docs/options.md has the names, at `--format`.
            where: a condition of Spark SQL over the columns: `"documents > 1"`.
            predicates: only these relations.
            plain: CSV for programs: no byte order mark, no apostrophe before =, +, - and @.
            base_iri: what IRIs of RDF begin with.
            ontology: file that names relations in RDF; if not given, that of the newest run.
            overwrite: an earlier export may be replaced.
            progress: as of `extract`.

        Raises:
            UsageError: an unknown format, a condition that Spark does not understand, a base that is no IRI.
            InputError: an ontology that cannot be read.
            OutputError: the file cannot be written, or is there already.
        """
        choice = Choice(
            output=self.output,
            to=fspath(to),
            form=chosen_form(format, fspath(to)),
            what=what,
            where=where,
            predicates=tuple(predicates),
            base_iri=base_iri,
            plain=plain,
            ontology=None if ontology is None else fspath(ontology),
            overwrite=overwrite,
        )
        with _guarded(self.spark):
            return export(choice, _console(progress), self.spark)


@dataclass(frozen=True)
class Run(KnowledgeGraph):
    """What `triplelake.extract` has done: the tables, and the run's own counts.

    Args:
        run_id: of its row in `runs`.
        counts: all nil where nothing was new.
    """

    run_id: str
    counts: RunCounts


def extract(
    texts: DataFrame | Location | Sequence[Location] | None = None,
    *,
    output: Location | None = None,
    name: str = "DataFrame",
    text_column: str | None = None,
    id_column: str | Sequence[str] | None = None,
    title_column: str | None = None,
    ontology: Location | None = None,
    pool: str | Sequence[str] | None = None,
    settings: Mapping[str, object] | None = None,
    config: Location | None = None,
    spark: SparkSession | None = None,
    progress: bool = False,
) -> Run:
    """Extract the triples of texts into Delta tables.

    What is answered is never asked again: the same call goes on where an earlier one stopped, and asks nothing where
    all is there. Of a DataFrame each call reads all rows; persist one that is costly to compute.

    Args:
        texts: a DataFrame with a row per document; or files, folders, globs, a Delta path or a table, as `--input` of
            the command. None for that of `config`.
        output: path, or `catalog.schema`, of the tables.
        name: what a DataFrame is called in `documents.source`. Another one under the same name is taken for its
            next version.
        text_column: column with the text; if not given, the first known name that exists, such as `text`.
        id_column: column with a stable id of the document, or several that are the id together; if not given,
            documents are named by their content.
        title_column: column with the title.
        ontology: file with the relations to look for; "none" for free predicates.
        pool: "embedded" for a llama.cpp server on this machine, a pool file, or URLs of servers.
        settings: any others, by the keys of docs/options.md: `{"run.limit": 20}`. They are stronger than variables of
            the environment (`TRIPLELAKE__RUN__LIMIT=20`), and these than `config`.
        config: YAML file with settings.
        spark: the session to use; if not given, that of the DataFrame, else the active one, else a new one. Its
            settings are afterwards as they were, and none of its temporary views is touched.
        progress: tell what is done on standard output, as the command does; else it goes to the logger `triplelake`
            at level INFO.

    Raises:
        TriplelakeError: what ended the run early, by its class; `subject`, `reason` and `remedy` say what to do. All
            that is committed is kept.
    """
    frame = texts if isinstance(texts, DataFrame) else None
    wanted = _given(
        {
            "input": _input(texts, name),
            "corpus.format": None if frame is None else "table",
            "output": None if output is None else fspath(output),
            "corpus.text_column": text_column,
            "corpus.id_column": id_column if isinstance(id_column, str | None) else tuple(id_column),
            "corpus.title_column": title_column,
            "ontology": None if ontology is None else fspath(ontology),
            "pool": pool if isinstance(pool, str | None) else ",".join(pool),
        }
    )
    if twice := sorted(wanted.keys() & (settings or {}).keys()):
        raise UsageError(f"settings: {', '.join(twice)}", "is given twice", "Leave it out of `settings`.")
    effective = load_settings(None if config is None else Path(config), {**wanted, **(settings or {})})
    session = spark or (frame.sparkSession if frame is not None else None)
    with _guarded(session):
        run_row = extraction.extract(effective, _console(progress), frame=frame, spark=session)
        session = open_session("triplelake", session)
    return Run(str(effective.output), session, run_row.run_id, _counts(run_row))


def open(output: Location, *, spark: SparkSession | None = None) -> KnowledgeGraph:
    """The tables that an earlier run has left.

    Args:
        output: path, or `catalog.schema`, of the tables.
        spark: the session to read them with; if not given, the active one, else a new one.

    Raises:
        OutputError: there are none, or of another schema version.
    """
    with _guarded(spark):
        session = open_session("triplelake", spark)
        Store(session, fspath(output)).require()
    return KnowledgeGraph(fspath(output), session)


@contextmanager
def _guarded(given: SparkSession | None) -> Iterator[None]:
    """A block whose session is as it was afterwards, and whose errors are all of this package."""
    with lent(given):
        try:
            yield
        except Exception as error:
            found = classified(error)
            if found is error:
                raise
            raise found from error


def _input(texts: DataFrame | Location | Sequence[Location] | None, name: str) -> tuple[str, ...] | None:
    if texts is None:
        return None
    if isinstance(texts, DataFrame):
        return (name,)
    return (fspath(texts),) if isinstance(texts, str | PathLike) else tuple(fspath(each) for each in texts)


def _given(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _counts(run_row: RunRow) -> RunCounts:
    tally = run_row.tally
    return RunCounts(
        documents=run_row.documents,
        rejected=run_row.rejected,
        lost_lines=run_row.lost_lines,
        removed=run_row.removed,
        chunks=run_row.chunks,
        requests=run_row.requests,
        reused=run_row.reused,
        answered=tally.answered,
        failed=tally.failed,
        triples=run_row.triples,
        prompt_tokens=tally.prompt_tokens,
        cached_tokens=tally.cached_tokens,
        completion_tokens=tally.completion_tokens,
        asking_s=tally.seconds,
    )


def _console(progress: bool) -> Console:
    return terminal() if progress else terminal(file=_Logged(), width=_LOG_WIDTH)


class _Logged(io.StringIO):
    """A stream each line of which is a record of the logger."""

    def write(self, text: str, /) -> int:
        for line in text.splitlines():
            if line.strip():
                log.info("%s", line)
        return len(text)

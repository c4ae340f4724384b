"""What the tables of an output know of its chunks: accepted facts, or the surest triples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from triplelake.commands.gold_answers import find
from triplelake.config import ChunkingSettings
from triplelake.errors import InputError, TriplelakeError, UsageError
from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.evaluate.ontologies import read_ontology
from triplelake.prompt.ontology import Ontology
from triplelake.spark import open_session
from triplelake.tables.schemas import RUNS, SEQUENCE
from triplelake.tables.store import Store
from triplelake.tables.views import Views
from triplelake.training.texts import KnownText
from triplelake.triples.confidence import least_confidence
from triplelake.triples.identity import text_hash

if TYPE_CHECKING:
    from triplelake.commands.training_sources import TrainingChoice

MOST = 200_000
"""Chunks with facts that are read at most, by lot: no training needs more, and the driver holds them."""

_SOUND = "t.grounding <> 'none' AND size(t.flags) = 0"
_FACTS = f"""
SELECT t.* FROM {{current_triples}} t LEFT SEMI JOIN {{facts}} f ON t.fact_id = f.fact_id WHERE {_SOUND}"""
_SURE = f"""
SELECT t.* FROM {{current_triples}} t WHERE t.confidence >= {{least}} AND {_SOUND}"""
_BINS = f"""
SELECT min(confidence), count(*), sum(confidence) FROM {{current_triples}} t
WHERE confidence IS NOT NULL AND {_SOUND} GROUP BY floor(1000 * confidence)"""
# A chunk that several documents hold was asked once, and is one text here.
_CHUNKS = """
SELECT c.request_id, min(c.doc_id) AS doc_id, first(c.text) AS text, first(c.title) AS title,
       first(c.context) AS context, first(c.lang) AS lang, first(s.facts) AS facts, first(n.said) AS said
FROM {{chunks}} c
JOIN {{current_documents}} d
  ON c.doc_id = d.doc_id AND c.doc_version = d.doc_version AND c.extraction_key = d.extraction_key
LEFT JOIN (SELECT chunk_id, collect_list(struct(subject, predicate, object)) AS facts
           FROM ({chosen}) chosen_triples GROUP BY chunk_id) s ON c.chunk_id = s.chunk_id
LEFT JOIN (SELECT chunk_id, count(*) AS said FROM {{current_triples}} GROUP BY chunk_id) n ON c.chunk_id = n.chunk_id
LEFT JOIN {{answers}} a ON c.request_id = a.request_id
WHERE {which}
GROUP BY c.request_id
ORDER BY xxhash64(c.request_id, {seed}L), c.request_id
LIMIT {most}"""
# Gold of a whole document must be known again by its text. Chunks tile a document.
_WHOLES = """
SELECT c.doc_id, array_join(transform(array_sort(collect_list(struct(c.ordinal, c.text))), x -> x.text), '') AS text
FROM {chunks} c
JOIN {current_documents} d
  ON c.doc_id = d.doc_id AND c.doc_version = d.doc_version AND c.extraction_key = d.extraction_key
LEFT SEMI JOIN {wanted} w ON c.doc_id = w.doc_id
GROUP BY c.doc_id HAVING count(*) > 1"""
_WITH_FACTS, _EMPTY = "s.facts IS NOT NULL", "a.status = 'empty'"


@dataclass(frozen=True)
class Lake:
    """The tables of an output.

    Args:
        views: of them, fixed, so that all of the data is of one moment.
        settings: of its newest run that asked anything; empty where no run tells.
    """

    store: Store
    views: Views
    settings: dict[str, Any]

    @classmethod
    def open(cls, output: str) -> Lake:
        """Start Spark and look at the tables.

        Raises:
            OutputError: the output holds no tables of triplelake.
        """
        store = Store(open_session("triplelake export"), output)
        store.require()
        asked = store.read(RUNS).where("extraction_key IS NOT NULL AND settings IS NOT NULL")
        newest = asked.orderBy(F.desc(SEQUENCE), F.desc("ended_at")).select("settings").first()
        return cls(store, Views(store, fixed=True), json.loads(newest["settings"]) if newest else {})

    def ontology(self) -> Ontology | None:
        """The ontology of the newest run.

        Raises:
            InputError: no run names one, or it cannot be read.
        """
        setting = self.settings.get("ontology")
        if not isinstance(setting, str):
            raise InputError(self.store.output, "has no run that tells its ontology", "Name it: --ontology FILE.")
        try:
            return read_ontology(setting)
        except TriplelakeError as error:
            reason = f"was made with an ontology that cannot be read: {error.subject}: {error.reason}"
            raise InputError(self.store.output, reason, "Name it where it is now: --ontology FILE.") from None

    def chunking(self) -> ChunkingSettings:
        """How the newest run cut its documents."""
        return ChunkingSettings.model_validate(self.settings.get("chunking", {}))

    def with_texts(self, gold: Sequence[GoldDocument], *, is_own: bool) -> list[GoldDocument]:
        """Gold with the texts and titles of the output's documents; one that is not there stays without.

        Args:
            is_own: the ids are the documents' own, and not made by the reader of the format.

        Raises:
            InputError: none of the documents is there.
        """
        found = find(self.store, gold, own_ids=is_own)
        return [*(replace(each, title=answered.title) for each, answered in found.documents), *found.missing]

    def texts(self, choice: TrainingChoice, notes: list[str]) -> Iterator[KnownText]:
        """The chunks as they were asked, with what is known of them, and those that were answered with nothing.

        Raises:
            UsageError: a precision or a confidence is wanted, and no triple has a confidence.
        """
        if choice.facts:
            if not self.store.min_confidence():
                notes.append(
                    "the output's facts have no bound (run.min_confidence, run.precision): all that nothing speaks "
                    "against is taken as right"
                )
            yield from self._chosen(_FACTS, f"facts:{self.store.output}", choice, notes)
        if (least := self._least(choice)) is not None:
            yield from self._chosen(
                _SURE.replace("{least}", repr(least)), f"confidence>={least:.3g}:{self.store.output}", choice, notes
            )

    def _least(self, choice: TrainingChoice) -> float | None:
        """The confidence from which on triples are taken; None where they are no source."""
        if choice.min_confidence is None and choice.precision is None:
            return None
        bins = [(row[0], row[1], row[2]) for row in self.views.sql(_BINS).collect()]
        if not bins:
            name = "--precision" if choice.precision is not None else "--min-confidence"
            reason = f"needs confidence, and no triple of {self.store.output} has one"
            raise UsageError(name, reason, "Fit it on judged triples (`triplelake calibrate`), then --republish.")
        if choice.precision is None:
            return choice.min_confidence
        return least_confidence(choice.precision, bins)

    def _chosen(self, chosen: str, origin: str, choice: TrainingChoice, notes: list[str]) -> Iterator[KnownText]:
        stating = self._rows(chosen, _WITH_FACTS, MOST, choice.wanted.seed)
        rows = len(stating)
        silent = self._rows(
            chosen, _EMPTY, int(rows * choice.wanted.empty / (1 - choice.wanted.empty)) + 1, choice.wanted.seed
        )
        wholes = self._wholes({row["doc_id"] for row in (*stating, *silent)})
        partial = 0
        for row in (*stating, *silent):
            facts = tuple((each["subject"], each["predicate"], each["object"]) for each in row["facts"] or ())
            partial += bool(facts) and row["said"] > len(facts)
            yield _known(row, origin, facts, wholes.get(row["doc_id"], ""))
        if rows == MOST:
            notes.append(f"{origin}: {MOST:,} of its chunks with facts were drawn, and no more are read")
        if partial:
            notes.append(
                f"{origin}: {partial:,} of {rows:,} chunks have other triples, too, which are not sure enough and are "
                "no facts of theirs here"
            )

    def _wholes(self, doc_ids: set[str]) -> dict[str, str]:
        """The hashes of the texts of documents that have several chunks."""
        table = pa.Table.from_pydict({"doc_id": sorted(doc_ids)}, schema=pa.schema([("doc_id", pa.string())]))
        wanted = self.store.spark.createDataFrame(table)
        found = self.views.sql(_WHOLES, wanted=wanted).toLocalIterator()
        return {row["doc_id"]: text_hash(row["text"]) for row in found}

    def _rows(self, chosen: str, which: str, most: int, seed: int) -> list[Any]:
        query = _CHUNKS.format(chosen=chosen, which=which, most=most, seed=seed)
        return self.views.sql(query).collect()


def _known(row: Any, origin: str, facts: tuple[Fact, ...], whole: str) -> KnownText:
    return KnownText(
        origin=origin,
        document=row["doc_id"],
        text=row["text"],
        lang=row["lang"],
        facts=facts,
        is_complete=not facts,
        title=row["title"] or "",
        context=row["context"] or "",
        whole=whole,
    )

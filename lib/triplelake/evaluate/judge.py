"""A run against gold, and a reviewed sheet: from what was read to a report."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass

from triplelake.evaluate.answers import Answered
from triplelake.evaluate.baselines import dictionary, nothing
from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.evaluate.metrics import Counts, by_relation, strict_counts, total
from triplelake.evaluate.ratios import f1
from triplelake.evaluate.report import GoldReport, Group, Precision, ReviewReport, Run, Scored, Sureness
from triplelake.evaluate.review import Review, Verdict
from triplelake.evaluate.scores import EVERYTHING
from triplelake.evaluate.shares import Case, weighted_share
from triplelake.evaluate.sureness import Graded, quality
from triplelake.evaluate.tally import FIGURES, DocumentTally, tally
from triplelake.evaluate.text2kgbench import scorer
from triplelake.evaluate.vocabulary import Vocabulary
from triplelake.prompt.ontology import Ontology
from triplelake.text import detect_language
from triplelake.triples.identity import stable_hash

_WEIGHTED = (
    "The rows were drawn where judging tells most. Precision is that of all triples of the sample, each row counting "
    "by its `weight`, and so not right / judged."
)
_BASELINES: Mapping[str, Callable[[Sequence[GoldDocument]], Sequence[Sequence[Fact]]]] = {
    "nothing": nothing,
    "dictionary": dictionary,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A gold document, its facts by the ids of the ontology's relations, and what a run made of it, if anything."""

    gold: GoldDocument
    answered: Answered | None

    @property
    def lang(self) -> str:
        return self.answered.lang if self.answered else detect_language(self.gold.text)


def judge(
    documents: Sequence[tuple[GoldDocument, Answered | None]],
    ontology: Ontology | None,
    *,
    run: Run,
    gold: str,
    format: str,
    notes: Iterable[str] = (),
) -> GoldReport:
    """Compare what a run said with gold.

    Args:
        documents: gold documents, each with what was made of it; None counts as answered with nothing.
        ontology: that the run asked with; None for free predicates.
        run: what was judged.
        gold: the gold file, for people.
        format: its format, a key of `READERS`.

    Raises:
        ValueError: there are no documents.
    """
    vocabulary = Vocabulary(ontology)
    kept, lacking = vocabulary.gold([document for document, _ in documents])
    judged = [Judged(document, answered) for document, (_, answered) in zip(kept, documents, strict=True)]
    said = [vocabulary.relations(each.answered.facts, each.answered.lang) if each.answered else [] for each in judged]
    tallies = [tally(each.gold.facts, each.answered, vocabulary) for each in judged]
    return GoldReport(
        run=run,
        gold=gold,
        format=format,
        groups={name: _group([tallies[rank] for rank in ranks]) for name, ranks in _groups(judged).items()},
        relations=_relations(kept, said),
        baselines={
            name: _scored(_strict(kept, _read(baseline(kept), vocabulary))) for name, baseline in _BASELINES.items()
        },
        scorer=scorer([(document.facts, facts) for document, facts in zip(kept, said, strict=True)])
        if format == "text2kgbench"
        else None,
        lacking=dict(sorted(lacking.items(), key=lambda each: (-each[1], each[0]))),
        notes=tuple(notes),
        rows=dict(zip(_keys(kept), map(astuple, tallies), strict=True)),
        confidence=_confidence(judged, vocabulary),
    )


def _confidence(judged: Sequence[Judged], vocabulary: Vocabulary) -> Sureness | None:
    graded: list[Graded] = []
    confidences: list[float] = []
    for each in judged:
        if each.answered is None:
            continue
        for mention in each.answered.mentions:
            if mention.confidence is not None:
                said = vocabulary.relations([mention.fact], each.answered.lang)
                graded.append(Graded(each.gold.id, strict_counts(each.gold.facts, said).correct == 1, repr(said)))
                confidences.append(mention.confidence)
    if not graded:
        return None
    found = quality(graded, confidences)
    kept = {round(100 * each.share): each.precision for each in found.kept}
    return Sureness(triples=len(graded), auc=found.auc, ece=found.ece, kept=kept)


def judge_review(review: Review, name: str) -> ReviewReport:
    """The precision that people found.

    Args:
        name: of the sheet, for people.
    """
    sure = [verdict for verdict in review.verdicts if verdict.right is not None]
    langs = sorted({verdict.lang for verdict in sure} - {""})
    groups = {EVERYTHING: sure}
    if len(langs) > 1:
        groups |= {lang: [verdict for verdict in sure if verdict.lang == lang] for lang in langs}
    relations: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in sure:
        relations[verdict.predicate].append(verdict)
    ordered = sorted(relations.items(), key=lambda each: (-len(each[1]), each[0]))
    drawn = Counter(verdict.weight for verdict in sure)
    return ReviewReport(
        review=name,
        groups={group: _precision(verdicts, drawn) for group, verdicts in groups.items()},
        relations={relation: _precision(verdicts, drawn) for relation, verdicts in ordered},
        unsure=len(review.verdicts) - len(sure),
        notes=(*review.notes, _WEIGHTED) if len(drawn) > 1 else review.notes,
        open=review.open,
        missing=len(review.missing),
        silent=len(review.silent),
        verdicts={verdict.triple_id: bool(verdict.right) for verdict in sure},
    )


def _precision(verdicts: Sequence[Verdict], drawn: Mapping[float, int]) -> Precision:
    cases = [Case(verdict.document, bool(verdict.right), verdict.weight) for verdict in verdicts]
    return Precision(
        right=sum(case.counts for case in cases),
        judged=len(cases),
        documents=len({case.document for case in cases}),
        precision=weighted_share(cases, drawn=drawn),
    )


def _groups(judged: Sequence[Judged]) -> dict[str, Sequence[int]]:
    """Ranks of documents: all, and by language where there are several."""
    languages: dict[str, list[int]] = defaultdict(list)
    for rank, each in enumerate(judged):
        languages[each.lang].append(rank)
    groups: dict[str, Sequence[int]] = {EVERYTHING: range(len(judged))}
    return groups | dict(sorted(languages.items())) if len(languages) > 1 else groups


def _group(tallies: Sequence[DocumentTally]) -> Group:
    sums = sum(tallies, DocumentTally())
    figures = {name: figure.interval(tallies) for name, figure in FIGURES.items()}
    return Group(documents=len(tallies), sums=asdict(sums), figures=figures)


def _relations(gold: Sequence[GoldDocument], said: Sequence[Sequence[Fact]]) -> dict[str, Scored]:
    """Each relation over the documents that state it, or of which it was said."""
    counts: dict[str, list[Counts]] = defaultdict(list)
    for document, facts in zip(gold, said, strict=True):
        wanted, found = by_relation(document.facts), by_relation(facts)
        for relation in dict.fromkeys((*wanted, *found)):
            counts[relation].append(strict_counts(wanted.get(relation, ()), found.get(relation, ())))
    scored = {relation: _scored(each) for relation, each in counts.items()}
    return dict(sorted(scored.items(), key=lambda each: (-each[1].counts.gold, -each[1].counts.predicted, each[0])))


def _read(said: Sequence[Sequence[Fact]], vocabulary: Vocabulary) -> list[list[Fact]]:
    # A baseline says ids of relations, which are names in no language.
    return [vocabulary.relations(facts, "en") for facts in said]


def _strict(gold: Sequence[GoldDocument], said: Sequence[Sequence[Fact]]) -> list[Counts]:
    return [strict_counts(document.facts, facts) for document, facts in zip(gold, said, strict=True)]


def _scored(counts: Sequence[Counts]) -> Scored:
    return Scored(counts=total(counts), f1=f1(counts))


def _keys(gold: Sequence[GoldDocument]) -> list[str]:
    """What a document is in another report: its text, or its id where it has none, and what is to be found in it."""
    ranks: Counter[str] = Counter()
    keys = []
    for document in gold:
        key = stable_hash(document.text or document.id, json.dumps(sorted(document.facts), ensure_ascii=False))
        keys.append(f"{key}/{ranks[key]}" if ranks[key] else key)
        ranks[key] += 1
    return keys

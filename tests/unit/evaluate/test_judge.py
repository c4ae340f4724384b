"""A run against gold on a case that was counted by hand, figure by figure."""

from __future__ import annotations

import pytest

from triplelake.evaluate.answers import Answered, Place, PublishedTriple, Reply
from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.evaluate.judge import judge
from triplelake.evaluate.metrics import Counts
from triplelake.evaluate.report import GoldReport, Run
from triplelake.evaluate.tally import FIGURES, MEANINGS
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.types import AttemptStatus, Flag, Lang


def relation(id: str, zh: str, en: str) -> Relation:
    return Relation(id, {"zh-Hans": zh, "zh-Hant": zh, "en": en})


ONTOLOGY = Ontology(
    "hand",
    (
        relation("author", "作者", "author"),
        relation("born_in", "出生地", "born in"),
        relation("founded_by", "创始人", "founded by"),
    ),
)


def mention(
    text: str, fact: Fact, *flags: Flag, off: int = 0, grounded: bool = True, title: bool = False
) -> PublishedTriple:
    """A mention with its true places, the object's end moved by `off`; the subject may stand in the title."""
    subject, _, object = fact
    places = (
        Place(
            subject,
            title,
            0 if title else text.find(subject),
            len(subject) if title else text.find(subject) + len(subject),
        ),
        Place(object, False, text.find(object), text.find(object) + len(object) + off),
        Place(text, False, 0, len(text)),
    )
    return PublishedTriple(fact, grounded, flags, places)


def reply(
    completion: str, tokens: int, lang: Lang, shown: str = "", *, status: AttemptStatus = "ok", code: str | None = None
) -> Reply:
    return Reply(status, code, completion, tokens, shown, lang)


NOVEL = "林知远写了《晨雾》。生于云州。"
WORKS = "Ann Lee founded Acme Works in 1987. It grew."
EMPTY = "蘇晚晴沒有說話。"
NEVER_ASKED = "何若兰生于临川。"

NOVEL_ANSWER = (
    """[["晨雾","作者","林知远"],["云州","出生地","林知远"],["林知遠","作者","云州"],["晨雾","作者","林知远"]]"""
)
WORKS_ANSWER = """[["Acme","founded by","Ann Lee"],["Acme Works","born in","Ann Lee"],["It","founded by","Bob"],
["Acme Works","based at","Ann Lee"],["Acme","foun"""

DOCUMENTS: list[tuple[GoldDocument, Answered | None]] = [
    (
        # 国籍 is no relation of the ontology, so that two facts are to be found.
        GoldDocument(
            "1", NOVEL, (("晨雾", "作者", "林知远"), ("林知远", "born_in", "云州"), ("林知远", "国籍", "中国"))
        ),
        Answered(
            "a",
            NOVEL,
            "林知远",
            "zh-Hans",
            (
                mention(NOVEL, ("晨雾", "author", "林知远")),
                mention(NOVEL, ("云州", "born_in", "林知远"), "type_conflict"),
                mention(NOVEL, ("林知远", "author", "云州"), title=True),
            ),
            (
                reply(NOVEL_ANSWER, 40, "zh-Hans", f"林知远\n{NOVEL}"),
                reply("[]", 4, "zh-Hans", status="empty"),
                reply("[]", 4, "zh-Hans", status="empty"),
            ),
        ),
    ),
    (
        GoldDocument("2", WORKS, (("Acme Works", "founded by", "Ann Lee"),)),
        Answered(
            "b",
            WORKS,
            "",
            "en",
            (
                mention(WORKS, ("Acme", "founded_by", "Ann Lee"), off=1),
                mention(WORKS, ("Acme Works", "born_in", "Ann Lee")),
                mention(WORKS, ("It", "founded_by", "Bob"), "pronoun_subject", grounded=False),
            ),
            (
                reply(WORKS_ANSWER, 50, "en", "Ann Lee founded Acme Works in 1987.", code="truncated"),
                reply("[]", 4, "en", status="empty"),
            ),
        ),
    ),
    (
        GoldDocument("3", EMPTY, ()),
        Answered(
            "c",
            EMPTY,
            "",
            "zh-Hant",
            (),
            (
                reply("nonsense", 6, "zh-Hant", EMPTY, status="failed", code="invalid_json"),
                Reply("failed", "timeout", None, 6, EMPTY, "zh-Hant"),
            ),
        ),
    ),
    (GoldDocument("4", NEVER_ASKED, (("何若兰", "出生地", "临川"),)), None),
]


def judged(documents: list[tuple[GoldDocument, Answered | None]] = DOCUMENTS, format: str = "jsonl") -> GoldReport:
    return judge(documents, ONTOLOGY, run=Run(output="kg"), gold="gold.jsonl", format=format)


HAND = {
    # Of document 1 the first triple is right, of the others none; 3 + 2 were said, 2 + 1 + 0 + 1 are to be found.
    "precision": 1 / 5,
    "recall": 1 / 4,
    "f1": 2 * 1 / (5 + 4),
    # The second triple is flagged: 4 are left, 1 of them right.
    "f1_in_facts": 2 * 1 / (4 + 4),
    # `Acme` for `Acme Works` is one word of two: right too.
    "relaxed_f1": 2 * 2 / (5 + 4),
    # 晨雾–林知远, 林知远–云州 and Acme Works–Ann Lee are pairs of the gold.
    "pair_f1": 2 * 3 / (5 + 4),
    # Only 云州–出生地–林知远 is right the other way round.
    "reversed": 1 / 5,
    # Of 4 + 4 decoded, `based at` is no relation.
    "conformance": 7 / 8,
    # 林知遠 is not in the text, nor are It and Bob in the chunk that was shown.
    "grounding": 6 / 8,
    # Of 3 + 2 grounded ones one has a wrong end.
    "span_validity": 4 / 5,
    # type_conflict and pronoun_subject, of 3 + 3 published.
    "flagged": 2 / 6,
    # The fourth of document 1 is its first.
    "repeated": 1 / 8,
    # Of 3 + 2 + 2 requests.
    "failed": 2 / 7,
    "truncated": 1 / 7,
    "empty": 3 / 7,
    # 48 + 54 + 12 tokens.
    "right_per_1000_tokens": 1000 * 1 / 114,
}


def test_every_figure_is_that_counted_by_hand() -> None:
    found = {name: each.value if each else None for name, each in judged().groups["all"].figures.items()}
    assert found == pytest.approx(HAND)
    assert set(HAND) == set(FIGURES) == set(MEANINGS)
    assert len(set(HAND.values())) == len(HAND) - 2, "figures that are equal could be exchanged unseen"


def test_intervals_hold_their_values() -> None:
    for found in judged().groups["all"].figures.values():
        assert found is not None
        assert found.low <= found.value <= found.high
    f1 = judged().groups["all"].figures["f1"]
    assert f1 and 0.0 < f1.low < f1.value < f1.high < 1.0


def test_languages_relations_and_what_the_ontology_lacks() -> None:
    report = judged()
    # The document that was never asked is of the language of its text.
    assert {name: group.documents for name, group in report.groups.items()} == {
        "all": 4,
        "en": 1,
        "zh-Hans": 2,
        "zh-Hant": 1,
    }
    assert report.groups["zh-Hans"].sums["said"] == 3
    assert report.lacking == {"国籍": 1}
    counts = {name: each.counts for name, each in report.relations.items()}
    # Most gold first: born_in of documents 1 and 4, said in 1 and 2.
    assert list(counts.items()) == [
        ("born_in", Counts(correct=0, predicted=2, gold=2)),
        ("author", Counts(correct=1, predicted=2, gold=1)),
        ("founded_by", Counts(correct=0, predicted=1, gold=1)),
    ]


def test_where_nothing_was_said_there_is_nothing_to_divide_by() -> None:
    figures = judged(DOCUMENTS[2:3]).groups["all"].figures
    assert figures["f1"] is not None and figures["f1"].value == 1.0
    assert [figures[name] for name in ("reversed", "conformance", "grounding", "span_validity", "flagged")] == [
        None
    ] * 5
    assert figures["failed"] is not None and figures["failed"].value == 1.0
    nothing = judged(DOCUMENTS[3:]).groups["all"].figures
    assert nothing["recall"] is not None and nothing["recall"].value == 0.0
    assert nothing["failed"] is None


def test_free_predicates_are_compared_as_they_are() -> None:
    report = judge(DOCUMENTS[:1], None, run=Run(output="kg"), gold="gold.jsonl", format="jsonl")
    sums = report.groups["all"].sums
    assert (sums["gold"], sums["said"], sums["right"]) == (3, 3, 0)
    assert (sums["checked"], report.groups["all"].figures["conformance"]) == (0, None)


def test_equal_documents_are_told_apart_and_a_row_is_the_documents_own() -> None:
    report = judged([DOCUMENTS[3], DOCUMENTS[2], DOCUMENTS[3]])
    assert len(report.rows) == 3
    elsewhere = judged([(GoldDocument("other id", NEVER_ASKED, DOCUMENTS[3][0].facts), None)])
    assert elsewhere.rows.keys() < report.rows.keys()
    assert judged([(GoldDocument("4", NEVER_ASKED, ()), None)]).rows.keys().isdisjoint(report.rows)


def test_the_scorer_is_asked_for_its_own_gold_only() -> None:
    assert judged().scorer is None
    scorer = judged(format="text2kgbench").scorer
    assert scorer is not None
    # Kept are what has a relation of its own document's gold: all of document 1, the first of document 2.
    assert (scorer.dropped, scorer.said) == (1, 5)
    # Document 1: 1 of 3 right, 1 of 2 found, F1 0.4; the others 0.
    assert (scorer.precision, scorer.recall, scorer.f1) == pytest.approx((1 / 3 / 4, 1 / 2 / 4, 0.4 / 4))
    assert [f1 for _, f1 in scorer.steps] == pytest.approx([2 / 9, 2 * 1 / (4 + 4), 0.1, 0.1])

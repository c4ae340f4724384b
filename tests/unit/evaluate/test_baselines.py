"""What a dictionary finds, counted by hand; it never sees the gold of the document that it is asked about."""

from __future__ import annotations

import pytest

from triplelake.evaluate import baselines
from triplelake.evaluate.baselines import dictionary, nothing
from triplelake.evaluate.gold import GoldDocument


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text's first character is its fold, so that a test says what is known of what."""
    monkeypatch.setattr(baselines, "stable_hash", lambda text: text[0])


def document(text: str, *facts: tuple[str, str, str]) -> GoldDocument:
    return GoldDocument(text, text, facts)


def test_nothing() -> None:
    assert nothing([document("1a"), document("2b")]) == [(), ()]


def test_the_relation_in_which_both_stood_most_often() -> None:
    documents = [
        document("1林知远写了晨雾，何若兰写了渡口", ("晨雾", "author", "林知远"), ("渡口", "author", "何若兰")),
        document("2林知远演唱晨雾", ("晨雾", "singer", "林知远"), ("晨雾", "singer", "林知远二")),
        # 晨雾: author 1, singer 2; 林知远: author 1, singer 1. 1 × 1 < 2 × 1.
        document("3晨雾与林知远"),
        # Names that have not met: both stood in `author`, each on its side.
        document("3渡口和林知遠"),
        # 何若兰 was never a subject, 林知远 neither.
        document("3何若兰和林知远"),
    ]
    *_, third, fourth, fifth = dictionary(documents)
    assert third == (("晨雾", "singer", "林知远"),)
    assert fourth == (("渡口", "author", "林知远"),)
    assert fifth == ()


def test_a_documents_own_gold_is_not_known() -> None:
    fact = ("晨雾", "author", "林知远")
    assert dictionary([document("1晨雾，林知远", fact), document("1晨雾和林知远", fact)]) == [(), ()]
    assert dictionary([document("1晨雾，林知远", fact), document("2晨雾和林知远", fact)]) == [(fact,), (fact,)]


def test_names_are_whole_words_and_the_longest_counts() -> None:
    known = document("1", ("Tide", "author", "Ann"), ("Tide", "singer", "Ann Lee"))
    first, second = (
        dictionary([known, document("2Tide by Ann Lee", ("x", "y", "z"))])[1:]
        + dictionary([known, document("2Tides by Anna")])[1:]
    )
    assert first == (("tide", "singer", "ann lee"),)
    assert second == ()

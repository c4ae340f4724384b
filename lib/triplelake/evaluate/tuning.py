"""Which of several ways of asking suits a model: what each found in the same texts, and which one is chosen.

Half of the texts choose and the other half report, by a hash of the text: what is best on the texts that chose it looks
better there than it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from math import inf, sqrt
from operator import add
from typing import Literal

from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.evaluate.metrics import Counts, fact_key, strict_counts, total
from triplelake.evaluate.ratios import f1, f1_gain
from triplelake.types import Request

Kind = Literal["gold", "judged", "known", "own"]
"""Where the facts of a text are from: `gold`: people wrote down all of them; `judged`: people judged triples of it;
`known`: a text of `conf/known`; `own`: nobody knows them, and what the arms agree on takes their place."""

ENOUGH = 100
"""Texts with facts that choose, from which on their order is more than chance (docs/measured.md)."""

_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Text:
    """A text that every arm is asked about.

    Args:
        document: with the facts that are right; none of `own`.
        wrong: facts that people judged wrong, of `judged`.
        requests: one for each of its chunks.
    """

    document: GoldDocument
    kind: Kind
    requests: tuple[Request, ...]
    wrong: tuple[Fact, ...] = ()

    @property
    def chooses(self) -> bool:
        """Whether it is of the half that chooses; the other half reports."""
        return chooses(self.document.text)


@dataclass(frozen=True, slots=True)
class Cost:
    """What answers took and how they look; costs can be added.

    Args:
        triples: of the answers as decoded.
        repeated: of these, how many repeat an earlier one of their answer.
        answers: how many.
        empty: answers without a triple that can be used.
        cut: answers that came to the limit of tokens.
        decoded: tokens.
    """

    triples: int = 0
    repeated: int = 0
    answers: int = 0
    empty: int = 0
    cut: int = 0
    decoded: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class Said:
    """What an arm made of a text.

    Args:
        facts: that count.
        cost: of the answers, one for each chunk.
    """

    facts: tuple[Fact, ...]
    cost: Cost


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """What an arm found and cost.

    Args:
        choose, report: F1 on the half that chooses and on the other one; with texts of `known` and of `own` the mean
            of the F1 of both.
        by_kind: F1 on all texts of a kind.
        sure: facts found, said and stated, of all texts but `own`.
        right: facts found, those of `own` by agreement included.
        cost: of all texts.
        ahead: the F1 that the chosen arm has over this one on the half that reports; None of the chosen arm itself.
    """

    name: str
    choose: Interval
    report: Interval
    by_kind: Mapping[Kind, Interval]
    sure: Counts
    right: int
    cost: Cost
    ahead: Interval | None = None

    @property
    def price(self) -> float:
        """Decoded tokens per true triple; infinite where none is true."""
        return self.cost.decoded / self.right if self.right else inf


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of trying.

    Args:
        arms: in the order in which they were asked.
        chosen: the best on the half that chooses; of equals, the one with fewer tokens per true triple.
        choosing, reporting: texts of each half.
        with_facts: texts that choose and have facts; those of `own` count as such.
    """

    arms: tuple[ArmFigures, ...]
    chosen: ArmFigures
    kinds: tuple[Kind, ...]
    choosing: int
    reporting: int
    with_facts: int

    @property
    def equals(self) -> list[ArmFigures]:
        """The arms that the half that reports does not tell from the chosen one."""
        return [each for each in self.arms if each.ahead and each.ahead.low <= 0 <= each.ahead.high]

    @property
    def better(self) -> list[ArmFigures]:
        """The arms that are better than the chosen one on the half that reports, beyond the noise."""
        return [each for each in self.arms if each.ahead and each.ahead.high < 0]


def chooses(text: str) -> bool:
    """Whether a text is of the half that chooses: always the same half, whatever else is asked about."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 0


def drawn_texts(texts: Sequence[Text], count: int, seed: int) -> list[Text]:
    """So many texts, half of them from each half; all of a half that has fewer.

    The same seed draws the same texts, in whatever order they stand. A text that stands there twice is drawn once.
    """
    by_text = {each.document.text: each for each in reversed(texts)}

    def rank(text: str) -> bytes:
        return hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()

    ranked = [by_text[text] for text in sorted(by_text, key=rank)]
    halves = [[each for each in ranked if each.chooses is half] for half in (True, False)]
    return [*halves[0][: (count + 1) // 2], *halves[1][: count // 2]]


def tuned(texts: Sequence[Text], said: Mapping[str, Sequence[Said]]) -> Tuned:
    """The figures of each arm, and the arm to take.

    Args:
        said: by arm, what it made of each text, in the order of the texts.

    Raises:
        ValueError: a half has no text.
    """
    counts = _counts(texts, {name: [each.facts for each in found] for name, found in said.items()})
    arms = [_figures(name, texts, found, counts[name]) for name, found in said.items()]
    chosen = min(arms, key=lambda arm: (-round(arm.choose.value, _DECIMALS), arm.price))
    arms = [
        arm if arm is chosen else replace(arm, ahead=_gain(texts, counts[chosen.name], counts[arm.name]))
        for arm in arms
    ]
    choosing = [each for each in texts if each.chooses]
    return Tuned(
        arms=tuple(arms),
        chosen=chosen,
        kinds=tuple(dict.fromkeys(each.kind for each in texts)),
        choosing=len(choosing),
        reporting=len(texts) - len(choosing),
        with_facts=sum(each.kind == "own" or bool(each.document.facts) for each in choosing),
    )


def consensus(arms: Sequence[Iterable[Fact]]) -> list[Fact]:
    """The facts that more than half of the arms say of a text."""
    said = [{fact_key(fact): fact for fact in facts} for facts in arms]
    votes = Counter(key for each in said for key in each)
    first = {key: fact for each in reversed(said) for key, fact in each.items()}
    return [first[key] for key, count in votes.items() if 2 * count > len(arms)]


def _counts(texts: Sequence[Text], facts: Mapping[str, Sequence[Sequence[Fact]]]) -> dict[str, list[Counts]]:
    return {
        name: [_of_text(text, found[rank], [each[rank] for each in facts.values()]) for rank, text in enumerate(texts)]
        for name, found in facts.items()
    }


def _of_text(text: Text, said: Sequence[Fact], arms: Sequence[Sequence[Fact]]) -> Counts:
    if text.kind == "own":
        return strict_counts(consensus(arms), said)
    right = strict_counts(text.document.facts, said)
    if text.kind != "judged":
        return right
    # What nobody has judged is neither right nor wrong.
    return Counts(right.correct, right.correct + strict_counts(text.wrong, said).correct, right.gold)


def _figures(name: str, texts: Sequence[Text], said: Sequence[Said], counts: Sequence[Counts]) -> ArmFigures:
    return ArmFigures(
        name=name,
        choose=_f1(texts, counts, half=True),
        report=_f1(texts, counts, half=False),
        by_kind={kind: f1(each) for kind, each in _by_kind(texts, counts).items()},
        sure=total(each for text, each in zip(texts, counts, strict=True) if text.kind != "own"),
        right=total(counts).correct,
        cost=sum((each.cost for each in said), Cost()),
    )


def _f1(texts: Sequence[Text], counts: Sequence[Counts], *, half: bool) -> Interval:
    return _mean([f1(each) for each in _by_kind(texts, counts, half).values()])


def _gain(texts: Sequence[Text], one: Sequence[Counts], other: Sequence[Counts]) -> Interval:
    here, there = (_by_kind(texts, each, False) for each in (one, other))
    # Of nothing said and nothing to find neither arm is ahead.
    return _mean([f1_gain(here[kind], there[kind]) or Interval(0.0, 0.0, 0.0) for kind in here])


def _by_kind(texts: Sequence[Text], counts: Sequence[Counts], half: bool | None = None) -> dict[Kind, list[Counts]]:
    """The counts of each kind of text, of one half or of both."""
    found: dict[Kind, list[Counts]] = {}
    for text, each in zip(texts, counts, strict=True):
        if half is None or text.chooses is half:
            found.setdefault(text.kind, []).append(each)
    return found


def _mean(each: Sequence[Interval]) -> Interval:
    """The mean of figures that were counted on different texts (Zou and Donner 2008: each side's squares add up).

    Raises:
        ValueError: there is none.
    """
    if not each:
        raise ValueError("no texts to count")
    value = sum(one.value for one in each) / len(each)
    low = sqrt(sum((one.value - one.low) ** 2 for one in each)) / len(each)
    high = sqrt(sum((one.high - one.value) ** 2 for one in each)) / len(each)
    return Interval(value, value - low, value + high)

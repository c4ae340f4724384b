"""Which way of asking is chosen, by what, and what is told of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import count

from triplelake.commands.tune_prompt_messages import Shown
from triplelake.console import terminal
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.gold import Fact, GoldDocument
from triplelake.evaluate.tuning import ENOUGH, Cost, Kind, Said, Text, Tuned, chooses, consensus, drawn_texts, tuned

RIGHT: Fact = ("沈砚", "born_in", "溪州")
ALSO: Fact = ("沈砚", "occupation", "画家")
WRONG: Fact = ("溪州", "born_in", "沈砚")


def text(body: str, *facts: Fact, kind: Kind = "gold", wrong: Sequence[Fact] = ()) -> Text:
    return Text(GoldDocument(body, body, facts), kind, (), tuple(wrong))


def texts_of(each_half: int, *facts: Fact, kind: Kind = "gold", wrong: Sequence[Fact] = ()) -> list[Text]:
    """So many texts of each half."""
    bodies = [f"{kind} {number}" for number in range(20 * each_half)]
    halves = [[body for body in bodies if chooses(body) is half][:each_half] for half in (True, False)]
    return [text(body, *facts, kind=kind, wrong=wrong) for half in halves for body in half]


def said(*facts: Fact, decoded: int = 10) -> Said:
    return Said(facts, Cost(len(facts), 0, 1, not facts, 0, decoded))


def test_the_best_where_texts_choose_is_chosen() -> None:
    texts = texts_of(10, RIGHT)
    found = tuned(
        texts,
        {
            # The one is better on the half that chooses, the other on the half that reports.
            "one": [said(RIGHT if each.chooses else WRONG) for each in texts],
            "other": [said(WRONG if each.chooses else RIGHT) for each in texts],
        },
    )
    assert found.chosen.name == "one"
    assert (found.chosen.choose.value, found.chosen.report.value) == (1.0, 0.0)
    assert [arm.name for arm in found.better] == ["other"]
    assert found.equals == []
    assert (found.choosing, found.reporting, found.with_facts) == (10, 10, 10)


def test_of_equals_the_one_with_fewer_tokens_per_true_triple() -> None:
    texts = texts_of(6, RIGHT)
    answers = {name: [said(RIGHT, decoded=decoded)] * 12 for name, decoded in (("a", 30), ("b", 20), ("c", 25))}
    found = tuned(texts, answers)
    assert (found.chosen.name, found.chosen.price) == ("b", 20)
    assert [arm.name for arm in found.equals] == ["a", "c"]
    # A difference that is none to three decimals is no difference.
    assert tuned(texts, {"a": answers["a"], "none": [said()] * 12}).chosen.name == "a"


def test_what_the_noise_hides_is_told() -> None:
    texts = texts_of(20, RIGHT)
    steps = count()
    better = [said(RIGHT if next(steps) % 2 else WRONG) for _ in texts]
    steps = count()
    hardly = [said(RIGHT if next(steps) % 2 or not step else WRONG) for step, _ in enumerate(texts)]
    worse = [said(WRONG)] * 40
    found = tuned(texts, {"better": better, "hardly": hardly, "worse": worse})
    assert found.chosen.name == "hardly"
    assert [arm.name for arm in found.equals] == ["better"]
    [ahead] = [arm.ahead for arm in found.arms if arm.name == "worse"]
    assert ahead is not None and ahead.low > 0


def test_judged_triples_count_and_others_do_not() -> None:
    texts = texts_of(5, RIGHT, kind="judged", wrong=[WRONG])
    unjudged: Fact = ("沈砚", "alias", "子墨")
    found = tuned(
        texts,
        {
            "right": [said(RIGHT, unjudged)] * 10,
            "both": [said(RIGHT, WRONG)] * 10,
            "unjudged": [said(unjudged)] * 10,
        },
    )
    figures = {arm.name: (arm.sure.correct, arm.sure.predicted, arm.sure.gold) for arm in found.arms}
    assert figures == {"right": (10, 10, 10), "both": (10, 20, 10), "unjudged": (0, 0, 10)}
    assert found.chosen.name == "right"


def test_agreement_is_with_what_more_than_half_of_the_arms_say() -> None:
    assert consensus([[RIGHT], [RIGHT, ALSO], [WRONG]]) == [RIGHT]
    assert consensus([[RIGHT], [ALSO], []]) == []
    assert consensus([[RIGHT], [RIGHT], [ALSO], [ALSO]]) == []
    assert consensus([[("ＡＢ", "alias", "c")], [("ab", "alias", "C")]]) == [("ＡＢ", "alias", "c")]


def test_without_gold_agreement_and_the_known_texts_are_one_half_each() -> None:
    own, known = texts_of(5, kind="own"), texts_of(5, RIGHT, kind="known")
    found = tuned(
        [*own, *known],
        {
            "odd": [*[said(WRONG)] * 10, *[said(RIGHT)] * 10],
            "even": [*[said(ALSO)] * 10, *[said(RIGHT)] * 10],
            "like": [*[said(ALSO)] * 10, *[said(WRONG)] * 10],
        },
    )
    assert found.chosen.name == "even"
    assert {arm.name: arm.by_kind["own"].value for arm in found.arms} == {"odd": 0, "even": 1, "like": 1}
    assert {arm.name: arm.by_kind["known"].value for arm in found.arms} == {"odd": 1, "even": 1, "like": 0}
    assert {arm.name: arm.choose.value for arm in found.arms} == {"odd": 0.5, "even": 1, "like": 0.5}
    # What is agreed on is not known to be true: precision and recall are those of the known texts.
    assert (found.chosen.sure.predicted, found.chosen.right) == (10, 20)
    [like] = [arm for arm in found.arms if arm.name == "like"]
    assert (like.sure.precision, like.by_kind["known"].value) == (0, 0)


def test_a_text_is_always_of_one_half() -> None:
    bodies = [f"句子{number}。" for number in range(400)]
    halves = [chooses(body) for body in bodies]
    assert halves == [chooses(body) for body in bodies]
    assert 150 < sum(halves) < 250
    for seed in (0, 1):
        asked = drawn_texts([text(body) for body in bodies], 50, seed)
        assert [sum(each.chooses is half for each in asked) for half in (True, False)] == [25, 25]
        assert asked == drawn_texts([text(body) for body in reversed(bodies)], 50, seed)
    assert drawn_texts([text(body) for body in bodies], 50, 0) != drawn_texts([text(body) for body in bodies], 50, 1)


def test_a_text_is_drawn_once_and_a_small_half_gives_all() -> None:
    texts = texts_of(3)
    assert len(drawn_texts([*texts, *texts], 100, 0)) == 6
    assert [each.chooses for each in drawn_texts(texts, 5, 0)] == [True] * 3 + [False] * 2


def shown(found: Tuned, **more: str) -> tuple[str, list[str]]:
    told = Shown("model@1", "gold.jsonl", 7, found, ("1 note",))
    out = io.StringIO()
    told.show(terminal(file=out, width=60))
    return out.getvalue(), told.comments()


def test_the_table_has_a_row_for_each_arm_and_the_file_has_the_same() -> None:
    texts = texts_of(6, RIGHT)
    answers = {
        "turns-arrays-example": [Said((RIGHT,), Cost(4, 1, 1, 0, 1, 30))] * 12,
        "text-arrays-told": [said()] * 12,
    }
    printed, comments = shown(tuned(texts, answers))
    assert printed.splitlines()[0] == (
        "model@1: 2 ways of asking; 6 texts choose, 6 others report (seed 7): gold.jsonl"
    )
    # A row stays a line, however narrow the terminal is.
    [row] = [line for line in printed.splitlines() if line.startswith("turns-arrays-example *")]
    assert row.split()[-8:] == ["1.00", "0", "of", "12", "25%", "360", "30", "12"]
    [empty] = [line for line in printed.splitlines() if line.startswith("text-arrays-told")]
    assert empty.split()[-5:] == ["12", "of", "12", "120", "0"]
    assert "Chosen:   turns-arrays-example: F1 1.00 where it was chosen, 1.00 [" in printed
    assert f"Warning:  6 of the texts that choose have facts; with fewer than {ENOUGH}" in printed
    assert "cannot be told apart" not in printed
    assert [line for line in printed.splitlines() if line] == [line for line in comments if line]


def test_enough_texts_are_no_reason_to_warn() -> None:
    texts = texts_of(ENOUGH, RIGHT)
    printed, _ = shown(
        tuned(texts, {"a-b-c": [said(RIGHT)] * len(texts), "d-e-f": [said(RIGHT, decoded=5)] * len(texts)})
    )
    assert "Warning:" not in printed
    assert "Noise:    cannot be told apart from it on that half: a-b-c\n" in printed
    cheaper = {"a": [said(RIGHT)] * 20, "b": [said(RIGHT, decoded=5)] * 20}
    cheaper["b"][0] = said(WRONG)
    printed, _ = shown(tuned(texts_of(10, RIGHT), cheaper))
    assert "told apart from it on that half: b (fewer tokens: b, 6 per true triple, not 10)" in printed


def test_without_gold_it_says_what_that_is_worth() -> None:
    texts = [*texts_of(5, kind="own"), *texts_of(5, RIGHT, kind="known")]
    printed, comments = shown(tuned(texts, {name: [said(RIGHT)] * 20 for name in "abc"}))
    assert "agree" in printed.splitlines()[2] and "known" in printed.splitlines()[2]
    assert "Warning:  A weak guide" in printed and any("A weak guide" in line for line in comments)
    assert "more than half of the arms say" in printed


def test_without_any_answer_about_the_known_texts_their_column_is_empty() -> None:
    texts = texts_of(10, kind="own")
    _, comments = shown(tuned(texts, {name: [said(RIGHT)] * 20 for name in "abc"}))
    assert any(line.startswith("a *") for line in comments)


def test_a_name_cannot_leave_its_comment() -> None:
    found = tuned(texts_of(5, RIGHT), {"a": [said(RIGHT)] * 10})
    comments = Shown("model\nname: other\x1b", "gold.jsonl", 0, found).comments()
    assert comments[0].startswith("model name: other␛: 1 ways") and not any("\n" in line for line in comments)


def test_an_interval_holds_its_value() -> None:
    texts = [*texts_of(8, kind="own"), *texts_of(4, RIGHT, kind="known")]
    answers = {name: [said(RIGHT if rank % 3 else WRONG) for rank in range(24)] for name in "abc"}
    for arm in tuned(texts, answers).arms:
        for found in (arm.choose, arm.report):
            assert isinstance(found, Interval) and 0 <= found.low <= found.value <= found.high <= 1

"""The scorer of Text2KGBench, counted by hand after its rules."""

from __future__ import annotations

import pytest

from triplelake.evaluate.gold import Fact
from triplelake.evaluate.text2kgbench import scorer

HARBOUR: list[Fact] = [("Harbour", "cast member", "Ann Lee"), ("Harbour", "director", "Bo Ray")]


def test_by_hand() -> None:
    found = scorer(
        [
            # Kept: 3 of 4, since `genre` is not in the gold. Right: the first. P 1/3, R 1/2, F1 2/5.
            (
                HARBOUR,
                [
                    ("HARBOUR", "cast_member", "ann_lee"),
                    ("Harbour", "director", "Ann Lee"),
                    ("Ann Lee", "director", "Harbour"),
                    ("Harbour", "genre", "film"),
                ],
            ),
            # All right.
            ([("Tide", "performer", "Cy")], [("Tide", "performer", "Cy")]),
            # Nothing said, nothing kept, nothing to find: 0 each.
            ([("Dune", "author", "Di")], []),
            ([("Dune", "author", "Di")], [("Dune", "genre", "novel")]),
            ([], []),
        ]
    )
    assert (found.precision, found.recall) == pytest.approx(((1 / 3 + 1) / 5, (1 / 2 + 1) / 5))
    assert found.f1 == pytest.approx((2 / 5 + 1) / 5)
    assert (found.dropped, found.said) == (2, 6)
    # Ours: neither `cast_member` nor `ann_lee` is the gold's, so that one of 6 said is right, and 5 are to be found.
    strict, filtered, mean, plain = (value for _, value in found.steps)
    assert strict == pytest.approx(2 * 1 / (6 + 5))
    assert filtered == pytest.approx(2 * 1 / (4 + 5))
    assert mean == pytest.approx(1 / 5)
    assert plain == found.f1


def test_it_knows_nothing_of_scripts_and_widths() -> None:
    found = scorer([([("臺北", "r", "Ａ")], [("台北", "r", "A")])])
    assert (found.f1, found.steps[0][1]) == (0.0, 1.0)
    with pytest.raises(ValueError, match="no documents"):
        scorer([])

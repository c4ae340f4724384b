"""The confidence of the rows of `triples`, with calibrations that weigh second looks and with others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from triplelake.config import AnswerSettings
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.tables.mentions import AnsweredChunk, document_rows
from triplelake.triples.confidence import Calibration
from triplelake.types import Lang

NAMED: dict[Lang, str] = {"zh-Hans": "作者", "zh-Hant": "作者", "en": "author"}
ONTOLOGY = Ontology("test", (Relation("author", NAMED, symmetric=False),))
ANSWER = '[["晨雾","作者","林知远"],["暮雨","作者","林知远"]]'
CHUNK = AnsweredChunk(
    chunk_id="c",
    doc_id="d",
    doc_version="v",
    ordinal=0,
    char_start=0,
    text="林知远写了《晨雾》，又写了《暮雨》。",
    title="",
    context="",
    lang="zh-Hans",
    request_id="r",
    completion=ANSWER,
    truncated=False,
    answered_at=None,
    token_logprobs=[-0.5] * len(ANSWER),
    token_chars=[1] * len(ANSWER),
)
LOOKING = Calibration(0.5, {"look": 2.0}, {})
PLAIN = Calibration(0.5, {"object": 1.0}, {})


def confidences(looks: Sequence[float | None] | None, calibration: Calibration) -> list[float | None]:
    rows = document_rows([replace(CHUNK, looks=looks)], ONTOLOGY, AnswerSettings(), calibration)
    return [row["confidence"] for row in rows]


def test_a_triple_without_its_look_has_no_confidence_where_looks_are_weighed() -> None:
    odds = math.exp(0.5) * (1 / 3) ** 2
    assert confidences([math.log(1 / 4), None], LOOKING) == [pytest.approx(odds / (1 + odds)), None]
    assert confidences(None, LOOKING) == [None, None]


def test_where_looks_are_not_weighed_they_change_nothing() -> None:
    expected = [pytest.approx(1 / (1 + math.e))] * 2
    assert confidences([-1.0, None], PLAIN) == confidences(None, PLAIN) == expected

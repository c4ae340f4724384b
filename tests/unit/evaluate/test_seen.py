"""Gold that a model was trained on: known by its text, refused, left out or told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.gguf_file import ATOM_7B, write_gguf, write_lora

from triplelake.commands.trained import card_of
from triplelake.errors import InputError
from triplelake.evaluate.answers import Answered
from triplelake.evaluate.gold import GoldDocument
from triplelake.evaluate.report import Run
from triplelake.evaluate.seen import SeenPolicy, TrainedOn, read_card, unseen
from triplelake.pool.gguf import declared_alias
from triplelake.triples.identity import text_hash

GOLD = Path("gold.jsonl")


def documents(*texts: str) -> list[tuple[GoldDocument, Answered]]:
    return [
        (GoldDocument(f"d{rank}", text, ()), Answered(f"d{rank}", text, "", "zh-Hans", (), ()))
        for rank, text in enumerate(texts)
    ]


def known(*train: str, dev: tuple[str, ...] = ()) -> TrainedOn:
    return TrainedOn(Path("card.json"), frozenset(map(text_hash, train)), frozenset(map(text_hash, dev)))


def test_what_was_trained_on_is_known_in_any_writing() -> None:
    judged = documents("鲁迅，浙江绍兴人。", "Ada Lovelace was born in London.", "别的。", "Another.")
    card = known("魯迅,浙江紹興人。", dev=("ADA  Lovelace was born in London.",))
    with pytest.raises(InputError) as caught:
        unseen(judged, card, GOLD, "refuse")
    assert caught.value.subject == "gold.jsonl"
    assert caught.value.reason == (
        "2 of 4 documents are known to the model by card.json (1 it was trained on, 1 it was chosen by): d0, d1"
    )
    assert "--seen allow" in caught.value.remedy
    left, (note,) = unseen(judged, card, GOLD, "drop")
    assert [each.id for each, _ in left] == ["d2", "d3"] and note.endswith("they are left out")
    everything, (note,) = unseen(judged, card, GOLD, "allow")
    assert everything == judged and "what it remembers" in note


@pytest.mark.parametrize("policy", get_args(SeenPolicy))
def test_gold_that_is_new_is_judged_and_said_to_be_new(policy: SeenPolicy) -> None:
    judged = documents("甲。", "乙。")
    assert unseen(judged, known("丙。"), GOLD, policy)[0] == judged
    assert "was not trained on them" in unseen(judged, known("丙。"), GOLD, policy)[1][0]


def test_the_text_of_the_output_counts_too() -> None:
    judged = [(GoldDocument("d", "甲乙。", ()), Answered("d", "甲 乙。", "", "zh-Hans", (), ()))]
    with pytest.raises(InputError, match="1 of 1"):
        unseen(judged, known("甲 乙。"), GOLD, "refuse")


def test_gold_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(InputError, match="none is left"):
        unseen(documents("甲。"), known("甲。"), GOLD, "drop")


def test_three_of_many_are_named() -> None:
    texts = [f"第{rank}句。" for rank in range(9)]
    with pytest.raises(InputError, match=r": d0, d1, d2, …\n"):
        unseen(documents(*texts), known(*texts), GOLD, "refuse")


@given(st.lists(st.text(alphabet="甲乙丙 ", max_size=4)), st.lists(st.text(alphabet="甲乙丙 ", max_size=4)))
def test_what_is_left_and_what_was_seen_are_all(texts: list[str], trained: list[str]) -> None:
    judged = documents(*texts, "丁")
    left, _ = unseen(judged, known(*trained), GOLD, "drop")
    hashes = {text_hash(each) for each in trained if each.strip()}
    assert left == [pair for pair in judged if text_hash(pair[0].text) not in hashes or not pair[0].text.strip()]


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_card_of_data_and_of_an_adapter(tmp_path: Path, wrapped: bool) -> None:
    card: dict[str, Any] = {"version": 1, "hashes": {"train": ["a"], "dev": ["b"], "apart": ["c"]}}
    file = tmp_path / "card.json"
    file.write_text(json.dumps({"base": "x", "data": card} if wrapped else card), encoding="utf-8")
    assert read_card(file) == TrainedOn(file, frozenset("a"), frozenset("b"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ("{", "is not JSON"), ("[]", "lists no texts"), ('{"hashes": 1}', "lists no texts")],
)
def test_a_card_that_is_none(tmp_path: Path, content: str | None, reason: str) -> None:
    file = tmp_path / "card.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=reason):
        read_card(file)


def test_the_card_beside_the_adapter_is_taken_while_it_is_the_one_that_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shapes: dict[str, tuple[int, int]] = {"blk.0.attn_q.weight": (8, 6)}
    model = write_gguf(tmp_path / "base.gguf", ATOM_7B, dict(shapes))
    lora = write_lora(tmp_path / "own.gguf", shapes)
    settings = {"pool": "embedded", "embedded": {"model": str(model), "lora": str(lora)}}
    run = Run(output="kg", model=f"{declared_alias(model, lora)} Q8_0 1p 2v", settings=settings)

    def note() -> str:
        card, told = card_of(run)
        assert card is None and told is not None
        return told

    assert f"{tmp_path / 'card.json'} is not there" in note()
    (tmp_path / "card.json").write_text("{}")
    assert card_of(run) == (tmp_path / "card.json", None)
    write_lora(lora, shapes, spread=0.3)
    assert "another adapter lies at" in note()


def test_the_card_beside_a_merged_model_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = write_gguf(tmp_path / "base+own-q8_0.gguf", ATOM_7B, {"blk.0.attn_q.weight": (8, 6)})
    settings = {"pool": "embedded", "embedded": {"model": str(model)}}
    run = Run(output="kg", model=f"{declared_alias(model)} Q8_0 1p 2v", settings=settings)
    assert card_of(run)[0] is None
    (tmp_path / "card.json").write_text("{}")
    assert card_of(run) == (tmp_path / "card.json", None)
    model.write_bytes(model.read_bytes() + b"0")
    assert card_of(run)[0] is None


def test_a_pool_that_answered_with_an_adapter_wants_a_card_to_be_named() -> None:
    run = Run(output="kg", model="base+own@0123456789ab Q8_0 1p 2v", settings={"pool": "http://gpu-1:8080"})
    assert card_of(run)[0] is None
    assert "--card" in (card_of(run)[1] or "")


@pytest.mark.parametrize("model", [None, "base@0123456789ab Q8_0 1p 2v"])
def test_a_model_without_an_adapter_has_no_card(model: str | None) -> None:
    assert card_of(Run(output="kg", model=model)) == (None, None)

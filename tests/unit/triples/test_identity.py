"""Stored ids must never change by accident, and never mix up what they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triplelake.triples import identity

PARTS = st.lists(st.text(max_size=6), max_size=5)


@pytest.mark.parametrize(
    ("make", "parts", "known"),
    [
        (identity.stable_hash, (), "e3b0c44298fc1c149afbf4c8996fb924"),
        (identity.stable_hash, ("a", "bc"), "3fafa1cf2f19a7c1129beb20cf0983f7"),
        (identity.doc_version, ("林知远写了《晨雾》。", "晨雾"), "705cdae1c9f6267ca1076507d29bee0b"),
        (identity.request_id, ("key", "en", "text", "title", "context"), "b68fba00ba814d6ba9f5c6c754657b6d"),
        (identity.chunk_id, ("doc", "version", "key", 12), "a75c45984363d9602ae50d7adef41218"),
        (identity.entity_id, ("臺灣",), "d1bdf74c8f985d0daabbc618082edc9e"),
        (identity.fact_id, ("晨霧", "author", "林知遠"), "4ff592a2fedd8c6d3beff2f27cb8d83f"),
        (identity.triple_id, ("doc", "fact", "林知远写了《晨雾》。", 0), "c25237d3552ec3d58f17e38573c32c6f"),
    ],
)
def test_known_vectors_stay_fixed(make: Callable[..., str], parts: tuple[str | int, ...], known: str) -> None:
    assert make(*parts) == known


def test_a_text_is_known_by_what_it_says() -> None:
    assert identity.text_hash("臺灣  ＩＢＭ") == hashlib.sha256("台湾 ibm".encode()).hexdigest()


def test_stable_hash_is_sha256_over_length_prefixed_parts() -> None:
    fed = (3).to_bytes(8, "big") + "雾".encode() + (1).to_bytes(8, "big") + b"a"
    assert identity.stable_hash("雾", "a") == hashlib.sha256(fed).hexdigest()[:32]


@given(PARTS, PARTS)
def test_equal_hashes_mean_equal_parts(first: list[str], second: list[str]) -> None:
    assert (identity.stable_hash(*first) == identity.stable_hash(*second)) == (first == second)


@given(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=4), st.data())
def test_moving_characters_between_parts_changes_the_hash(parts: list[str], data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, len(parts) - 2))
    moved = [*parts]
    moved[rank], moved[rank + 1] = parts[rank][:-1], parts[rank][-1] + parts[rank + 1]
    assert "".join(moved) == "".join(parts)
    assert identity.stable_hash(*moved) != identity.stable_hash(*parts)
    assert identity.stable_hash(*parts, "") != identity.stable_hash(*parts)


@pytest.mark.parametrize(
    ("one", "other"),
    [("臺灣", "台湾"), ("ＩＢＭ", "ibm"), ("New  York", "new york"), ("Stra\u00dfe", "STRASSE"), ("e\u0301", "é")],
)
def test_spellings_of_an_entity_share_its_id(one: str, other: str) -> None:
    assert identity.entity_id(one) == identity.entity_id(other)
    assert identity.fact_id(one, "author", "林知遠") == identity.fact_id(other, "author", "林知远")


def test_the_order_of_arguments_and_the_predicate_count() -> None:
    assert identity.fact_id("甲", "parent", "乙") != identity.fact_id("乙", "parent", "甲")
    assert identity.fact_id("甲", "parent", "乙") != identity.fact_id("甲", "child", "乙")


def test_no_title_and_an_empty_title_are_one_version_of_a_document() -> None:
    assert identity.doc_version("text", None) == identity.doc_version("text", "") == identity.stable_hash("text", "")
    assert identity.doc_version("text", "t") != identity.doc_version("textt", "")


def test_each_part_of_a_request_changes_its_id() -> None:
    base = ("key", "en", "text", "title", "context")
    variants = {
        identity.request_id(*(part + "x" if n == rank else part for n, part in enumerate(base))) for rank in range(5)
    }
    assert len(variants | {identity.request_id(*base)}) == 6

"""Settings that do nothing beside the others are named; those that act, and defaults, are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from triplelake.commands.idle import idle_for_republish, idle_settings
from triplelake.config import CorpusFormat, Settings, load_settings
from triplelake.corpus.readers import READERS, Reader

# What is set, the format of the input, and the key that does nothing by it.
IDLE: list[tuple[dict[str, Any], CorpusFormat, str]] = [
    ({"corpus.encoding": "gb18030"}, "parquet", "corpus.encoding: Spark reads parquet"),
    ({"corpus.split_mb": 8}, "delta", "corpus.split_mb: Spark reads delta"),
    ({"corpus.id_prefix": "news-"}, "jsonl", "corpus.id_prefix: documents without an id column"),
    ({"chunking.target_tokens": 300}, "jsonl", "chunking.target_tokens: chunking.max_tokens, 240, is less"),
    ({"asking.timeout_s": 1200}, "jsonl", "asking.timeout_s: asking.deadline_s, 900, is less"),
    ({"asking.ca_file": "ca.pem"}, "jsonl", "asking.ca_file: the embedded server is asked over http"),
    ({"budget.success": True}, "jsonl", "budget.success: no budget is set"),
    ({"run.sheet_rows": 50}, "jsonl", "run.sheet_rows: no sheet is written without --sample"),
    ({"run.seed": 7}, "jsonl", "run.seed: nothing is drawn"),
    ({"run.allow_removals": 9}, "jsonl", "run.allow_removals: only --mode replace removes"),
    ({"pool": "http://gpu:8080", "embedded.slots": 16}, "jsonl", "embedded.slots: the pool is not `embedded`"),
    ({"api_key": "k"}, "jsonl", "api_key: the embedded server has a key of its own"),
]
ACT: list[tuple[dict[str, Any], CorpusFormat]] = [
    ({"corpus.encoding": "gb18030", "corpus.split_mb": 8}, "jsonl"),
    ({"corpus.id_prefix": "news-", "corpus.id_column": "id"}, "jsonl"),
    ({"corpus.id_prefix": "news-"}, "text"),
    ({"chunking.max_tokens": 100}, "jsonl"),
    ({"asking.deadline_s": 100}, "jsonl"),
    ({"run.seed": 7, "run.sample": 5, "run.sheet_rows": 50}, "jsonl"),
    ({"run.mode": "replace", "run.allow_removals": 9}, "jsonl"),
    ({"embedded.slots": 16}, "jsonl"),
    ({"pool": "http://gpu:8080", "api_key": "k", "asking.ca_file": "ca.pem"}, "jsonl"),
    ({"budget.success": True, "budget.max_requests": 5}, "jsonl"),
    ({"budget.success": True, "cost.max": 5, "cost.gpu_hour": 2}, "jsonl"),
    ({}, "parquet"),
]


def settings(given: dict[str, Any]) -> Settings:
    return load_settings(None, given, {})


@pytest.mark.parametrize(("given", "form", "told"), IDLE)
def test_a_setting_that_does_nothing_is_named_with_the_reason(
    given: dict[str, Any], form: CorpusFormat, told: str
) -> None:
    (line,) = idle_settings(settings(given), form)
    assert line.startswith(told)


@pytest.mark.parametrize(("given", "form"), ACT)
def test_settings_that_act_are_not_named(given: dict[str, Any], form: CorpusFormat) -> None:
    assert idle_settings(settings(given), form) == []


def test_a_binary_format_asks_for_no_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    binary = replace(READERS["text"], binary=True)
    monkeypatch.setitem(cast(dict[CorpusFormat, Reader], READERS), "text", binary)
    told = idle_settings(settings({"corpus.encoding": "gb18030"}), "text")
    assert told == ["corpus.encoding: text is no plain text"]


def test_the_seed_acts_where_a_probe_draws() -> None:
    assert idle_settings(settings({"run.seed": 7}), "jsonl", probing=True) == []


def test_no_budget_bounds_a_probe() -> None:
    told = idle_settings(settings({"budget.max_tokens": 7}), "jsonl", probing=True)
    assert told == ["budget.max_tokens: a probe asks as many questions as it says"]


def test_nothing_narrows_a_republication() -> None:
    given = settings({"run.limit": 5, "run.seed": 7})
    assert idle_for_republish(given) == ["run.limit: --republish goes over all answers of these settings"]
    assert idle_for_republish(settings({})) == []

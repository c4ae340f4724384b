"""An argument that stands in the title, or in the text before a chunk, is found there by its place in the tables."""

from __future__ import annotations

from typing import Any

import pytest
from harness.bench import Bench

pytestmark = pytest.mark.spark

_DOCUMENTS = {
    "zh": (
        "江河志",
        "林若兰生于临川城。她在云梦书院教书。后来书院迁往栎川市，由陶霁言主持。再后来又有霁禾传媒入驻其中。",
    ),
    "hant": ("蘇晚晴", "嵐硯科技總部設於櫟川市。公司由顧長風創立。後來又在雲州開設了實驗室。如今歸霽禾傳媒所有。"),
    "en": (
        "Harrow Quay",
        "The Meridian Star left Ostrell at dawn. Her captain was Bram Oskeld of Tarvenhold. He had sailed from "
        "Lisbon to Hollin before. Later Neva Tolliday commanded her, and Juno Harkwell kept the books.",
    ),
}


def test_every_argument_stands_where_the_tables_say(bench: Bench) -> None:
    bench.backend.around = True
    rows = [{"id": name, "title": title, "text": text} for name, (title, text) in _DOCUMENTS.items()]
    small: dict[str, Any] = {"chunking__target_tokens": 12, "chunking__max_tokens": 24, "chunking__context_tokens": 40}
    columns: dict[str, Any] = {"corpus__id_column": "id", "corpus__title_column": "title"}
    bench.extract(bench.corpus(rows), **small, **columns)
    seen = set()
    for row in bench.lake.rows("triples"):
        title, text = _DOCUMENTS[row["doc_id"]]
        for side in ("subject", "object"):
            place = row[f"{side}_from"]
            source = title if place == "title" else text
            assert source[row[f"{side}_start"] : row[f"{side}_end"]] == row[side], row
            seen.add((row["doc_id"], side, place))
    assert seen >= {(name, "subject", place) for name in _DOCUMENTS for place in ("chunk", "title", "context")}

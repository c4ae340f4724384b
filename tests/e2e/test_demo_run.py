"""The job as a newcomer runs it: the sample corpus, the real llama.cpp server, the real small model."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from harness.jobs import ROOT, run_job
from harness.lake import Lake, check_offsets, check_unique
from harness.servers import Counted, Forwarded, question

from triplelake.pool.endpoints import Endpoint
from triplelake.types import Request

pytestmark = [pytest.mark.spark, pytest.mark.model]

_PASSAGES = 3


def test_every_request_is_answered_once_and_every_triple_is_grounded(llama_server: Endpoint, tmp_path: Path) -> None:
    corpus = ROOT / "conf" / "demo" / "corpus.jsonl"
    with corpus.open(encoding="utf-8") as lines:
        # From all over the file, so that every language is among them.
        every = sum(1 for _ in lines) // _PASSAGES
        lines.seek(0)
        chosen = list(islice(lines, 0, every * _PASSAGES, every))
    file = tmp_path / "passages.jsonl"
    file.write_text("".join(chosen), encoding="utf-8")
    proxy = Counted(Forwarded(llama_server))
    lake = Lake(tmp_path / "kg")
    words = ["jobs/extract.py", "--input", file, "--output", tmp_path / "kg", "--pool", proxy.url]
    words += ["--id-column", "id", "--title-column", "title"]
    ended = run_job(words, tmp_path, api_key=llama_server.api_key or "")

    assert ended.code == 0, ended.text
    assert "Traceback" not in ended.text and "WARN" not in ended.text
    asked = {
        row["request_id"]: question(Request("", row["text"], row["title"], row["context"], row["lang"]))
        for row in lake.rows("requests")
    }
    attempts = lake.rows("attempts")
    assert Counter(row["request_id"] for row in attempts) == Counter(asked.keys())
    assert {row["status"] for row in attempts} <= {"ok", "empty"}
    # A DataFrame that was evaluated twice would have asked everything twice.
    assert Counter(proxy.asked) == Counter({asked[row["request_id"]]: row["tries"] for row in attempts})
    assert check_offsets(lake) > 0
    check_unique(lake)
    states = Counter(row["state"] for row in lake.rows("documents"))
    assert states == {"planned": _PASSAGES, "published": _PASSAGES}
    assert {row["lang"] for row in lake.rows("chunks")} == {"zh-Hans", "zh-Hant", "en"}

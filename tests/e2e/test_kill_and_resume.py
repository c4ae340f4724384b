"""`kill -9` at any moment costs nothing that was committed, and the same command goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.bench import Bench
from harness.jobs import Job
from harness.lake import Lake, Row, check_derived, check_offsets, check_unique
from harness.servers import Counted, general_ontology, question

from triplelake.config import AnswerSettings
from triplelake.engine.planning.draft import Draft
from triplelake.engine.run_row import RunRow
from triplelake.types import Request

pytestmark = pytest.mark.spark

_FAMILIES = "赵钱孙李周吴郑王冯陈"
_TEXTS = [
    *(f"{family}若兰生于临川城，后来在云梦书院教书{number}年。" for number, family in enumerate(_FAMILIES)),
    *(f"{family}若蘭生於臨川城，後來在雲夢書院教書{number}年。" for number, family in enumerate(_FAMILIES)),
    *(
        f"Ada Vale{chr(97 + number)} was born in Tarven and taught at Ostrell for {number} years."
        for number in range(5)
    ),
]


def write_corpus(folder: Path) -> Path:
    """25 documents of one chunk each, in three languages."""
    file = folder / "corpus.jsonl"
    lines = [json.dumps({"id": f"d{number}", "text": text}, ensure_ascii=False) for number, text in enumerate(_TEXTS)]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def questions_of(rows: list[Row], chunks: list[Row]) -> set[str]:
    """The questions behind rows of `attempts`."""
    asked = {chunk["request_id"]: chunk for chunk in chunks}
    found = [asked[row["request_id"]] for row in rows]
    return {
        question(Request(row["request_id"], row["text"], row["title"], row["context"], row["lang"])) for row in found
    }


def by_request(rows: list[Row]) -> dict[str, Row]:
    return {row["request_id"]: row for row in rows}


class Interrupted:
    """A job over one output that is started and killed again and again; each start is checked against the last."""

    def __init__(self, folder: Path, server: Counted) -> None:
        self.folder = folder
        self.server = server
        self.lake = Lake(folder / "kg")
        self.file = write_corpus(folder)
        # Small buckets and waves, so that there are several commits to die between.
        self.settings: dict[str, Any] = {"corpus__id_column": "id", "run__bucket_size": 4, "run__wave_s": 0.001}
        chosen = [f"{name.replace('__', '.')}={value}" for name, value in self.settings.items()]
        self.words = ["jobs/extract.py", "--input", self.file, "--output", folder / "kg", "--pool", server.url]
        self.words += [word for each in chosen for word in ("--set", each)]
        self._committed: list[Row] = []

    @contextmanager
    def start(self) -> Iterator[Job]:
        """Start the command; at the end of the block `kill -9` and look at what it left."""
        self.server.forget()
        job = Job(self.words, self.folder)
        try:
            yield job
        finally:
            job.kill()
        self.server.wait_until(lambda: self.server.waiting == 0, "the last connection to be cut")
        self.check()

    def check(self) -> None:
        """What was committed before is as it was, and was not asked again."""
        assert not questions_of(self._committed, self._chunks()) & set(self.server.asked)
        attempts = self.lake.rows("attempts") if self.lake.version("attempts") >= 0 else []
        now = by_request(attempts)
        assert len(now) == len(attempts), "a request was answered twice"
        for row in self._committed:
            assert now[row["request_id"]] == row
        self._committed = attempts

    def grown(self, table: str) -> Callable[[], bool]:
        """Whether a table has a commit more than now."""
        before = max(self.lake.version(table), 0)
        return lambda: self.lake.version(table) > before

    @property
    def committed(self) -> int:
        return len(self._committed)

    def _chunks(self) -> list[Row]:
        return self.lake.rows("chunks") if self.lake.version("chunks") >= 0 else []


@pytest.mark.infra  # takes a minute or two
def test_killed_again_and_again(bench: Bench) -> None:
    scripted = bench.server
    runs = Interrupted(bench.folder, scripted)

    # The plan is sealed, and nobody has been asked.
    scripted.hold()
    with runs.start() as job:
        job.wait_until(runs.grown("plans"), "the plan is sealed")
    assert runs.committed == 0
    scripted.release()

    # A wave is answered and committed, and not a single question after it.
    commit = runs.grown("attempts")
    scripted.hold(lambda _: commit())
    with runs.start() as job:
        job.wait_until(commit, "a commit of answers")
    assert 0 < runs.committed < len(_TEXTS)

    # Triples are written, and perhaps not yet the rows that publish them.
    commit_once_more = runs.grown("attempts")
    scripted.hold(lambda _: commit_once_more())
    with runs.start() as job:
        job.wait_until(runs.grown("triples"), "a commit of triples")
    assert runs.committed < len(_TEXTS)

    scripted.release()
    scripted.forget()
    bench.extract(runs.file, **runs.settings)
    assert "Going on with the plan of an earlier run" in bench.said
    runs.check()
    assert runs.committed == len(_TEXTS)
    check_unique(runs.lake)
    assert check_offsets(runs.lake) > 0
    assert {row["doc_id"] for row in runs.lake.view("current_documents")} == {f"d{i}" for i in range(len(_TEXTS))}
    check_derived(runs.lake, general_ontology(), AnswerSettings())
    check_nothing_left(runs, bench)


class Gone(Exception):
    """Stands for the end of the driver."""


def test_a_driver_that_is_gone_before_its_plan_is_sealed_and_before_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go(*_: object) -> None:
        raise Gone

    file = write_corpus(bench.folder)
    with monkeypatch.context() as patch, pytest.raises(Gone):
        patch.setattr(Draft, "_seal", go)
        bench.extract(file, corpus__id_column="id")
    assert bench.lake.counts()["requests"] == len(_TEXTS)
    assert bench.server.asked == []

    # A new plan over the same documents, whose chunks are there already.
    with monkeypatch.context() as patch, pytest.raises(Gone):
        patch.setattr(RunRow, "_write", go)
        bench.extract(file, corpus__id_column="id")
    assert "Going on" not in bench.said
    assert len(bench.server.asked) == len(_TEXTS)
    assert bench.lake.counts()["chunks"] == bench.lake.counts()["attempts"] == len(_TEXTS)
    check_unique(bench.lake)
    assert len(bench.lake.view("current_documents")) == len(_TEXTS)

    bench.server.forget()
    counts = bench.lake.counts()
    bench.extract(file, corpus__id_column="id")
    assert bench.server.asked == []
    assert bench.lake.counts() == counts | {"runs": counts["runs"] + 1}


def check_nothing_left(runs: Interrupted, bench: Bench) -> None:
    """The same command once more adds a row to `runs`, and nothing to any other table."""
    runs.server.forget()
    versions, counts = runs.lake.versions(), runs.lake.counts()
    bench.extract(runs.file, **runs.settings)
    assert "an earlier run has done all of this input" in bench.said
    assert runs.server.asked == []
    assert runs.lake.versions() == versions | {"runs": versions["runs"] + 1}
    assert runs.lake.counts() == counts | {"runs": counts["runs"] + 1}

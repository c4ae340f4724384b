"""The job killed with `kill -9` at random moments, with the real model, and started again by the same command.

    python tests/benchmarks/kill_and_resume.py --input FILE --limit 40 --kills 5 --seed 1

A proxy in front of the real server counts what is asked. A kill comes a random moment after a random number of
answers, so that some fall into the start, some into planning, asking, committing and publishing. After each, and after
the run that ends the work, it is checked that

- what was committed is as it was, to the last column, and was not asked again;
- no request is answered twice in `attempts`;
- at the end the triples are those that the stored answers give, and every offset gives back its surface;
- the same command once more asks nothing and adds a row to `runs` and to no other table.

It prints a line per start, and leaves with 1 if anything of this does not hold.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness.deadline import wait_until
from harness.jobs import Job, run_job
from harness.lake import Lake, Row, check_derived, check_offsets, check_unique
from harness.servers import Counted, Forwarded, general_ontology, question
from verdict import passes, print_checks

from triplelake.config import AnswerSettings, EmbeddedSettings
from triplelake.pool.embedded import EmbeddedServer
from triplelake.types import Request

_WITHIN_S = 12.0
"""A kill comes at most so long after the answer that it waits for: about the start of Spark, or two waves."""

_HEADER = (
    f"{'start':>6}{'ended':>9}{'seconds':>9}{'asked':>8}{'answered':>10}{'committed':>11}{'published':>11}{'again':>7}"
)


@dataclass
class Series:
    """Starts of one command over one output.

    Attributes:
        again: questions that were asked although their answer was committed.
        spent: answers that were decoded, over all starts.
    """

    words: Sequence[object]
    folder: Path
    api_key: str
    proxy: Counted
    lake: Lake
    again: int = field(default=0, init=False)
    spent: int = field(default=0, init=False)
    _committed: dict[str, Row] = field(default_factory=dict, init=False)

    def kill(self, answers: int, pause_s: float) -> None:
        """Start, and kill after so many answers and a pause; a run that is faster ends by itself."""
        self.proxy.forget()
        began = time.monotonic()
        job = Job(self.words, self.folder, api_key=self.api_key)
        wait_until(lambda: len(self.proxy.answered) >= answers or not job.runs, "the answers to kill after")
        end = time.monotonic() + pause_s
        wait_until(lambda: time.monotonic() >= end or not job.runs, "the moment to kill at")
        by_itself = not job.runs
        job.kill() if not by_itself else job.wait()
        self._look("by itself" if by_itself else "killed", began)

    def finish(self) -> None:
        """Start, and let it end."""
        self.proxy.forget()
        began = time.monotonic()
        ended = run_job(self.words, self.folder, api_key=self.api_key)
        self._look(f"code {ended.code}", began)
        if ended.code:
            raise SystemExit(ended.text)

    @property
    def committed(self) -> int:
        return len(self._committed)

    def _look(self, how: str, began: float) -> None:
        seconds = time.monotonic() - began
        wait_until(lambda: self.proxy.waiting == 0, "the last question to be cut")
        asked, answered = list(self.proxy.asked), len(self.proxy.answered)
        attempts = self._rows("attempts")
        now = {row["request_id"]: row for row in attempts}
        assert len(now) == len(attempts), "a request stands in `attempts` twice"
        for request_id, row in self._committed.items():
            assert now[request_id] == row, f"the committed attempt {request_id} changed"
        questions = {
            row["request_id"]: question(Request("", row["text"], row["title"], row["context"], row["lang"]))
            for row in self._rows("chunks")
        }
        committed_questions = {questions[request_id] for request_id in self._committed}
        again = sum(count for text, count in Counter(asked).items() if text in committed_questions)
        self.again += again
        self.spent += answered
        self._committed = now
        published = sum(row["state"] == "published" for row in self._rows("documents"))
        cells = (
            f"{seconds:9.1f}",
            f"{len(asked):8}",
            f"{answered:10}",
            f"{len(now):11}",
            f"{published:11}",
            f"{again:7}",
        )
        print(f"{how:>15}{''.join(cells)}", flush=True)

    def _rows(self, table: str) -> list[Row]:
        return self.lake.rows(table) if self.lake.version(table) >= 0 else []


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    chance = random.Random(arguments.seed)
    embedded = EmbeddedSettings(slots=4, context_per_slot=arguments.context, model=arguments.model)
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(embedded) as server:
        folder = Path(name)
        proxy = Counted(Forwarded(server.endpoint))
        words = ["jobs/extract.py", "--input", arguments.input.absolute(), "--output", folder / "kg"]
        words += ["--pool", proxy.url, "--limit", arguments.limit, *arguments.more]
        # Small waves: a kill is to meet commits, not only the first wave.
        words += [
            "--set",
            "run.preflight=false",
            "--set",
            "run.bucket_size=4",
            "--set",
            f"run.wave_s={arguments.wave_s}",
        ]
        series = Series(words, folder, server.endpoint.api_key or "", proxy, Lake(folder / "kg"))
        print(_HEADER)
        for left in range(arguments.kills, 0, -1):
            open_requests = max(1, arguments.limit - series.committed)
            series.kill(chance.randint(0, max(1, open_requests // left)), chance.uniform(0, _WITHIN_S))
        series.finish()
        return _verdict(series)


def _verdict(series: Series) -> int:
    lake = series.lake
    requests, triples = series.committed, len(lake.rows("triples"))
    versions, counts = lake.versions(), lake.counts()
    series.finish()
    checks: dict[str, Callable[[], bool]] = {
        "nothing committed was asked again": lambda: series.again == 0,
        "each request is answered once": lambda: passes(lambda: check_unique(lake)),
        "every planned document is published": lambda: (
            not lake.query(
                "SELECT doc_id FROM documents WHERE state = 'planned' EXCEPT SELECT doc_id FROM current_documents"
            )
        ),
        "triples are those that the answers give": lambda: passes(
            lambda: check_derived(lake, general_ontology(), AnswerSettings())
        ),
        "offsets give back every surface": lambda: passes(lambda: check_offsets(lake)),
        "once more: a row in `runs`, nothing else": lambda: (
            not series.proxy.asked
            and lake.versions() == versions | {"runs": versions["runs"] + 2}
            and lake.counts() == counts | {"runs": counts["runs"] + 1}
        ),
    }
    held = {name: check() for name, check in checks.items()}
    print(f"\n{requests} requests answered and {triples} triples; {series.spent} answers were decoded for them")
    return print_checks(held)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="a corpus of any format")
    parser.add_argument("--limit", type=int, default=40, help="documents to read")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--model", type=Path, help="GGUF; else the small one of the `embedded` extra")
    parser.add_argument("--context", type=int, default=4096, help="tokens per slot")
    parser.add_argument("--wave-s", type=float, default=5.0, help="seconds of a wave")
    parser.add_argument("more", nargs="*", help="after `--`: more options of jobs/extract.py")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

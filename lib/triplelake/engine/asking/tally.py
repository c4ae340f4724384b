"""What the committed waves of a run brought, and whether that is good enough to go on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from triplelake.codes import Code
from triplelake.engine.asking.buckets import Bucket
from triplelake.errors import TooManyFailures

COUNTED = (
    "status",
    "error_code",
    "endpoint",
    "failed_tries",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "latency_ms",
)
"""The columns of `attempts` that are counted."""

_STEP = math.log(1.02)


class Latencies:
    """How long answers took, kept as a histogram whose bounds grow by 2 %, so that any number of them takes no room."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, ms: float) -> None:
        self._counts[round(math.log(max(ms, 0.01)) / _STEP)] += 1

    def percentile(self, share: float) -> float | None:
        """Milliseconds that this share of the answers took at most, to 1 %; None if there was no answer."""
        wanted, seen = share * self._counts.total(), 0
        for bound in sorted(self._counts):
            seen += self._counts[bound]
            if seen >= wanted:
                return math.exp(bound * _STEP)
        return None


@dataclass(slots=True)
class EndpointTally:
    """What one server did.

    Args:
        answered: requests whose good answer is its. failed: requests that failed and were last seen there.
        failed_tries: by cause, those of requests included that got no row and are asked again.
    """

    answered: int = 0
    failed: int = 0
    failed_tries: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    latencies: Latencies = field(default_factory=Latencies)

    def row(self, url: str) -> dict[str, object]:
        """An entry of `runs.endpoints`."""
        counts = ("answered", "failed", "prompt_tokens", "cached_tokens", "completion_tokens")
        return {
            "url": url,
            **{name: getattr(self, name) for name in counts},
            "failed_tries": self.failed_tries.total(),
            **{f"latency_p{share}_ms": self.latencies.percentile(share / 100) for share in (50, 95, 99)},
        }


@dataclass(frozen=True, slots=True)
class WaveResult:
    """A committed wave.

    Args:
        sent: requests.
        rows: what came of them (`COUNTED`, and `triples` as a number).
        unwritten: failed tries of requests that got no row, by the server's URL and the code.
    """

    wave: int
    sent: int
    buckets: tuple[Bucket, ...]
    rows: pa.Table
    unwritten: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        """Rows that stand in `attempts`, failed ones included."""
        return int(self.rows.num_rows)


@dataclass
class Tally:
    """Sums over the committed waves of a run; `seconds` from the first wave's start to the last commit.

    `empty` are good answers without a triple, `cut` those of which the end is missing.
    """

    answered: int = 0
    failed: int = 0
    empty: int = 0
    cut: int = 0
    triples: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    endpoints: dict[str, EndpointTally] = field(default_factory=dict)

    @property
    def failed_tries(self) -> Counter[str]:
        """By cause, over all servers."""
        return sum((endpoint.failed_tries for endpoint in self.endpoints.values()), Counter())

    def add(self, result: WaveResult, seconds: float) -> None:
        self.seconds = seconds
        self.answered += result.answered
        for (url, code), times in result.unwritten.items():
            self._endpoint(url).failed_tries[code] += times
        for row in result.rows.to_pylist():
            self.triples += row["triples"]
            for each in row["failed_tries"]:
                self._endpoint(each["endpoint"]).failed_tries[each["code"]] += 1
            failed = row["status"] == "failed"
            self.failed += failed
            self.empty += row["status"] == "empty"
            self.cut += row["error_code"] == Code.TRUNCATED
            endpoint = self._endpoint(row["endpoint"] or "")
            if failed:
                endpoint.failed += 1
            else:
                endpoint.answered += 1
                endpoint.latencies.add(row["latency_ms"])
            for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
                for sums in (self, endpoint):
                    setattr(sums, name, getattr(sums, name) + row[name])

    def _endpoint(self, url: str) -> EndpointTally:
        return self.endpoints.setdefault(url, EndpointTally())


def check_failures(tally: Tally, max_failure_rate: float) -> None:
    """Raise TooManyFailures if more than the allowed share of the answers failed."""
    if tally.answered and tally.failed / tally.answered > max_failure_rate:
        raise TooManyFailures(
            "requests",
            f"{tally.failed} of {tally.answered} failed; run.max_failure_rate allows {max_failure_rate:.0%}",
            "The view `failures` shows each with its cause. What succeeded is kept and published.",
        )

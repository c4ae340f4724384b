"""How often intervals hold the truth: shares of alike triples in few documents, and what one run has over another.

    .venv/bin/python tests/benchmarks/intervals.py [--samples 1000]

Documents are drawn with precisions of their own (beta distribution), so that their triples are alike to the named
degree (intraclass correlation); a document has one triple at least, and the others are dealt evenly, or as unevenly as
an exponential distribution has it. Of every setting the share of samples is counted whose 95 % interval holds the true
precision. Prints a table; nothing is written.
"""

from __future__ import annotations

import argparse
import random
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from statistics import mean

from triplelake.evaluate.bootstrap import Interval, differences, intervals
from triplelake.evaluate.metrics import Counts
from triplelake.evaluate.shares import gain, share, wilson

SIZES = ((10, 20), (10, 50), (10, 200), (20, 40), (20, 100), (40, 60), (40, 200), (80, 100), (80, 200))
"""Documents, and triples in all of them."""
PRECISIONS = (0.05, 0.2, 0.5, 0.8, 0.95)
ALIKE = (0.0, 0.1, 0.3, 0.5)
GAINS = (0.0, 0.05, -0.1, 0.2)

Counted = tuple[list[float], list[float]]
"""Of each document its right triples, and its triples."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What samples are drawn from; `gain` is what the second run has over the first."""

    documents: int
    triples: int
    precision: float
    alike: float
    even: bool
    gain: float = 0.0


def drawn(setting: Setting, rng: random.Random) -> tuple[Counted, Counted]:
    """Two runs over the same documents: what is hard for one is as hard for the other."""
    weights = [1.0 if setting.even else rng.expovariate(1) for _ in range(setting.documents)]
    ends = list(accumulate(weights))
    sizes = [1] * setting.documents
    for _ in range(setting.triples - setting.documents):
        sizes[min(bisect(ends, rng.random() * ends[-1]), setting.documents - 1)] += 1
    runs: tuple[list[float], list[float]] = ([], [])
    for size in sizes:
        quantile = rng.random()
        for right, precision in zip(runs, (setting.precision, setting.precision + setting.gain), strict=True):
            own = _own(precision, setting.alike, quantile, rng)
            right.append(float(sum(rng.random() < own for _ in range(size))))
    wholes = list(map(float, sizes))
    return (runs[0], wholes), (runs[1], wholes)


def _own(precision: float, alike: float, quantile: float, rng: random.Random) -> float:
    """A document's own precision. From one state of the generator, so that both runs find it as hard."""
    if not alike:
        return precision
    of = 1 / alike - 1
    return random.Random(quantile).betavariate(precision * of, (1 - precision) * of)


def by_triples(counted: Counted) -> Interval:
    """As if every triple were drawn by itself."""
    right, of = map(sum, counted)
    return wilson(right / of, of)


def by_resampling(counted: Counted) -> Interval | None:
    """The bootstrap over documents."""
    documents = [Counts(int(right), int(of), int(of)) for right, of in zip(*counted, strict=True)]
    return intervals(documents, {"": lambda sums: sums.precision}, resamples=400)[""]


def gain_by_resampling(one: Counted, other: Counted) -> Interval | None:
    """The bootstrap over documents, of both runs together."""
    here, there = ([Counts(int(r), int(of), int(of)) for r, of in zip(*each, strict=True)] for each in (one, other))
    return differences(here, there, {"": lambda sums: sums.precision}, resamples=400)[""]


SHARES: Mapping[str, Callable[[Counted], Interval | None]] = {
    "by documents": lambda counted: share(*counted),
    "Wilson over triples": by_triples,
    "bootstrap over documents": by_resampling,
}
DIFFERENCES: Mapping[str, Callable[[Counted, Counted], Interval | None]] = {
    "difference, by documents": lambda one, other: gain(one, other),
    "difference, bootstrap": gain_by_resampling,
}


def coverage(
    setting: Setting, samples: int, rng: random.Random, methods: Sequence[str] = tuple(SHARES)
) -> dict[str, tuple[float, float]]:
    """Of each method how often its interval holds the truth, and how wide it is in the mean."""
    held: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for _ in range(samples):
        one, other = drawn(setting, rng)
        for name in methods:
            if name in SHARES:
                found, truth = SHARES[name](one), setting.precision
            else:
                found, truth = DIFFERENCES[name](other, one), setting.gain
            if found is not None:
                held[name].append((found.low - 1e-9 <= truth <= found.high + 1e-9, found.high - found.low))
    return {name: (mean(each for each, _ in rows), mean(width for _, width in rows)) for name, rows in held.items()}


def settings() -> Iterator[Setting]:
    for (documents, triples), precision, alike, even in product(SIZES, PRECISIONS, ALIKE, (True, False)):
        yield Setting(documents, triples, precision, alike, even)


def paired() -> Iterator[Setting]:
    for (documents, triples), precision, alike, even, more in product(SIZES, PRECISIONS, ALIKE, (True, False), GAINS):
        if 0 < precision + more < 1:
            yield Setting(documents, triples, precision, alike, even, more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000, help="per setting (default: %(default)s)")
    parser.add_argument("--slow", action="store_true", help="the bootstrap too, on a tenth of the samples")
    options = parser.parse_args()
    rng = random.Random(0)
    slow = [name for name in (*SHARES, *DIFFERENCES) if "bootstrap" in name] if options.slow else []
    print("| interval | settings | mean | worst | settings under 93 % | mean width | worst where |")
    print("|---|---|---|---|---|---|---|")
    for names, chosen in ((list(SHARES), settings()), (list(DIFFERENCES), paired())):
        found: dict[str, list[tuple[float, float, Setting]]] = defaultdict(list)
        for setting in chosen:
            quick = [name for name in names if "bootstrap" not in name]
            told = coverage(setting, options.samples, rng, quick)
            if slow:
                told |= coverage(setting, options.samples // 10, rng, [name for name in names if name in slow])
            for name, (held, width) in told.items():
                found[name].append((held, width, setting))
        for name, rows in found.items():
            shares = [held for held, _, _ in rows]
            worst = min(rows, key=lambda row: row[0])[2]
            low = mean(held < 0.93 for held in shares)
            width = mean(width for _, width, _ in rows)
            print(
                f"| {name} | {len(rows)} | {mean(shares):.1%} | {min(shares):.1%} | {low:.0%} | {width:.3f} | {worst} |"
            )


if __name__ == "__main__":
    main()

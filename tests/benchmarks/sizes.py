"""Chunk size and number of examples, by documents per second and F1: what `conf/extract.yaml` sets by default.

    python tests/benchmarks/sizes.py --duie FILE --text2kg DIR --n 90 --join 6 --json OUT

Gold sentences are joined, `--join` of one ontology at a time, into documents of one paragraph, which are cut and asked
as a run does it: chunk, context, grounded grammar of llguidance. The facts of a document are those of its sentences.
First each chunk size with all examples, then each number of examples with the default chunk size; every setting is
asked about the same documents, on one embedded server, with no prompt of another setting in a slot.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, groupby
from pathlib import Path

from quality import Bench, format_interval, open_bench
from tasks import Task, duie_task, text2kg_task

from triplelake.config import ChunkingSettings
from triplelake.corpus.chunking import chunk_document
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.gold import GoldDocument
from triplelake.evaluate.metrics import repeated_share, strict_counts
from triplelake.evaluate.ratios import f1
from triplelake.pool.window import windowed
from triplelake.prompt.ontology import Ontology
from triplelake.types import Request

TARGETS = (60, 120, 240)
SHOTS = (1, 3, 5)
_ARM = "constrain-llguidance"
_SENTENCE_ENDS = tuple("。！？.!?")


@dataclass(frozen=True, slots=True)
class Size:
    """One setting; `shots` is None for all examples that the ontology admits."""

    target_tokens: int
    shots: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """What a setting gave; `sentences_per_s` counts the gold sentences that were joined."""

    task: str
    size: Size
    requests: int
    sentences_per_s: float
    f1: Interval
    decoded_tokens: int
    repeated: float | None


def joined(task: Task, count: int) -> Task:
    """The task with `count` sentences of one ontology in each document."""

    def documents() -> Iterator[tuple[GoldDocument, Ontology]]:
        for _, same in groupby(task.documents, key=lambda each: each[1].name):
            rows = list(same)
            for start in range(0, len(rows), count):
                part = [document for document, _ in rows[start : start + count]]
                yield _join(part, " " if task.lang == "en" else "。"), rows[0][1]

    return replace(task, documents=tuple(documents()))


def _join(parts: Sequence[GoldDocument], joiner: str) -> GoldDocument:
    texts = [part.text.strip() for part in parts]
    # A sentence of DuIE may lack its full stop; where it has one, none is added.
    ended = [text if joiner == " " or text.endswith(_SENTENCE_ENDS) else text + joiner for text in texts]
    text = (" " if joiner == " " else "").join(ended)
    facts = tuple(dict.fromkeys(chain.from_iterable(part.facts for part in parts)))
    return GoldDocument(parts[0].id, text, facts)


def measure(bench: Bench, task: Task, sentences: int, size: Size) -> Result:
    """Ask about every chunk of every document of a task."""
    bench = replace(bench, shots=size.shots)
    arms = {ontology.name: bench.arm(_ARM, ontology) for _, ontology in task.documents}
    chunking = ChunkingSettings(target_tokens=size.target_tokens, max_tokens=max(240, 2 * size.target_tokens))
    work = [
        (rank, Request(f"{document.id}/{chunk.ordinal}", chunk.text, "", chunk.context, task.lang))
        for rank, (document, _) in enumerate(task.documents)
        for chunk in chunk_document(document.text, None, chunking)
    ]
    bench.fill_slots()
    started = time.perf_counter()
    answers = list(
        windowed(work, lambda each: (each[0], arms[task.documents[each[0]][1].name].ask(each[1])), bench.slots)
    )
    seconds = time.perf_counter() - started
    counts = [
        strict_counts(document.facts, [fact for at, outcome in answers if at == rank for fact in outcome.facts])
        for rank, (document, _) in enumerate(task.documents)
    ]
    return Result(
        task=task.name,
        size=size,
        requests=len(work),
        sentences_per_s=sentences / seconds,
        f1=f1(counts),
        decoded_tokens=sum(outcome.completion.completion_tokens for _, outcome in answers),
        repeated=repeated_share(outcome.said for _, outcome in answers),
    )


def _print(result: Result) -> None:
    cells = (
        result.task,
        f"{result.size.target_tokens}",
        "all" if result.size.shots is None else f"{result.size.shots}",
        f"{result.requests}",
        f"{result.sentences_per_s:.2f}",
        format_interval(result.f1),
        f"{result.decoded_tokens}",
        "" if result.repeated is None else f"{result.repeated:.1%}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Run the benchmark and print a line per setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duie", type=Path, metavar="FILE", help="JSON Lines in the form of DuIE 2.0")
    parser.add_argument("--text2kg", type=Path, metavar="DIR", help="folder with `ontologies` and `train`")
    parser.add_argument("--n", type=int, default=90, help="sentences of each (default: 90)")
    parser.add_argument("--join", type=int, default=6, help="sentences per document (default: 6)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of sentences (default: 0)")
    parser.add_argument("--targets", type=int, nargs="*", default=TARGETS, help="chunk sizes in estimated tokens")
    parser.add_argument("--shots", type=int, nargs="*", default=SHOTS, help="numbers of examples")
    parser.add_argument("--slots", type=int, default=4, help="of the server, and requests in flight (default: 4)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the results here too")
    options = parser.parse_args()
    tasks = []
    if options.duie:
        tasks.append(duie_task(options.duie, options.n, options.seed))
    if options.text2kg:
        tasks.append(text2kg_task(options.text2kg, options.n, options.seed))
    if not tasks:
        parser.error("name --duie, --text2kg or both")
    default = ChunkingSettings().target_tokens
    sizes = [*(Size(target, None) for target in options.targets), *(Size(default, shots) for shots in options.shots)]
    results = []
    with open_bench(options.slots) as bench:
        print(
            "| task | chunk | examples | requests | sentences/s | F1 [95 %] | tokens | repeated |\n" + "|---" * 8 + "|"
        )
        for task in tasks:
            documents = joined(task, options.join)
            for size in sizes:
                results.append(measure(bench, documents, len(task.documents), size))
                _print(results[-1])
    if options.json:
        report = {"join": options.join, "seed": options.seed, "results": [asdict(result) for result in results]}
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

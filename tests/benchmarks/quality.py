"""How good and how fast: a plain JSON schema against the grounded grammars, on gold data, on one embedded server.

    python tests/benchmarks/quality.py --duie FILE --text2kg DIR --n 200 --json OUT

Chinese: sentences of a file in the form of DuIE 2.0, with the relations of that file. English: sentences of
Text2KGBench, spread over its ontologies, each asked with its own; facts whose relation the ontology lacks are left out.

The arms run one after the other. They have the same sentences, examples and limit of decoded tokens, the same number
of requests in flight, and none finds the prompt of another in a slot. The clock of an arm holds all that it does for
a document: prompt, grammar, request, parsing, grounding. A bad answer gives no triples and is not asked again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from arms import Arm, Ours, Outcome, PlainJson
from plain_json import json_renderer
from tasks import Task, duie_task, fit, own_shots, text2kg_task

from triplelake.config import AnswerSettings, EmbeddedSettings
from triplelake.evaluate.bootstrap import Interval
from triplelake.evaluate.metrics import Counts, grounded_share, repeated_share, strict_counts, total
from triplelake.evaluate.ratios import f1, f1_gain
from triplelake.pool.client import LlamaServer
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.survey import survey
from triplelake.pool.window import windowed
from triplelake.prompt.fewshot import Example
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.profile import ModelProfile, find_profile
from triplelake.prompt.prompts import Prompt, load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import Completion, GrammarEngine, Lang, Request

PLAIN = "json-schema"
ARMS = (PLAIN, "constrain-llguidance", "constrain-gbnf", "verify")
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table; `grounded` and `repeated` are shares of the decoded triples, None if there are none."""

    arm: str
    grounded: float | None
    f1: Interval
    precision: float
    recall: float
    decoded_tokens: int
    documents_per_s: float
    repeated: float | None
    truncated: int
    failed: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What all arms share."""

    server: LlamaServer
    model: str
    slots: int
    engine: GrammarEngine
    profile: ModelProfile
    prompts: Mapping[Lang, Prompt]
    own_shots: Mapping[Lang, tuple[Example, ...]]
    answer: AnswerSettings
    shots: int | None

    def arm(self, name: str, ontology: Ontology) -> Arm:
        prompts = fit(self.prompts, self.own_shots, ontology)
        if name == PLAIN:
            renderer = json_renderer(prompts, ontology, self.profile, self.shots)
            return PlainJson(self.server, renderer, ontology, self.answer)
        renderer = Renderer(prompts, ontology, self.profile, shots=self.shots)
        if name == "verify":
            answer = self.answer.model_copy(update={"grounding": "verify"})
            return Ours(self.server, renderer, ontology, answer, self.engine)
        engine: GrammarEngine = "gbnf" if name == "constrain-gbnf" else "llguidance"
        return Ours(self.server, renderer, ontology, self.answer, engine)

    def run(self, name: str, task: Task) -> tuple[Result, list[Counts]]:
        """Ask an arm about every document of a task; the counts are per document."""
        arms = {ontology.name: self.arm(name, ontology) for _, ontology in task.documents}
        self.fill_slots()

        def ask(rank: int) -> tuple[int, Outcome]:
            document, ontology = task.documents[rank]
            return rank, arms[ontology.name].ask(Request(document.id, document.text, document.title, "", task.lang))

        started = time.perf_counter()
        found = dict(windowed(range(len(task.documents)), ask, self.slots))
        seconds = time.perf_counter() - started
        outcomes = [found[rank] for rank in range(len(task.documents))]
        return _measure(name, task, outcomes, seconds)

    def fill_slots(self) -> None:
        """Leave something else in every slot, so that no arm begins with the prompt of the one before it."""

        def fill(rank: int) -> Completion:
            return self.server.complete(f"{rank} " * 64, grammar=None, max_tokens=48)

        for _ in windowed(range(2 * self.slots), fill, self.slots):
            pass


@contextmanager
def open_bench(
    slots: int,
    *,
    threads: int | None = None,
    model: Path | None = None,
    profile: str = "auto",
    shots: int | None = None,
) -> Iterator[Bench]:
    """A bench on an embedded server that ends with the block."""
    with EmbeddedServer(EmbeddedSettings(slots=slots, threads=threads, model=model)) as embedded:
        pool = survey([embedded.endpoint], wanted_grammar="auto", timeout_s=_TIMEOUT_S)
        yield Bench(
            server=LlamaServer(embedded.endpoint, _TIMEOUT_S),
            model=pool.fingerprint,
            slots=slots,
            engine=pool.engine,
            profile=find_profile(profile, pool.alias),
            prompts=load_prompts("prompts"),
            own_shots=own_shots(),
            answer=AnswerSettings(),
            shots=shots,
        )


def _measure(name: str, task: Task, outcomes: Sequence[Outcome], seconds: float) -> tuple[Result, list[Counts]]:
    documents = [document for document, _ in task.documents]
    pairs = list(zip(documents, outcomes, strict=True))
    counts = [strict_counts(document.facts, outcome.facts) for document, outcome in pairs]
    everything = total(counts)
    result = Result(
        arm=name,
        grounded=grounded_share((document.text, outcome.said) for document, outcome in pairs),
        f1=f1(counts),
        precision=everything.precision,
        recall=everything.recall,
        decoded_tokens=sum(outcome.completion.completion_tokens for outcome in outcomes),
        documents_per_s=len(documents) / seconds,
        repeated=repeated_share(outcome.said for outcome in outcomes),
        truncated=sum(outcome.completion.truncated for outcome in outcomes),
        failed=sum(outcome.error is not None for outcome in outcomes),
    )
    return result, counts


def _verbatim_gold(task: Task) -> float | None:
    """The share of gold facts that any grounded answer could hold."""
    return grounded_share((document.text, document.facts) for document, _ in task.documents)


def _print_table(task: Task, results: Sequence[Result], gains: Mapping[str, Interval | None]) -> None:
    facts = sum(len(document.facts) for document, _ in task.documents)
    print(f"\n{task.name}: {len(task.documents)} documents, {facts} facts, {_percent(_verbatim_gold(task))} verbatim")
    print("| arm | grounded | F1 [95 %] | F1 − plain [95 %] | P | R | tokens | documents/s | repeated | cut | bad |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for each in results:
        gain = gains.get(each.arm)
        cells = (
            each.arm,
            _percent(each.grounded),
            format_interval(each.f1),
            format_interval(gain) if gain else "",
            f"{each.precision:.3f}",
            f"{each.recall:.3f}",
            f"{each.decoded_tokens}",
            f"{each.documents_per_s:.2f}",
            _percent(each.repeated),
            f"{each.truncated}",
            f"{each.failed}",
        )
        print(f"| {' | '.join(cells)} |")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def format_interval(found: Interval) -> str:
    """A figure with its bounds."""
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duie", type=Path, metavar="FILE", help="JSON Lines in the form of DuIE 2.0")
    parser.add_argument("--text2kg", type=Path, metavar="DIR", help="folder with `ontologies` and `train`")
    parser.add_argument("--n", type=int, default=200, help="sentences of each (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of sentences (default: 0)")
    parser.add_argument("--slots", type=int, default=4, help="of the server, and requests in flight (default: 4)")
    parser.add_argument("--threads", type=int, help="of the server (default: all cores)")
    parser.add_argument("--shots", type=int, help="examples shown at most (default: all that fit)")
    parser.add_argument("--model", type=Path, metavar="GGUF", help="default: the model of the `embedded` extra")
    parser.add_argument("--profile", default="auto", help="setting `model` of that model (default: auto)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, metavar="ARM", help=f"of: {', '.join(ARMS)}")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the results here too")
    options = parser.parse_args(arguments)
    if not (options.duie or options.text2kg):
        parser.error("name --duie, --text2kg or both")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print a table for each data set."""
    options = _options(arguments)
    tasks = []
    if options.duie:
        tasks.append(duie_task(options.duie, options.n, options.seed))
    if options.text2kg:
        tasks.append(text2kg_task(options.text2kg, options.n, options.seed))
    reports = []
    with open_bench(
        options.slots, threads=options.threads, model=options.model, profile=options.profile, shots=options.shots
    ) as bench:
        for task in tasks:
            results, gains = _compare(bench, task, options.arms)
            _print_table(task, results, gains)
            reports.append(_as_json(task, results, gains))
    if options.json:
        report = {
            "model": bench.model,
            "cpus": os.cpu_count(),
            "threads": options.threads,
            "slots": options.slots,
            "shots": options.shots,
            "seed": options.seed,
            "answer": bench.answer.model_dump(),
            "tasks": reports,
        }
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _compare(bench: Bench, task: Task, arms: Sequence[str]) -> tuple[list[Result], dict[str, Interval | None]]:
    results: list[Result] = []
    counts: dict[str, list[Counts]] = {}
    for name in arms:
        print(f"{task.name}: {name} …", file=sys.stderr, flush=True)
        result, counts[name] = bench.run(name, task)
        results.append(result)
    plain = counts.get(PLAIN)
    gains = {name: f1_gain(found, plain) for name, found in counts.items() if plain and name != PLAIN}
    return results, gains


def _as_json(task: Task, results: Sequence[Result], gains: Mapping[str, Interval | None]) -> dict[str, object]:
    return {
        "name": task.name,
        "lang": task.lang,
        "documents": len(task.documents),
        "facts": sum(len(document.facts) for document, _ in task.documents),
        "verbatim_gold": _verbatim_gold(task),
        "arms": [asdict(result) for result in results],
        "f1_over_plain": {name: gain and asdict(gain) for name, gain in gains.items()},
    }


if __name__ == "__main__":
    main()

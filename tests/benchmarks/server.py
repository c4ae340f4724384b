"""Two builds of llama-server in turn on the same questions: what they decode, and whether they answer the same.

    python tests/benchmarks/server.py --fast PREFIX --plain PREFIX --model FILE --questions FILE --slots 1 8 32 64

PREFIX is where infra/llama/build.sh has built, with `--no-fast` for the plain one. For each number of slots and grammar
engine the builds are measured in turn, as often as `--rounds` says, and kept full as infra/llama/tune.py does it; the
table has the best of each. A model of tests/benchmarks/random_model.py decodes at next to no cost, as a large card
does, so that what is left is the choice of tokens; `--answer-tokens` is for such a model, which has no answer and
refuses whatever a grammar wants. With `--equal N` so many questions are asked of both builds, one by one, and texts and
tokens are compared. `--no-probabilities` leaves out what confidence is made of.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import requests
from card import endless

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra" / "llama"))

import sizing
from tune import read_questions
from tune_search import DEFAULTS, LAYOUTS
from tune_trial import NONE, Bench, Failed, Question, Result

_ENGINES = (NONE, "llguidance", "gbnf")
_BUILDS = ("fast", "plain")
_TIMEOUT_S = 600.0
_MASKED = "llguidance"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    for build in _BUILDS:
        add(f"--{build}", type=Path, required=True, metavar="PREFIX", help="where build.sh has built")
    add("--model", type=Path, required=True, metavar="FILE", help="a GGUF")
    add("--questions", type=Path, required=True, metavar="FILE", help="what infra/questions.py has written")
    add("--slots", type=int, nargs="*", default=[1, 8, 32, 64], metavar="N")
    add("--grammar", nargs="+", choices=_ENGINES, default=_ENGINES)
    add("--kv-layout", choices=LAYOUTS, default="split", help="forced tokens are joined with unified only (split)")
    add("--seconds", type=float, default=10.0, metavar="S", help="to count for, at least (10)")
    add("--rounds", type=int, default=2, metavar="N", help="times that each is measured (2)")
    add("--answer-tokens", type=int, metavar="N", help="for a model of random weights: answers of this length")
    add("--no-probabilities", action="store_true")
    add("--equal", type=int, default=0, metavar="N", help="questions to compare the answers of")
    add("--json", type=Path, metavar="OUT")
    options = parser.parse_args()
    questions = read_questions(options.questions, options.grammar)
    if options.no_probabilities:
        questions = [{**each, "body": without_probabilities(each["body"])} for each in questions]
    if options.answer_tokens:
        questions = [endless(question, options.answer_tokens) for question in questions]
    benches = {build: bench_of(options, getattr(options, build), questions) for build in _BUILDS}
    found = measure_all(options, benches)
    report(options, found)
    same = compare(benches, questions[: options.equal]) if options.equal else {}
    if options.json:
        rows = [{"slots": s, "engine": e, "build": b, **asdict(result)} for (s, e, b), result in found.items()]
        options.json.write_text(json.dumps({"found": rows, "same": same}, indent=1) + "\n", encoding="utf-8")


def without_probabilities(body: Mapping[str, Any]) -> dict[str, Any]:
    fields = [field for field in body["response_fields"] if field != "completion_probabilities"]
    return {**{key: value for key, value in body.items() if key != "n_probs"}, "response_fields": fields}


def bench_of(options: argparse.Namespace, prefix: Path, questions: Sequence[Question]) -> Bench:
    """A build, as serve.sh starts it; its processes end with a trial."""
    settings = {"SERVE_PREFIX": str(prefix), "SERVE_MODEL": str(options.model), "SERVE_ALIAS": "servers@bench"}
    serve = Path(sizing.__file__).with_name("serve.sh")
    return Bench(serve, {**os.environ, **settings}, questions, options.seconds, 0)


def measure_all(options: argparse.Namespace, benches: Mapping[str, Bench]) -> dict[tuple[int, str, str], Result]:
    found: dict[tuple[int, str, str], Result] = {}
    for slots in options.slots:
        for engine in options.grammar:
            setup = replace(DEFAULTS["cpu"], slots=slots, engine=engine, kv_layout=options.kv_layout)
            for _ in range(options.rounds):
                for build, bench in benches.items():
                    result = bench.measure(setup)
                    print(f"# {slots} slots, {engine}, {build}: {result}", file=sys.stderr, flush=True)
                    if result.problem:
                        sys.exit(f"{build}, {slots} slots, {engine}: {result.problem}")
                    best = found.get((slots, engine, build))
                    if best is None or result.tokens_per_s > best.tokens_per_s:
                        found[slots, engine, build] = result
    return found


def report(options: argparse.Namespace, found: Mapping[tuple[int, str, str], Result]) -> None:
    """Tokens and answers per second, and of the builds' tokens the ratios."""
    heads = ("slots", "grammar", "plain: tokens/s", "answers/s", "fast: tokens/s", "answers/s", "fast / plain")
    print(f"| {' | '.join(heads)} | fast / no grammar, plain |\n{'|---' * (len(heads) + 1)}|")
    for slots in options.slots:
        for engine in options.grammar:
            fast, plain = (found[slots, engine, build] for build in _BUILDS)
            bare = found.get((slots, NONE, "plain"))
            cells = [str(slots), engine]
            for result in (plain, fast):
                cells += [f"{result.tokens_per_s:.0f}", f"{result.per_s:.2f}"]
            cells.append(f"{fast.tokens_per_s / plain.tokens_per_s:.2f}")
            cells.append(f"{fast.tokens_per_s / bare.tokens_per_s:.2f}" if bare else "")
            print(f"| {' | '.join(cells)} |", flush=True)


def compare(benches: Mapping[str, Bench], questions: Sequence[Question]) -> dict[str, int]:
    """Ask both builds, one question at a time, and print how many answers are the same."""
    answers = {build: ask_all(bench, questions) for build, bench in benches.items()}
    pairs = list(zip(answers["fast"], answers["plain"], strict=True))
    same = {
        "answers": len(pairs),
        "same text": sum(fast["content"] == plain["content"] for fast, plain in pairs),
        "same tokens": sum(fast["tokens"] == plain["tokens"] for fast, plain in pairs),
        "tokens": sum(len(fast["tokens"]) for fast, _ in pairs),
    }
    off = max((apart(fast, plain) for fast, plain in pairs if fast["tokens"] == plain["tokens"]), default=0.0)
    print(", ".join(f"{value} {name}" for name, value in same.items()) + f"; log probabilities at most {off:.2g} apart")
    for fast, plain in pairs:
        if fast["content"] != plain["content"]:
            print(f"  fast  {fast['content']!r}\n  plain {plain['content']!r}")
    return same


def apart(fast: Mapping[str, Any], plain: Mapping[str, Any]) -> float:
    """The most by which log probabilities of the tokens differ."""
    steps = zip(fast.get("completion_probabilities", ()), plain.get("completion_probabilities", ()), strict=True)
    return max((abs(a["logprob"] - b["logprob"]) for a, b in steps), default=0.0)


def ask_all(bench: Bench, questions: Sequence[Question]) -> list[dict[str, Any]]:
    with bench.serving(replace(DEFAULTS["cpu"], slots=1)) as [port], requests.Session() as session:
        found = []
        for question in questions:
            body = {**question["body"], "grammar": question["grammars"][_MASKED], "return_tokens": True}
            del body["response_fields"]
            # What a slot still has of the question before changes how a prompt is cut into batches.
            body["cache_prompt"] = False
            response = session.post(f"http://127.0.0.1:{port}/completion", json=body, timeout=_TIMEOUT_S)
            if response.status_code != 200:
                raise Failed(f"HTTP {response.status_code} {response.text[:200]}")
            found.append(response.json())
        return found


if __name__ == "__main__":
    main()

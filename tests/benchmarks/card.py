"""What a card decodes with the job's own questions, by slots and grammar engine, and how far that is from its limits.

    python tests/benchmarks/card.py --prefix DIR --questions FILE --slots 1 8 32 64 --json OUT

Servers are started by infra/llama/serve.sh with its own settings and kept full as infra/llama/tune.py does it. Beside
them: what llama-batched-bench decodes of prompts and answers of the same length, without a server, sampling or
grammar, and, where `--bandwidth` tells what the card's memory moves, the roofline: for every step of all slots the
weights are read once, and of every slot the keys and values of what it has read and written. Needs Python's standard
library only, so that it runs on the hosts; with `--answer-tokens` also on models that have no answer
(random_model.py): they refuse whatever a grammar wants, so that each token costs a grammar its worst.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra" / "llama"))

import sizing
from tune import card, device_of, read_questions
from tune_search import DEFAULTS
from tune_trial import NONE, Bench, Question, Result

_ENGINES = (NONE, "llguidance", "gbnf")
_KV_TYPE = "q8_0"


@dataclass(frozen=True)
class Bare:
    """What llama-batched-bench says of so many sequences: tokens per second, read and decoded."""

    slots: int
    read_per_s: float
    decoded_per_s: float


@dataclass(frozen=True)
class Length:
    """Tokens of a question and its answer, on average; `new` are those of the prompt that a slot did not have."""

    prompt: int
    new: int
    answer: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--prefix", type=Path, default=Path("/opt/triplelake"), metavar="DIR", help="as build.sh and model.sh have it")
    add("--questions", type=Path, required=True, metavar="FILE", help="what infra/questions.py has written")
    add("--slots", type=int, nargs="+", default=[1, 8, 32, 64], metavar="N")
    add("--grammar", nargs="+", choices=_ENGINES, default=_ENGINES)
    add("--seconds", type=float, default=15.0, metavar="S", help="to count for, at least (15)")
    add("--bandwidth", type=float, metavar="GB_PER_S", help="of the card's memory, as measured")
    add("--answer-tokens", type=int, metavar="N", help="for a model of random weights: answers of this length")
    add("--gpu", type=int, default=0, metavar="N")
    add("--json", type=Path, metavar="OUT")
    options = parser.parse_args()
    questions = read_questions(options.questions, options.grammar)
    if options.answer_tokens:
        questions = [endless(question, options.answer_tokens) for question in questions]
    model = options.prefix / "zh-models" / "7B" / "ggml-model-q8_0.gguf"
    settings = {"SERVE_PREFIX": str(options.prefix), "SERVE_MODEL": str(model), "SERVE_ALIAS": "card@bench"}
    serve = Path(sizing.__file__).with_name("serve.sh")
    bench = Bench(serve, {**os.environ, **settings}, questions, options.seconds, options.gpu)
    found = {}
    for slots in options.slots:
        for engine in options.grammar:
            setup = replace(DEFAULTS[device_of({})], slots=slots, engine=engine, kv_type=_KV_TYPE)
            found[slots, engine] = bench.measure(setup)
            print(f"# {slots} slots, {engine}: {found[slots, engine]}", file=sys.stderr, flush=True)
    report(options, model, found)


def endless(question: Question, tokens: int) -> Question:
    """A question whose answer is as long as that: a list that is always opened never ends by itself."""
    body = {**question["body"], "n_predict": tokens, "logit_bias": [["[", 100]]}
    return {**question, "body": body}


def report(options: argparse.Namespace, model: Path, found: Mapping[tuple[int, str], Result]) -> None:
    """The table, and all of it as JSON."""
    good = [result for result in found.values() if not result.problem]
    if not good:
        sys.exit(f"no server has answered: {next(iter(found.values())).problem}")
    answers = sum(result.answers for result in good)
    length = Length(
        prompt=round(sum(result.prompted for result in good) / answers),
        new=round(sum(result.read for result in good) / answers),
        answer=round(sum(result.tokens_per_s / result.per_s * result.answers for result in good) / answers),
    )
    bare = batched_bench(options, model, length)
    on = card(options.gpu) or "the CPU"
    print(f"{on}; prompts of {length.prompt} tokens, {length.new} of them new, answers of {length.answer} tokens\n")
    heads = ("slots", "roofline", "batched-bench decodes", "and reads", *options.grammar)
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for slots in options.slots:
        cells = [str(slots), _rounded(roofline(options, model, slots, length)), *_bare_cells(bare.get(slots), length)]
        cells += [each.problem or f"{each.tokens_per_s:.0f}" for each in (found[slots, e] for e in options.grammar)]
        print(f"| {' | '.join(cells)} |")
    if options.json:
        whole = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "card": on,
            "tokens": asdict(length),
            "bare": [asdict(each) for each in bare.values()],
            "found": [asdict(result) for result in found.values()],
        }
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def batched_bench(options: argparse.Namespace, model: Path, length: Length) -> dict[int, Bare]:
    """By its number of sequences; none where it does not run."""
    most = max(options.slots)
    size = (length.prompt + length.answer) * most
    command = [
        *(str(options.prefix / "llama" / "bin" / "llama-batched-bench"), "--model", str(model)),
        *("--ctx-size", str(size + 256), "--batch-size", "2048", "--ubatch-size", "1024"),
        *("--flash-attn", "on", "--cache-type-k", _KV_TYPE, "--cache-type-v", _KV_TYPE),
        *("-npp", str(length.prompt), "-ntg", str(length.answer), "-npl", ",".join(map(str, options.slots))),
        *("--output-format", "jsonl"),
        *(("--gpu-layers", "all") if device_of({}) == "gpu" else ("--device", "none")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        print(f"# llama-batched-bench: {done.stderr[-2000:]}", file=sys.stderr)
    return {line["pl"]: Bare(line["pl"], line["speed_pp"], line["speed_tg"]) for line in lines}


def roofline(options: argparse.Namespace, model: Path, slots: int, length: Length) -> float | None:
    """Tokens per second of all slots together, were nothing slow but the card's memory."""
    if not options.bandwidth:
        return None
    shape = sizing.read_model(model)
    held = slots * (length.prompt + length.answer / 2) * shape.kv_numbers * sizing.KV_BYTES[_KV_TYPE]
    return float(slots * options.bandwidth * 1e9 / (shape.file_bytes + held))


def _bare_cells(bare: Bare | None, length: Length) -> tuple[str, str]:
    if bare is None:
        return "", ""
    seconds = length.new / bare.read_per_s + length.answer / bare.decoded_per_s
    return _rounded(bare.decoded_per_s), _rounded(length.answer / seconds)


def _rounded(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.0f}"


if __name__ == "__main__":
    main()

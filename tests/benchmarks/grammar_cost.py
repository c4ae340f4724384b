"""What a grammar costs: milliseconds per decoded token, by engine and length of the text, on one slot.

    python tests/benchmarks/grammar_cost.py --texts 10 --json OUT

Texts of 50, 100, 300 and 1,000 characters are cut from the sample corpus and asked about with the shipped prompt and
the `general` ontology: without a grammar, with the static grammar of `verify`, with a plain JSON schema, and with the
grounded grammars of both engines. Each text goes through all of them in turn, so that a machine that slows down slows
all of them.

Every question is asked with one token first: that fills the slot's cache and tells the cost of the start (the grammar
is read, one token of prompt evaluated). Per token is the rest of the time over the rest of the tokens. Answers of less
than `MIN_TOKENS` tokens tell nothing and are left out; so that they are few, no example with `[]` is shown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from plain_json import json_renderer, schema_grammar

from triplelake.config import AnswerSettings, EmbeddedSettings, conf_dir
from triplelake.evaluate.gold import json_lines
from triplelake.pool.client import LlamaServer
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.protect import protect
from triplelake.pool.survey import survey
from triplelake.prompt.grammar import build_grammar
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import find_profile
from triplelake.prompt.prompts import Prompt, load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import Lang, Request

LENGTHS = (50, 100, 300, 1000)
ARMS = ("none", "static", "json-schema", "llguidance", "gbnf")
LANGS: tuple[Lang, ...] = ("zh-Hans", "en")
MAX_TOKENS = 64
MIN_TOKENS = 8
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over the answers of one arm to texts of one length; None where no answer was long enough."""

    lang: Lang
    characters: int
    arm: str
    ms_per_token: float | None
    start_ms: float
    answers: int


class Questions:
    """Asks about a text in the way of each arm."""

    def __init__(
        self, server: LlamaServer, ontology: Ontology, compact: Renderer, objects: Renderer, answer: AnswerSettings
    ) -> None:
        self._server = server
        self._ontology = ontology
        self._renderers = {arm: objects if arm == "json-schema" else compact for arm in ARMS}
        self._answer = answer

    def time(self, arm: str, request: Request) -> tuple[float, float | None]:
        """Milliseconds of the start, and per token after the first; None where the answer was too short."""
        prompt = protect(self._renderers[arm].render(request).parts, self._server.tokenize)
        grammar = self._grammar(arm, request)
        self._server.complete(prompt, grammar=None, max_tokens=1)
        first = self._server.complete(prompt, grammar=grammar, max_tokens=1)
        whole = self._server.complete(prompt, grammar=grammar, max_tokens=MAX_TOKENS)
        if whole.completion_tokens < MIN_TOKENS:
            return first.latency_ms, None
        return first.latency_ms, (whole.latency_ms - first.latency_ms) / (whole.completion_tokens - 1)

    def _grammar(self, arm: str, request: Request) -> str | None:
        if arm == "none":
            return None
        if arm == "json-schema":
            return schema_grammar(self._ontology, request.lang)
        if arm == "static":
            answer = self._answer.model_copy(update={"grounding": "verify"})
            return build_grammar("llguidance", request, self._ontology, answer)
        return build_grammar("gbnf" if arm == "gbnf" else "llguidance", request, self._ontology, self._answer)


def texts(lang: Lang, length: int, count: int) -> Iterator[str]:
    """`count` texts of `length` characters: the sample corpus in a row, each begun at another passage."""
    prefix = {"zh-Hans": "hans-", "zh-Hant": "hant-", "en": "en-"}[lang]
    rows = (row for _, row in json_lines(conf_dir() / "demo" / "corpus.jsonl"))
    passages = [row["text"] for row in rows if row["id"].startswith(prefix)]
    for rank in range(count):
        start = rank % len(passages)
        joiner = " " if lang == "en" else ""
        yield joiner.join(passages[start:] + passages[:start])[:length]


def measure(questions: Questions, count: int) -> Iterator[Cost]:
    """The cost of every arm at every length, language by language."""
    for lang in LANGS:
        for length in LENGTHS:
            print(f"{lang}: {length} characters …", file=sys.stderr, flush=True)
            starts: dict[str, list[float]] = defaultdict(list)
            per_token: dict[str, list[float]] = defaultdict(list)
            for rank, text in enumerate(texts(lang, length, count)):
                request = Request(f"{length}-{rank}", text, "", "", lang)
                for arm in ARMS:
                    start, rest = questions.time(arm, request)
                    starts[arm].append(start)
                    if rest is not None:
                        per_token[arm].append(rest)
            for arm in ARMS:
                found = per_token[arm]
                yield Cost(lang, length, arm, median(found) if found else None, median(starts[arm]), len(found))


def print_tables(costs: Sequence[Cost]) -> None:
    """A table per language: milliseconds per token, in brackets those of the start."""
    cells: Mapping[tuple[Lang, int, str], Cost] = {(cost.lang, cost.characters, cost.arm): cost for cost in costs}
    for lang in LANGS:
        print(f"\n{lang}: ms per decoded token (ms until the first)\n| characters | {' | '.join(ARMS)} |")
        print("|---" * (len(ARMS) + 1) + "|")
        for length in LENGTHS:
            row = [_cell(cells[lang, length, arm]) for arm in ARMS]
            print(f"| {length} | {' | '.join(row)} |")


def _cell(cost: Cost) -> str:
    rest = "–" if cost.ms_per_token is None else f"{cost.ms_per_token:.1f}"
    return f"{rest} ({cost.start_ms:.0f})"


def _without_empty(prompt: Prompt) -> Prompt:
    return replace(prompt, examples=tuple(example for example in prompt.examples if example.triples))


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=10, help="of each length and language (default: 10)")
    parser.add_argument("--threads", type=int, help="of the server (default: all cores)")
    parser.add_argument("--model", type=Path, metavar="GGUF", help="default: the model of the `embedded` extra")
    parser.add_argument("--profile", default="auto", help="setting `model` of that model (default: auto)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the results here too")
    options = parser.parse_args()
    with EmbeddedServer(EmbeddedSettings(slots=1, threads=options.threads, model=options.model)) as embedded:
        pool = survey([embedded.endpoint], wanted_grammar="llguidance", timeout_s=_TIMEOUT_S)
        profile = find_profile(options.profile, pool.alias)
        ontology = load_ontology("ontologies/general.yaml")
        assert ontology  # None stands for `none` alone
        prompts = {lang: _without_empty(prompt) for lang, prompt in load_prompts("prompts").items()}
        questions = Questions(
            LlamaServer(embedded.endpoint, _TIMEOUT_S),
            ontology,
            Renderer(prompts, ontology, profile),
            json_renderer(prompts, ontology, profile, None),
            AnswerSettings(),
        )
        costs = list(measure(questions, options.texts))
    print_tables(costs)
    if options.json:
        report = {"model": pool.fingerprint, "texts": options.texts, "costs": [asdict(cost) for cost in costs]}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

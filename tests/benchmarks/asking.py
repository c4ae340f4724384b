"""Ways of asking, on several models and in several languages: what each finds and what it costs.

    python tests/benchmarks/asking.py --answers DIR --duie FILE --text2kg DIR --hard --models NAME … --arms ARM … --n 60

A model is a GGUF file, a name that `make models` knows, or `embedded`, the base model of that extra. An arm is `plain`
(JSON objects under a plain schema, entities free, as other tools ask) or `EXAMPLES-ANSWER-EMPTY`, the keys of a model
profile: `text-arrays-example`, `turns-objects-untold`; with `+K` behind it, each sentence is asked with the K
likest of 2,000 other gold sentences of the half to choose on as further examples; with `~WAY`, in one of the ways of
`otherwise.py`, which the product has not. All arms of a model have the same sentences, the same fixed examples with
triples, limit of decoded tokens and requests in flight. A base model knows no turns, and such arms are left out.

Our arms are left where they begin to repeat themselves, as a run does it; `plain` goes on to its end or its limit.

Answers are kept in the folder, so that an arm is asked once and more can be added later; the tables are made from what
is there. Sentences are halved by a hash of their text: choose on `--split choose`, report on `--split report`.
Of the hard set, in `hard/`, all 40 passages of each language are asked, or with `--split` all of a half. Their tables
have a column for each kind: F1, or how many of the passages without facts were answered so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import cast, get_args

from arms import Arm, Ours, Outcome, PlainJson, read_ours, read_plain
from otherwise import Otherwise, as_arrays, is_otherwise, read_way
from plain_json import json_renderer
from quality import format_interval
from tasks import Split, Task, duie_task, fit, gold_examples, hard_task, own_shots, text2kg_task, traditional

from triplelake.cache import cache_dir
from triplelake.config import AnswerSettings, EmbeddedSettings
from triplelake.engine.asking.open_pool import server_template
from triplelake.evaluate.gold import Fact
from triplelake.evaluate.metrics import Counts, pair_counts, repeated_share, strict_counts, total
from triplelake.evaluate.ratios import f1, f1_gain
from triplelake.evaluate.vocabulary import Vocabulary
from triplelake.pool.client import LlamaServer
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.survey import survey
from triplelake.pool.window import windowed
from triplelake.prompt.answer_form import FORMS, FormName, Listed
from triplelake.prompt.grammar import triple_limit
from triplelake.prompt.grammar.spans import material
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.profile import Empty, Examples, ModelProfile
from triplelake.prompt.prompts import Prompt, load_prompts
from triplelake.prompt.render import Renderer
from triplelake.prompt.retrieval import Gallery
from triplelake.prompt.turns import Turns
from triplelake.triples.parse import parse_answer
from triplelake.triples.repeats import Repeats
from triplelake.types import LANGS, Completion, GrammarEngine, Request

PLAIN = "plain"
EMBEDDED = "embedded"
EMPTY = "empty"
ARMS = (PLAIN, *("-".join(parts) for parts in product(get_args(Examples), FORMS, get_args(Empty))))
_GALLERY = 2_000
_LEFT = ", left"
_TIMEOUT_S = 600.0
_ANSWER = AnswerSettings()
_WHOLE = AnswerSettings(max_triples=24, max_tokens=960)
"""Of the hard passages, which are asked whole: a run asks a long text in parts, each with the limits of `_ANSWER`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The answers of an arm to a task, in the order of its documents, and the seconds that all took together."""

    seconds: float
    completions: tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class Asker:
    """One model on an embedded server, asked with as many requests in flight as it has slots."""

    server: LlamaServer
    engine: GrammarEngine
    slots: int
    is_chat: bool

    def ask(self, name: str, task: Task) -> Asked:
        """Ask an arm about every document of a task."""
        arms = {ontology.name: self._arm(name, ontology, task) for _, ontology in task.documents}

        def ask(rank: int) -> tuple[int, Completion]:
            return rank, arms[task.documents[rank][1].name].complete(request_of(task, rank))

        started = time.perf_counter()
        found = dict(windowed(range(len(task.documents)), ask, self.slots))
        return Asked(time.perf_counter() - started, tuple(found[rank] for rank in sorted(found)))

    def asked(self, name: str, ontology: Ontology, task: Task, rank: int) -> tuple[str, Turns]:
        """The whole prompt of an arm of turns about a document, and what stands around its turns."""
        arm, template = self._arm(name, ontology, task), server_template(self.server, _profile(name, is_chat=True))
        assert isinstance(arm, Ours) and template.turns  # which `_arm` has checked
        return arm.prompt(request_of(task, rank)), template.turns

    def _arm(self, name: str, ontology: Ontology, task: Task) -> Arm:
        prompts = fit(load_prompts("prompts"), {} if task.is_hard else own_shots(), ontology)
        if is_otherwise(name):
            return self._otherwise(name, prompts[task.lang], ontology, task)
        name, _, retrieved = name.partition("+")
        gallery = Gallery({task.lang: gold_examples(task, ontology, _GALLERY)}, int(retrieved)) if retrieved else None
        profile = _profile(name, is_chat=self.is_chat)
        template = server_template(self.server, profile) if self.is_chat else None
        answer = answer_of(task)
        if profile.examples == "turns" and template and not template.turns:
            raise SystemExit(f"{name}: the model's chat template does not write every turn alike")
        if name == PLAIN:
            return PlainJson(self.server, json_renderer(prompts, ontology, profile, None, template), ontology, answer)
        return Ours(
            self.server, Renderer(prompts, ontology, profile, template, gallery=gallery), ontology, answer, self.engine
        )

    def _otherwise(self, name: str, prompt: Prompt, ontology: Ontology, task: Task) -> Otherwise:
        way = read_way(name)
        assert way is not None  # the parser has checked the name
        profile = _profile(way.profile, is_chat=self.is_chat)
        template = server_template(self.server, profile) if self.is_chat else None
        gold = gold_examples(task, ontology, _GALLERY) if way.by_text else ()
        answer = answer_of(task)
        return Otherwise(way, self.server, self.engine, prompt, ontology, profile, template, answer, gold)


def _keys(name: str) -> Mapping[str, str]:
    """The keys of a profile by the name of an arm."""
    way = read_way(name)
    profile = way.profile if way else name.partition("+")[0]
    return {} if profile == PLAIN else dict(zip(("examples", "answer", "empty"), profile.split("-"), strict=True))


def _profile(name: str, *, is_chat: bool) -> ModelProfile:
    chat = ModelProfile(name, "server", **_keys(name))  # type: ignore[arg-type]  # the parser has checked the name
    return chat if is_chat else ModelProfile(name, "plain", stop=("\n",), answer=chat.answer, empty=chat.empty)


def request_of(task: Task, rank: int) -> Request:
    """What is asked about a document of a task."""
    document, _ = task.documents[rank]
    return Request(document.id, document.text, document.title, "", task.lang)


def answer_of(task: Task) -> AnswerSettings:
    """The limits of an answer to a document of a task."""
    return _WHOLE if task.is_hard else _ANSWER


def outcomes(name: str, task: Task, asked: Asked) -> list[Outcome]:
    """What the answers of an arm give, in the order of the documents."""
    if name == PLAIN:
        return [read_plain(completion) for completion in asked.completions]
    way = read_way(name)
    completions = [as_arrays(way, each) for each in asked.completions] if way else asked.completions
    return [
        read_ours(request_of(task, rank), completion, task.documents[rank][1], answer_of(task))
        for rank, completion in enumerate(completions)
    ]


def _alike(task: Task, facts: Iterable[Iterable[Fact]]) -> list[list[Fact]]:
    """Facts by document, with the ids of relations where `plain` has names, and symmetric ones the same way round."""
    words = {ontology.name: Vocabulary(ontology) for _, ontology in task.documents}
    return [
        words[ontology.name].relations(each, task.lang)
        for (_, ontology), each in zip(task.documents, facts, strict=True)
    ]


def _of_kind(kind: str, task: Task, strict: Sequence[Counts], empty: Sequence[bool]) -> str:
    """The F1 of a kind of passages, or of those without facts how many were answered so."""
    ranks = [rank for rank, each in enumerate(task.kinds) if each == kind]
    if kind == EMPTY:
        return f"{sum(empty[rank] for rank in ranks)} of {len(ranks)}"
    return f"{total(strict[rank] for rank in ranks).f1:.3f}"


def _is_full(name: str, task: Task, rank: int, found: Outcome) -> bool:
    """Whether an answer of triples one after another ended because a text of its length may have no more."""
    way, answer = read_way(name), answer_of(task)
    if name == PLAIN or found.completion.left or not isinstance(FORMS[cast(FormName, _keys(name)["answer"])], Listed):
        return False
    request = request_of(task, rank)
    words = material(request, answer.max_entity_chars).words
    most = way.most(words, request.lang, answer) if way else triple_limit(words, request.lang, answer)
    return most <= len(found.said) and most < answer.max_triples


def _as_left(completion: Completion) -> Completion:
    """A whole answer as it would be, had the server been left at its first repetition.

    Its tokens are counted by the share of its triples, the repeated one included.
    """
    finished = Repeats()(completion.text)
    if finished is None:
        return completion
    kept = len(parse_answer(finished.text, truncated=False).items)
    said = len(parse_answer(completion.text, truncated=completion.truncated).items)
    tokens = completion.completion_tokens * (kept + 1) // said
    return replace(completion, text=finished.text, truncated=False, completion_tokens=tokens, left=True)


def _print_table(model: str, task: Task, answers: Mapping[str, Asked]) -> None:
    documents = [document for document, _ in task.documents]
    gold = _alike(task, (document.facts for document in documents))
    made = {name: outcomes(name.removesuffix(_LEFT), task, asked) for name, asked in answers.items()}
    facts = {name: _alike(task, (found.facts for found in each)) for name, each in made.items()}
    strict = {name: list(map(strict_counts, gold, each)) for name, each in facts.items()}
    without = sum(not document.facts for document in documents)
    print(f"\n{model}, {task.name}: {len(documents)} documents, {without} without facts")
    heads: tuple[str, ...] = ("arm", "F1 [95 %]", "F1 − plain [95 %]", "P", "R", "pair F1", "empty", "rightly")
    heads += ("repeated", "decoded", "per true triple", "prompt, not cached", "documents/s", "cut", "bad")
    heads += ("at the limit",)
    kinds = tuple(dict.fromkeys(task.kinds))
    heads += tuple(f"{kind}, rightly" if kind == EMPTY else f"{kind} F1" for kind in kinds)
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, found in made.items():
        sums = total(strict[name])
        pairs = total(map(pair_counts, gold, facts[name]))
        empty = [not each.said and each.error is None for each in found]
        decoded = sum(each.completion.completion_tokens for each in found)
        read = sum(each.completion.prompt_tokens - each.completion.cached_tokens for each in found)
        repeated = repeated_share(each.said for each in found)
        gain = f1_gain(strict[name], strict[PLAIN]) if PLAIN in strict and name != PLAIN else None
        cells = (
            name,
            format_interval(f1(strict[name])),
            format_interval(gain) if gain else "",
            f"{sums.precision:.3f}",
            f"{sums.recall:.3f}",
            f"{pairs.f1:.3f}",
            sum(empty),
            sum(is_empty and not document.facts for is_empty, document in zip(empty, documents, strict=True)),
            "" if repeated is None else f"{repeated:.1%}",
            decoded,
            f"{decoded / sums.correct:.0f}" if sums.correct else "",
            read,
            f"{len(documents) / answers[name].seconds:.2f}",
            sum(each.completion.truncated for each in found),
            sum(each.error is not None for each in found),
            sum(_is_full(name.removesuffix(_LEFT), task, rank, each) for rank, each in enumerate(found)),
            *(_of_kind(kind, task, strict[name], empty) for kind in kinds),
        )
        print(f"| {' | '.join(map(str, cells))} |")


def store(file: Path, asked: Asked) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"seconds": asked.seconds}, *map(asdict, asked.completions)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    part = file.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def kept_in(answers: Path, model: str, task: Task, split: Split, n: int, seed: int, slots: int) -> Path:
    """The folder of the answers to so many sentences of a split, a file for each arm."""
    return answers / model / f"{task.name} {split} {n} {seed} {slots}".replace(", ", " ")


def stored(file: Path) -> Asked:
    """The answers of a file of that folder."""
    head, *rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return Asked(head["seconds"], tuple(Completion(**row) for row in rows))


def model_file(name: str) -> Path | None:
    """The GGUF file of a model; None for the one of the extra."""
    if name == EMBEDDED:
        return None
    return Path(name) if name.endswith(".gguf") else cache_dir() / "models" / f"{name}.gguf"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, required=True, metavar="DIR", help="where answers are kept")
    parser.add_argument("--models", nargs="+", default=[EMBEDDED], metavar="MODEL", help=f"default: {EMBEDDED}")
    parser.add_argument(
        "--arms",
        nargs="+",
        type=_arm,
        default=ARMS,
        metavar="ARM",
        help=f"of: {', '.join(ARMS)}; each but the first with +K or ~WAY",
    )
    parser.add_argument("--duie", type=Path, metavar="FILE", help="JSON Lines in the form of DuIE 2.0")
    parser.add_argument("--hant", action="store_true", help="the sentences of --duie in Traditional Chinese, too")
    parser.add_argument("--text2kg", type=Path, metavar="DIR", help="folder with `ontologies` and `train`")
    parser.add_argument("--hard", action="store_true", help="our own hard passages in all three languages, too")
    parser.add_argument("--n", type=int, default=60, help="sentences of each (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of sentences (default: 0)")
    parser.add_argument("--split", choices=get_args(Split), help="default: choose; all of --hard")
    parser.add_argument("--slots", type=int, default=2, help="of the server, and requests in flight (default: 2)")
    parser.add_argument("--left", action="store_true", help="a further table: kept answers cut where they repeat")
    return parser.parse_args()


def _arm(text: str) -> str:
    if (way := read_way(text)) and way.profile in ARMS:
        return text
    name, plus, retrieved = text.partition("+")
    if name not in ARMS or (plus and (name == PLAIN or not retrieved.isdecimal())):
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(ARMS)}, nor one of them with +K or ~WAY")
    return text


def tasks_of(options: argparse.Namespace, split: Split, n: int, seed: int) -> list[Task]:
    """So many sentences of a split, of each corpus that the options `duie`, `hant` and `text2kg` name."""
    tasks = []
    if options.duie:
        tasks.append(duie_task(options.duie, n, seed, split))
        if options.hant:
            tasks.append(traditional(tasks[0]))
    if options.text2kg:
        tasks.append(text2kg_task(options.text2kg, n, seed, split))
    return tasks


def main() -> None:
    """Ask what was not asked yet, and print a table for each model and task."""
    options = _options()
    split: Split = options.split or "choose"
    tasks = tasks_of(options, split, options.n, options.seed)
    if options.hard and not options.split and any("+" in arm for arm in options.arms):
        raise SystemExit("--hard without --split asks about all passages, so that none is left for +K to show")
    if options.hard:
        tasks += [hard_task(lang, options.split or "all") for lang in LANGS]
    for name in options.models:
        model = model_file(name)
        label = model.stem if model else EMBEDDED

        def file(task: Task, arm: str, label: str = label) -> Path:
            drawn: tuple[Split, int, int] = (split, options.n, options.seed)
            if task.is_hard:
                drawn = (options.split or "all", len(task.documents), 0)
            folder = kept_in(options.answers, label, task, *drawn, options.slots)
            return folder / f"{arm}.jsonl"

        arms = [arm for arm in options.arms if model or not arm.startswith("turns-")]
        missing = [(task, arm) for task in tasks for arm in arms if not file(task, arm).exists()]
        if missing:
            _ask(model, options.slots, missing, file)
        for task in tasks:
            asked = sorted((each.stem for each in file(task, "*").parent.glob("*.jsonl")), key=_rank)
            answers = {arm: stored(file(task, arm)) for arm in asked}
            _print_table(label, task, answers)
            if options.left:
                left = {
                    f"{arm}{_LEFT}": replace(each, completions=tuple(map(_as_left, each.completions)))
                    for arm, each in answers.items()
                    if arm != PLAIN and not is_otherwise(arm)
                }
                _print_table(label, task, left)


def _rank(arm: str) -> tuple[int, str]:
    if way := read_way(arm):
        return ARMS.index(way.profile), arm
    name, _, retrieved = arm.partition("+")
    return ARMS.index(name), retrieved


def _ask(
    model: Path | None, slots: int, missing: Sequence[tuple[Task, str]], file: Callable[[Task, str], Path]
) -> None:
    with EmbeddedServer(EmbeddedSettings(slots=slots, model=model)) as embedded:
        engine = survey([embedded.endpoint], wanted_grammar="auto", timeout_s=_TIMEOUT_S).engine
        with closing(LlamaServer(embedded.endpoint, _TIMEOUT_S)) as server:
            asker = Asker(server, engine, slots, is_chat=model is not None)
            for task, arm in missing:
                print(f"{model or EMBEDDED}: {task.name}, {arm} …", file=sys.stderr, flush=True)
                store(file(task, arm), asker.ask(arm, task))


if __name__ == "__main__":
    main()

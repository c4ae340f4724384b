"""Whether a model that is asked about each of its triples once more tells right ones from wrong ones.

    python tests/benchmarks/second_look.py --answers DIR --duie FILE --model NAME --arm ARM --n 100 --seed 1 --first 40

The triples are those of answers that `asking.py` has kept. Each is put as a statement behind its text, alone in a short
conversation of its own, and the feature is the log odds of “yes”, a word that a grammar forces, as it was before the
grammar. `--place` puts the statement elsewhere: `list`, all statements of a text numbered in one question; `question`,
behind the text in the very question that was asked for triples, so that all before it is cached; `answer`, in a turn
behind the answer. The table has
the AUC of that feature alone, and AUC and ECE of the product's own fit on the features of
`triplelake.triples.confidence` without it and with it, cross-validated by document.
"""

from __future__ import annotations

import argparse
import json
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Literal, get_args

from asking import EMBEDDED, Asker, kept_in, model_file, request_of, stored
from sklearn.metrics import roc_auc_score
from tasks import Split, Task, duie_task, traditional

from triplelake.config import AnswerSettings, EmbeddedSettings
from triplelake.evaluate.calibrate import JudgedTriple, cross_validated
from triplelake.evaluate.metrics import strict_counts
from triplelake.evaluate.sureness import quality
from triplelake.pool.client import LlamaServer
from triplelake.pool.embedded import EmbeddedServer
from triplelake.pool.window import windowed
from triplelake.prompt.profile import BLANK_LINE
from triplelake.prompt.turns import Turns
from triplelake.triples.confidence import Features, features, log_odds
from triplelake.triples.derive import derive
from triplelake.types import Triple

_ANSWER = AnswerSettings()
_TIMEOUT_S = 600.0
_SYSTEM = "判断一个陈述是否由文本明确说明。只回答“是”或“否”。"
_QUESTION = "文本：{text}\n\n陈述：{statement}\n\n文本是否明确说明了这一陈述？只回答“是”或“否”。"
_LISTED = "文本：{text}\n\n陈述：\n{statements}\n\n文本是否明确说明了每一条陈述？逐条只回答“是”或“否”。"
_STATEMENT = "{subject}的{predicate}是{object}。"
_YES = 'root ::= "是" "。"'
"""The word, and a token behind it: of an answer of one token no probability is believed."""

_STATED = "陈述：{statement}\n\n文本是否明确说明了这一陈述？只回答“是”或“否”。"

Look = tuple[int, list[float]]
Place = Literal["alone", "list", "question", "answer"]


class Looker:
    """Asks about single triples.

    Args:
        is_chat: a conversation by the server's template; else text that goes on.
    """

    def __init__(self, server: LlamaServer, *, is_chat: bool) -> None:
        self._server = server
        self._is_chat = is_chat

    def each(self, text: str, triples: Sequence[Triple]) -> list[float]:
        """The log probability of “yes” to each triple, asked about alone."""
        return [self._forced(_QUESTION.format(text=text, statement=_stated(each)), _YES, 2, [0])[0] for each in triples]

    def together(self, text: str, triples: Sequence[Triple]) -> list[float]:
        """The same, asked about in one list."""
        if not triples:
            return []
        lines = [f"{number}. {_stated(each)}" for number, each in enumerate(triples, start=1)]
        answer = ""
        places = []
        for number in range(1, len(triples) + 1):
            answer += f"{number}. "
            places.append(len(answer))
            answer += "是\n"
        grammar = f"root ::= {json.dumps(answer, ensure_ascii=False)}"
        return self._forced(_LISTED.format(text=text, statements="\n".join(lines)), grammar, 9 * len(lines), places)

    def behind(self, said: str, turns: Turns, triples: Sequence[Triple]) -> list[float]:
        """The same to each, as a conversation goes on.

        Args:
            said: all of it so far, up to where a message of the user goes on.
        """
        return [
            self._spelled(f"{said}{_STATED.format(statement=_stated(each))}{turns.asked}", _YES, 2, [0])[0]
            for each in triples
        ]

    def _forced(self, question: str, grammar: str, max_tokens: int, places: Sequence[int]) -> list[float]:
        """The log probabilities of the tokens that spell the characters at these places of the only answer."""
        if self._is_chat:
            turns = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": question}]
            prompt = self._server.apply_template(turns)
        else:
            prompt = f"{question}\n回答："
        return self._spelled(prompt, grammar, max_tokens, places)

    def _spelled(self, prompt: str, grammar: str, max_tokens: int, places: Sequence[int]) -> list[float]:
        said = self._server.complete(prompt, grammar=grammar, max_tokens=max_tokens, probabilities=True)
        ends = [*accumulate(said.token_chars)]
        return [said.token_logprobs[bisect_right(ends, place)] for place in places]


def _stated(triple: Triple) -> str:
    return _STATEMENT.format(subject=triple.subject, predicate=triple.predicate, object=triple.object)


def _triples(task: Task, file: Path, rank: int) -> Sequence[tuple[Triple, Features]]:
    """The triples of a stored answer with the features of each."""
    completion, (_, ontology) = stored(file).completions[rank], task.documents[rank]
    request = request_of(task, rank)
    made = derive(request, completion.text, truncated=completion.truncated, ontology=ontology, answer=_ANSWER)
    found = features(request, made, completion.token_logprobs, completion.token_chars)
    return [] if found is None else list(zip(made.triples, found, strict=True))


def _ask(model: Path | None, slots: int, task: Task, file: Path, first: int, place: Place) -> list[Look]:
    with (
        EmbeddedServer(EmbeddedSettings(slots=slots, model=model)) as embedded,
        closing(LlamaServer(embedded.endpoint, _TIMEOUT_S)) as server,
    ):
        looker = Looker(server, is_chat=model is not None)
        asker = Asker(server, "gbnf", slots, is_chat=model is not None)
        answers = stored(file).completions

        def look(rank: int) -> Look:
            document, ontology = task.documents[rank]
            triples = [triple for triple, _ in _triples(task, file, rank)]
            if place == "list":
                return rank, looker.together(document.text, triples)
            if place == "alone":
                return rank, looker.each(document.text, triples)
            asked, turns = asker.asked(file.stem, ontology, task, rank)
            if place == "answer":
                return rank, looker.behind(f"{asked}{answers[rank].text}{turns.to_next}", turns, triples)
            return rank, looker.behind(asked.removesuffix(turns.asked) + BLANK_LINE, turns, triples)

        return sorted(windowed(range(first), look, slots))


def _print(task: Task, file: Path, looks: Sequence[Look], seconds: float | None) -> None:
    judged = []
    for rank, of_document in looks:
        for (triple, known), look in zip(_triples(task, file, rank), of_document, strict=True):
            said = (triple.subject, triple.predicate, triple.object)
            is_right = strict_counts(task.documents[rank][0].facts, [said]).correct == 1
            judged.append(JudgedTriple(str(rank), is_right, "", triple.predicate, replace(known, look=log_odds(look))))
    right = [each.right for each in judged]

    def figures(triples: Sequence[JudgedTriple]) -> str:
        found = quality(triples, cross_validated(triples), gold=None)
        return f"{found.auc:.3f} | {found.ece:.3f}"

    blind = [replace(each, features=replace(each.features, look=None)) for each in judged]
    alone = roc_auc_score(right, [each.features.look for each in judged])
    each = f", {seconds / len(judged):.2f} s for each" if seconds is not None else ""
    share = sum(right) / len(right)
    print(f"{task.name}, {file.stem}: {len(looks)} documents, {len(judged)} triples, {share:.3f} of them right{each}")
    print("| AUC of the look alone | AUC of the features | ECE | AUC of both | ECE |\n|---|---|---|---|---|")
    print(f"| {alone:.3f} | {figures(blind)} | {figures(judged)} |")


def main() -> None:
    """Look, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, required=True, metavar="DIR", help="where asking.py has kept them")
    parser.add_argument("--duie", type=Path, required=True, metavar="FILE")
    parser.add_argument("--hant", action="store_true")
    parser.add_argument("--model", default=EMBEDDED, metavar="MODEL")
    parser.add_argument("--arm", required=True, metavar="ARM")
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=get_args(Split), default="choose")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--place", choices=get_args(Place), default="alone", help="where a statement stands (alone)")
    parser.add_argument("--first", type=int, metavar="N", help="look at the first N documents only")
    options = parser.parse_args()
    task = duie_task(options.duie, options.n, options.seed, options.split)
    task = traditional(task) if options.hant else task
    model = model_file(options.model)
    folder = kept_in(
        options.answers,
        model.stem if model else EMBEDDED,
        task,
        options.split,
        options.n,
        options.seed,
        options.slots,
    )
    file, first = folder / f"{options.arm}.jsonl", min(options.first or options.n, len(task.documents))
    if options.place in ("question", "answer") and not options.arm.startswith("turns-"):
        raise SystemExit(f"--place {options.place} needs an arm of turns")
    kept, seconds = folder / f"{options.arm} looked {options.place} {first}.json", None
    if not kept.exists():
        started = time.perf_counter()
        looks = _ask(model, options.slots, task, file, first, options.place)
        seconds = time.perf_counter() - started
        kept.write_text(json.dumps(looks), encoding="utf-8")
    _print(task, file, json.loads(kept.read_text(encoding="utf-8")), seconds)


if __name__ == "__main__":
    main()

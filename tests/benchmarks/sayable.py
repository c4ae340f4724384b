"""Which arguments of gold facts a grounded answer can hold, by data set.

    python tests/benchmarks/sayable.py --duie FILE --text2kg DIR --finre FILE --hard --missed 20

An argument can be said if it is an entity of its sentence under `constrain`; both grammar engines admit the same
entities. Facts as the files give them, without sampling and without a model: seconds for thousands of sentences.

Counted are also the facts of a sentence that are more than an answer may have: `--limit F-Z-E` is F triples, and one
more per Z Chinese characters or E English words of the sentence.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tasks import hard_task

from triplelake.config import AnswerSettings
from triplelake.prompt.grammar import FIRST_TRIPLES, WORDS_PER_TRIPLE
from triplelake.prompt.grammar.spans import material
from triplelake.text import detect_language
from triplelake.types import LANGS, Request

Sentence = tuple[str, list[str]]
"""A text, and the arguments of its facts, two of each."""

Limit = tuple[int, int, int]
"""Triples of any answer, and characters (Chinese) and words (English) for one more."""


def duie(file: Path) -> Iterator[Sentence]:
    """Sentences of a file in the form of DuIE 2.0."""
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield row["text"], [side for fact in row["spo_list"] for side in (fact["subject"], fact["object"]["@value"])]


def finre(file: Path) -> Iterator[Sentence]:
    """Sentences of a file of `head, tail, relation, sentence`, separated by tabs."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if len(row := line.split("\t")) == 4:
            yield row[3], [row[0], row[1]]


def text2kg(folder: Path) -> Iterator[Sentence]:
    """Sentences of the `train` folder of Text2KGBench."""
    for file in sorted((folder / "train").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield row["sent"], [row["sub_label"], row["obj_label"]]


def hard(_: object) -> Iterator[Sentence]:
    """Our own hard passages."""
    for lang in LANGS:
        for document, _ontology in hard_task(lang).documents:
            yield document.text, [side for subject, _relation, obj in document.facts for side in (subject, obj)]


def report(
    name: str, sentences: Iterable[Sentence], max_chars: int, shown: int, limits: Sequence[Limit], max_triples: int
) -> None:
    """Print how many arguments that stand in their sentence can be said, some that cannot, and facts over limits."""
    total = absent = 0
    missed = []
    over: dict[Limit, list[int]] = {limit: [] for limit in limits}
    for text, arguments in sentences:
        lang = detect_language(text)
        spans = material(Request("", text, "", "", lang), max_chars, quoted=True)
        for first, chinese, english in limits:
            most = min(max_triples, first + spans.words // (english if lang == "en" else chinese))
            over[first, chinese, english].append(max(0, len(arguments) // 2 - most))
        for argument in arguments:
            total += 1
            if argument not in text:
                absent += 1
            elif not spans.holds(argument):
                missed.append(argument)
    held = total - absent
    print(
        f"{name}: {total} arguments, {absent} not in their sentence; of the {held} others {len(missed)} cannot be said "
        f"({1 - len(missed) / max(held, 1):.2%} can)"
    )
    for (first, chinese, english), each in over.items():
        texts = sum(count > 0 for count in each)
        print(
            f"  {sum(each)} of {total // 2} facts, in {texts} texts, are more than {first} and one per {chinese} "
            f"characters or {english} words, {max_triples} at most"
        )
    for argument in missed[:shown]:
        print(f"  {argument!r}")


def main() -> None:
    """Measure the data sets that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duie", type=Path, metavar="FILE", help="JSON Lines in the form of DuIE 2.0")
    parser.add_argument("--finre", type=Path, metavar="FILE", help="tab-separated: head, tail, relation, sentence")
    parser.add_argument("--text2kg", type=Path, metavar="DIR", help="folder with `ontologies` and `train`")
    parser.add_argument("--missed", type=int, default=0, metavar="N", help="show so many that cannot be said")
    limit = AnswerSettings().max_entity_chars
    parser.add_argument("--max-entity-chars", type=int, default=limit, metavar="N", help=f"default: {limit}")
    parser.add_argument("--hard", action="store_true", help="our own hard passages, too")
    own = (FIRST_TRIPLES, WORDS_PER_TRIPLE["zh-Hans"], WORDS_PER_TRIPLE["en"])
    told = "-".join(map(str, own))
    parser.add_argument("--limit", nargs="+", type=_limit, default=[own], metavar="F-Z-E", help=f"default: {told}")
    most = AnswerSettings().max_triples
    parser.add_argument("--max-triples", type=int, default=most, metavar="N", help=f"of any answer (default: {most})")
    options = parser.parse_args()
    for name, read in (("duie", duie), ("finre", finre), ("text2kg", text2kg), ("hard", hard)):
        if path := getattr(options, name):
            limits = (options.limit, options.max_triples)
            report(name, read(path), options.max_entity_chars, options.missed, *limits)


def _limit(text: str) -> Limit:
    first, chinese, english = map(int, text.split("-"))
    return first, chinese, english


if __name__ == "__main__":
    main()

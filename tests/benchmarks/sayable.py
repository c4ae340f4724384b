"""Which arguments of gold facts a grounded answer can hold, by data set.

    python tests/benchmarks/sayable.py --duie FILE --text2kg DIR --finre FILE --missed 20

An argument can be said if it is an entity of its sentence under `constrain`; both grammar engines admit the same
entities. Facts as the files give them, without sampling and without a model: seconds for thousands of sentences.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from triplelake.config import AnswerSettings
from triplelake.prompt.grammar.spans import material
from triplelake.text import detect_language
from triplelake.types import Request

Sentence = tuple[str, list[str]]
"""A text, and the arguments of its facts."""


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


def report(name: str, sentences: Iterable[Sentence], max_chars: int, shown: int) -> None:
    """Print how many arguments that stand in their sentence can be said, and some that cannot."""
    total = absent = 0
    missed = []
    for text, arguments in sentences:
        spans = material(Request("", text, "", "", detect_language(text)), max_chars, quoted=True)
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
    options = parser.parse_args()
    for name, read in (("duie", duie), ("finre", finre), ("text2kg", text2kg)):
        if path := getattr(options, name):
            report(name, read(path), options.max_entity_chars, options.missed)


if __name__ == "__main__":
    main()

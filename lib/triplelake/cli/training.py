"""The options of `triplelake export --what training`."""

from __future__ import annotations

import argparse
from typing import Any, get_args

from rich.console import Console

from triplelake.cli.parsing import Parser, file_here, read_settings
from triplelake.errors import UsageError
from triplelake.evaluate.gold import READERS
from triplelake.training.card import LineForm
from triplelake.training.parts import Wanted

TRAINING = "training"
FORMATS: tuple[LineForm, ...] = get_args(LineForm)

_SETTINGS = ("config", "profile", "input", "corpus.text_column", "corpus.id_column", "corpus.title_column")
_OTHERS = ("where", "predicate", "plain")
"""Options of the other exports."""


def add_training(parser: Parser) -> None:
    """The options that go with `--what training` only."""
    group = parser.add_argument_group("training data (--what training)")

    def add(*names: str, help: str, **how: Any) -> None:
        # What was not named is not there, so that it is known what was.
        group.add_argument(*names, default=argparse.SUPPRESS, help=f"{TRAINING}: {help}", **how)

    file = {"type": file_here, "metavar": "FILE"}
    add(
        "--gold", action="append", **file, help="gold triples, as for `triplelake evaluate`; may be given several times"
    )
    add("--gold-format", choices=READERS, help="format of the gold files, if their first lines do not tell")
    add("--review", action="append", **file, help="sheet with its column `verdict` filled in; also several times")
    add("--facts", action="store_true", help="the facts of --output, with the chunks that they were found in")
    add("--min-confidence", type=float, metavar="C", help="triples of --output that are so sure")
    add("--precision", type=float, metavar="P", help="the surest triples of --output, such a share expected right")
    add("--apart", action="append", **file, help="gold or sheet for an evaluation: nothing near its texts is used")
    add("--profile", metavar="NAME", help="profile that the model will be asked with: `instructions: line|relations`")
    add("--n", type=int, metavar="N", help="texts to draw, dev included, rare relations first; else all")
    add("--dev", type=float, metavar="D", help="share, or number, of texts that training stops by (0.1)")
    add("--empty", type=float, metavar="E", help="share of texts without facts at most (0.1)")
    add("--per-relation", type=int, metavar="N", help="texts of a relation from which on it gets no more")
    add("--hant", action="store_true", help="add Traditional copies of Simplified texts to train on")
    add("--seed", type=int, metavar="N", help="draws the texts and the dev part (0)")
    add("--config", **file, help="YAML file with settings (conf/extract.yaml)")
    add("--input", nargs="+", metavar="PATH", help="texts of gold that has none, by their ids")
    for name, what in (("text", "the text"), ("id", "the ids of gold"), ("title", "the title")):
        several: dict[str, Any] = {"nargs": "+"} if name == "id" else {}
        add(
            f"--{name}-column",
            dest=f"corpus.{name}_column",
            metavar="NAME",
            help=f"column of the input with {what}",
            **several,
        )
    add("--set", action="append", metavar="KEY=VALUE", help="any key of docs/options.md")


def refuse_training_options(arguments: argparse.Namespace, parser: Parser) -> None:
    """Refuse an option of training data with another export.

    Raises:
        UsageError: names the first one.
    """
    (group,) = (each for each in parser._action_groups if each.title and TRAINING in each.title)
    named = vars(arguments)
    for action in group._group_actions:
        if action.dest in named:
            raise UsageError(action.option_strings[0], f"goes with --what {TRAINING} only", "Leave it out.")


def training_command(arguments: argparse.Namespace, console: Console) -> None:
    """Make training data."""
    named = vars(arguments)
    for other in _OTHERS:
        if named[other]:
            raise UsageError(f"--{other}", f"says nothing with --what {TRAINING}", "Leave it out.")
    form = next((each for each in FORMATS if each == (named["format"] or FORMATS[0])), None)
    if form is None:
        name = f"--format {named['format']}"
        raise UsageError(name, "is no form of training data", f"Known: {', '.join(FORMATS)}.")
    for name in ("n", "per_relation"):
        if named.get(name, 1) < 1:
            raise UsageError(f"--{name.replace('_', '-')} {named[name]}", "is no number of texts", "1 or more.")
    settings = read_settings({"set": named.get("set", []), **{key: named[key] for key in _SETTINGS if key in named}})
    from triplelake.commands.export_training import export_training
    from triplelake.commands.training_sources import TrainingChoice

    usual = Wanted()
    wanted = Wanted(
        n=named.get("n"),
        dev=named.get("dev", usual.dev),
        empty=named.get("empty", usual.empty),
        per_relation=named.get("per_relation"),
        seed=named.get("seed", usual.seed),
    )
    choice = TrainingChoice(
        to=named["to"],
        settings=settings,
        gold=tuple(named.get("gold", ())),
        review=tuple(named.get("review", ())),
        gold_format=named.get("gold_format"),
        apart=tuple(named.get("apart", ())),
        output=named["tables"],
        facts="facts" in named,
        min_confidence=named.get("min_confidence"),
        precision=named.get("precision"),
        ontology=named["names"],
        form=form,
        wanted=wanted,
        hant="hant" in named,
        overwrite=named["overwrite"],
    )
    export_training(choice, console)

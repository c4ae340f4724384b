"""The command `triplelake tune-prompt`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser, file_here, read_settings
from triplelake.commands.tune_prompt import tune_prompt
from triplelake.commands.tune_prompt_messages import Shown
from triplelake.commands.tune_prompt_profile import write_tuned
from triplelake.commands.tune_texts import FEWEST, Draw, Texts, of_gold, of_nobody, of_sheet
from triplelake.config import Settings
from triplelake.engine.asking.open_pool import PromptFiles, read_prompt_files
from triplelake.errors import UsageError
from triplelake.evaluate.gold import READERS, gold_format
from triplelake.evaluate.review import read_review
from triplelake.prompt.arms import check_names
from triplelake.prompt.files import check_new

_EXAMPLES = (
    Example(
        "by gold triples, on the model of this machine", "triplelake tune-prompt --gold gold.jsonl --to my-model.yaml"
    ),
    Example(
        "by a sheet that people have judged, on a server of your own",
        "triplelake tune-prompt --review out/kg/review.csv --pool http://gpu-1:8080 --to my-model.yaml",
    ),
    Example(
        "by agreement on texts that nobody has judged, all ways tried",
        "triplelake tune-prompt --input news.jsonl --arms all --n 100 --to my-model.yaml",
    ),
)
_ENDINGS = (".yaml", ".yml")


def tune_prompt_command(argv: Sequence[str]) -> int:
    """`triplelake tune-prompt`; returns the exit code."""
    return guarded(lambda console: _tune(argv, console))


def tune_prompt_parser() -> Parser:
    """The command line of `triplelake tune-prompt`."""
    parser = command_parser(
        "tune-prompt",
        "--to FILE",
        "Try ways of asking a model on your texts, and write the best one as a model profile.",
        _EXAMPLES,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument_group("the texts, and what chooses").add_argument
    add("--gold", type=file_here, default=None, metavar="FILE", help="JSON Lines with gold triples: they choose")
    add("--gold-format", default=None, choices=READERS, help="format of the gold file, if its first line does not tell")
    add(
        "--review",
        type=file_here,
        default=None,
        metavar="FILE",
        help="review.csv with its column `verdict` filled in: the verdicts choose",
    )
    add(
        "--input",
        nargs="+",
        metavar="PATH",
        help="texts: of gold that has none, by their ids; without gold and sheet those on which the ways shall agree",
    )
    add("--text-column", dest="corpus.text_column", metavar="NAME", help="column of the input with the text")
    add(
        "--id-column",
        dest="corpus.id_column",
        nargs="+",
        metavar="NAME",
        help="column of the input with the ids of gold",
    )
    add("--title-column", dest="corpus.title_column", metavar="NAME", help="column of the input with the title")
    add("--n", type=int, default=200, metavar="N", help="texts to ask each way about; half of them choose (200)")
    add("--seed", type=int, default=0, metavar="N", help="draws the texts (0)")
    add = parser.add_argument_group("what to look for, the model to ask, and the ways to try").add_argument
    add("--arms", nargs="+", default=None, metavar="ARM", help="ways to try, EXAMPLES-ANSWER-EMPTY each; or `all`")
    add("--ontology", metavar="FILE", help="relations to look for; `none` for free predicates")
    add("--pool", metavar="POOL", help="`embedded`, a pool file, or URLs separated by commas")
    add("--model", dest="embedded.model", metavar="GGUF", help="model file for `--pool embedded`")
    add("--lora", dest="embedded.lora", metavar="GGUF", help="adapter that was trained on that model")
    add("--profile", metavar="NAME", help="profile whose template is used; else that of the alias, or what is possible")
    add = parser.add_argument_group("the profile to write").add_argument
    add("--to", type=file_here, required=True, metavar="FILE", help="profile to write (.yaml)")
    add("--overwrite", action="store_true", default=False, help="replace an earlier file")
    add = parser.add_argument_group("settings").add_argument
    add("--config", type=file_here, metavar="FILE", help="YAML file with settings (conf/extract.yaml)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of docs/options.md")
    return parser


def _tune(argv: Sequence[str], console: Console) -> None:
    arguments = vars(tune_prompt_parser().parse(argv))
    own = {
        name: arguments.pop(name) for name in ("to", "gold", "gold_format", "review", "arms", "n", "seed", "overwrite")
    }
    # All that can be wrong is told before a server is started or asked.
    _check_usage(own)
    settings = read_settings(arguments)
    prompt_files = read_prompt_files(settings)
    texts = _texts(own, settings, prompt_files)
    tried = tune_prompt(settings, prompt_files, texts, console, own["arms"])
    shown = Shown(tried.alias, texts.told, own["seed"], tried.found, tried.notes)
    shown.show(console)
    write_tuned(own["to"], tried, shown, console, overwrite=own["overwrite"])


def _check_usage(own: dict[str, Any]) -> None:
    if own["gold"] and own["review"]:
        raise UsageError("--gold, --review", "one of them chooses, and not both", "Leave one of them out.")
    if own["gold_format"] and not own["gold"]:
        raise UsageError("--gold-format", "goes with --gold only", "Leave it out.")
    if own["n"] < 2 * FEWEST:
        raise UsageError(f"--n {own['n']}", f"is fewer than {2 * FEWEST}: half of them choose", "Name more texts.")
    check_names(own["arms"] or ())
    file: Path = own["to"]
    if file.suffix not in _ENDINGS:
        reason = f"does not end in {' or '.join(_ENDINGS)}, by which --profile knows a file"
        raise UsageError(f"--to {file}", reason, f"Name it {file.stem}.yaml.")
    check_new(file, overwrite=own["overwrite"])


def _texts(own: dict[str, Any], settings: Settings, prompt_files: PromptFiles) -> Texts:
    draw = Draw(own["n"], own["seed"])
    if own["gold"]:
        form = own["gold_format"] or gold_format(own["gold"])
        return of_gold(own["gold"], form, settings, prompt_files.ontology, draw)
    if own["review"]:
        return of_sheet(read_review(own["review"]), own["review"], settings, prompt_files.ontology, draw)
    return of_nobody(settings, draw)

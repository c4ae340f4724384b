"""The command `triplelake demo`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Example, Parser, command_parser
from triplelake.config import conf_dir, load_settings

_EXAMPLES = (
    Example("the sample corpus, asked of the small model on this machine: a few minutes", "triplelake demo"),
    Example("asked of a server of your own", "triplelake demo --pool http://gpu-1:8080"),
    Example(
        "asked of a chat model in a file, with tables of its own",
        "triplelake demo --model qwen.gguf --profile chat --output out/demo-qwen",
    ),
)


def demo_command(argv: Sequence[str]) -> int:
    """`triplelake demo`; returns the exit code."""
    return guarded(lambda console: _demo(argv, console))


def demo_parser() -> Parser:
    """The command line of `triplelake demo`."""
    parser = command_parser(
        "demo",
        "",
        "Extract the sample corpus and compare the result with its gold triples.",
        _EXAMPLES,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument_group("the model to ask").add_argument
    add("--pool", metavar="POOL", help="a pool file, or URLs separated by commas; else `embedded`")
    add("--model", dest="embedded.model", metavar="GGUF", help="model file for `--pool embedded`")
    add("--lora", dest="embedded.lora", metavar="GGUF", help="adapter that was trained on that model")
    add("--profile", metavar="NAME", help="how the model wants to be asked: a profile of conf/models")
    add = parser.add_argument_group("the tables").add_argument
    add("--output", metavar="PATH", help="path of the tables (default out/demo)")
    return parser


def _demo(argv: Sequence[str], console: Console) -> None:
    # As in conf/demo.yaml, but from wherever the project's files are.
    corpus = {"input": [str(conf_dir() / "demo" / "corpus.jsonl")]}
    settings = load_settings(conf_dir() / "demo.yaml", corpus | vars(demo_parser().parse(argv)))
    from triplelake.commands.demo import demo

    demo(settings, console)

"""The command of `jobs/demo.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import Parser
from triplelake.config import conf_dir, load_settings


def demo_command(argv: Sequence[str]) -> int:
    """`jobs/demo.py`; returns the exit code."""
    return guarded(lambda console: _demo(argv, console))


def _demo(argv: Sequence[str], console: Console) -> None:
    parser = Parser(
        prog="demo.py",
        description="Extract the sample corpus and compare the result with its gold triples.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--pool", metavar="POOL", help="a pool file, or URLs separated by commas; else `embedded`")
    parser.add_argument("--model", dest="embedded.model", metavar="GGUF", help="model file for `--pool embedded`")
    parser.add_argument("--lora", dest="embedded.lora", metavar="GGUF", help="adapter that was trained on that model")
    parser.add_argument("--profile", metavar="NAME", help="how the model wants to be asked: a profile of conf/models")
    parser.add_argument("--output", metavar="PATH", help="path of the tables (default out/demo)")
    # As in conf/demo.yaml, but from wherever the project's files are.
    corpus = {"input": [str(conf_dir() / "demo" / "corpus.jsonl")]}
    settings = load_settings(conf_dir() / "demo.yaml", corpus | vars(parser.parse(argv)))
    from triplelake.commands.demo import demo

    demo(settings, console)

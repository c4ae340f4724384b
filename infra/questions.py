"""Write questions of the job to a file, as a server is asked them, for `infra/llama/tune.py` to tune a host with.

    python infra/questions.py --input CORPUS --pool POOL --out FILE [--config FILE] [--count N]

The prompts are those of `triplelake extract` with the same settings, each with its grammar for every engine. They are
drawn from all of the corpus with a fixed seed, as far as it is files; a server of the pool is needed for its template.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from triplelake.cli.guard import guarded
from triplelake.cli.parsing import EXIT_CODES, Parser, read_settings
from triplelake.config import Settings
from triplelake.console import say
from triplelake.corpus.chunking import chunk_document
from triplelake.corpus.inputs import find_input
from triplelake.corpus.readers import read_split
from triplelake.engine.asking.open_pool import OpenPool, open_pool, read_prompt_files
from triplelake.errors import InputError
from triplelake.pool.client import LlamaServer, completion_body
from triplelake.pool.protect import protect
from triplelake.prompt.grammar import build_grammar
from triplelake.types import GrammarEngine, Record, Request

_READ_FOR_EACH = 20
"""Chunks to draw one from: a corpus of terabytes is not read for a few hundred."""


def main(argv: list[str]) -> int:
    return guarded(lambda console: write(argv, console))


def write(argv: list[str], console: Console) -> None:
    """Write the file that the options name.

    Raises:
        TriplelakeError: an option, the corpus or the pool is not as it has to be.
    """
    parser = Parser(
        prog="questions.py",
        description=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXIT_CODES,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--input", nargs="+", metavar="PATH", help="files, folders or globs")
    add("--pool", metavar="POOL", help="a pool file, or URLs separated by commas")
    add("--config", type=Path, default=None, metavar="FILE", help="the settings of the job")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of docs/options.md")
    add("--count", type=int, default=500, metavar="N", help="questions to write (500)")
    add("--out", type=Path, required=True, metavar="FILE")
    options = vars(parser.parse(argv))
    out, count = options.pop("out"), options.pop("count")
    settings = read_settings(options)
    with open_pool(settings, read_prompt_files(settings)) as pool:
        lines = [json.dumps(question, ensure_ascii=False) for question in questions(settings, pool, count)]
    out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    say(console, f"{out}: {len(lines)} questions")


def questions(settings: Settings, pool: OpenPool, count: int) -> Iterator[dict[str, Any]]:
    """So many chunks of the corpus as `/completion` is asked about them: `body`, and `grammars` by engine.

    Raises:
        InputError: the corpus is none of files, or holds no text.
    """
    drawn = draw(settings, count)
    method = pool.method
    with closing(LlamaServer(pool.survey.endpoints[0], settings.asking.timeout_s)) as server:
        for request in drawn:
            prompt = protect(method.renderer.render(request).parts, server.tokenize)
            yield {
                "body": completion_body(
                    prompt,
                    grammar=None,
                    max_tokens=method.answer.max_tokens,
                    stop=method.renderer.stop,
                    probabilities=settings.asking.probabilities,
                ),
                "grammars": {
                    engine: build_grammar(engine, request, method.ontology, method.answer, method.renderer.form)
                    for engine in get_args(GrammarEngine)
                },
            }


def draw(settings: Settings, count: int) -> list[Request]:
    """Chunks of files in a random order, always the same."""
    found = find_input(settings)
    name = ", ".join(settings.input)
    if found.columns is None:
        raise InputError(name, f"is {found.format}, which Spark reads", "Write some of its texts as JSON Lines.")
    chosen = random.Random(0)
    splits = list(found.splits)
    chosen.shuffle(splits)
    chunks: list[Request] = []
    for record in chain.from_iterable(read_split(split, found.columns) for split in splits):
        if isinstance(record, Record):
            chunks += [
                Request("", chunk.text, record.title or "", chunk.context, chunk.lang)
                for chunk in chunk_document(record.text, record.title, settings.chunking)
            ]
        if len(chunks) >= _READ_FOR_EACH * count:
            break
    if not chunks:
        raise InputError(name, "holds no text", "Check --input.")
    chosen.shuffle(chunks)
    return chunks[:count]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

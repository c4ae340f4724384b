"""What a language must have: a further one fails here, with the name of the table or file that lacks it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import triplelake
from triplelake.config import conf_dir
from triplelake.types import LANGS, TRAITS, Lang

LIB = Path(triplelake.__file__).parent


def _named(tree: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            yield ast.unparse(node.target), node.value
        elif isinstance(node, ast.Assign):
            yield ast.unparse(node.targets[0]), node.value
        elif isinstance(node, ast.keyword):
            yield node.arg or "**", node.value


def _tables() -> dict[str, set[object]]:
    """The keys of all tables in the code whose keys are languages, by file and name."""
    found: dict[str, set[object]] = {}
    for file in sorted(LIB.rglob("*.py")):
        for name, value in _named(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(value, ast.Dict):
                keys = {ast.literal_eval(key) if isinstance(key, ast.Constant) else None for key in value.keys}
                if keys and keys <= set(LANGS):
                    found[f"{file.relative_to(LIB)} {name}"] = keys
    return found


TABLES = _tables()


def test_the_tables_are_found() -> None:
    assert {name.split()[1] for name in TABLES} >= {"TRAITS", "WORDS_PER_TRIPLE", "FREE_PREDICATES", "none"}


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_every_language(table: str, lang: Lang) -> None:
    assert lang in TABLES[table], f"{table} lacks {lang}"


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("file", ["prompts/{}.yaml", "known/{}.jsonl"])
def test_every_language_has_its_files(file: str, lang: Lang) -> None:
    assert (conf_dir() / file.format(lang)).is_file()


@pytest.mark.parametrize("lang", LANGS)
def test_a_language_is_the_twin_of_its_twin(lang: Lang) -> None:
    traits = TRAITS[lang]
    assert bool(traits.twin) == bool(traits.from_twin)
    assert traits.twin is None or TRAITS[traits.twin].twin == lang

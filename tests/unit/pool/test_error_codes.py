"""One table of error codes: every code that the program can give is in it, and all who ask go by it."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

from triplelake.codes import CODES, Code, Fault
from triplelake.pool.failures import ServerFailure

LIB = Path(__file__).resolve().parents[3] / "lib" / "triplelake"


def test_every_code_has_its_line_in_both_languages() -> None:
    assert list(CODES) == list(Code)
    for entry in CODES.values():
        for words in (entry.meaning, entry.remedy):
            assert words.en and words.zh and words.en.isascii() and not words.zh.isascii()


def test_no_code_is_written_as_bare_text() -> None:
    """A bare text is looked up nowhere, so that a slip of the pen would be a code of its own."""
    raising = {"ServerFailure", "AnswerError", "FailedTry", "failed", "_fail"}
    for file in LIB.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                texts = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
                assert name not in raising or not {*texts} & {*Code}, (file.name, node.lineno)


@pytest.mark.parametrize("code", Code)
def test_what_follows_from_a_code_is_what_its_fault_says(code: Code) -> None:
    entry = code.entry
    assert ServerFailure(code, "no").retryable is entry.retried
    # Only what says nothing of the request may leave it without a row, and only such a thing passes by itself.
    assert entry.has_row or entry.fault in (Fault.SERVER, Fault.SETTINGS)
    assert not entry.passing or (entry.retried and entry.fault in (Fault.SERVER, Fault.UNCLEAR))
    assert pickle.loads(pickle.dumps(code)) is code and f"{code}" == code.value

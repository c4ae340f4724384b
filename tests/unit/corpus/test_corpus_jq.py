"""Where one record, or one file, holds many documents, the error has the line of `jq` that takes them apart."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triplelake.config import load_settings
from triplelake.corpus.columns import first_records
from triplelake.corpus.inputs import find_input
from triplelake.corpus.jq import program
from triplelake.corpus.readers.raw import RawRecord
from triplelake.corpus.records import record_from_fields
from triplelake.corpus.shapes import shape_of, ways
from triplelake.errors import InputError
from triplelake.types import Record

A, B, C = "陶行知创办了晓庄学校。", "蔡元培擔任北京大學校長。", "Edda Lund was born in Harrow."

needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="this machine has no jq")

CASES: dict[str, tuple[Any, str]] = {
    "list in objects": ({"code": 0, "data": {"total": 3, "items": [{"text": t} for t in (A, B, C)]}}, "text"),
    "keyed": ({f"a{n}": {"title": "题", "text": t} for n, t in enumerate((A, B, C))}, "text"),
    "keyed inside": ({"query": {"pages": {str(n): {"extract": t} for n, t in enumerate((A, B, C))}}}, "extract"),
    "keyed texts": ({f"a{n}": A + str(n) for n in range(20)}, "text"),
    "lists in lists": (
        {"version": "v2", "data": [{"title": "题", "paragraphs": [{"context": t, "qas": []} for t in (A, B, C)]}] * 2},
        "context",
    ),
    "odd names": ({"数 据": {'a"b\\(c)': [{"it's": {"正文": t}} for t in (A, B, C)]}}, "it's.正文"),
    "list of texts": ({"data": [A, B, C]}, "text"),
    "array of records": ([{"id": n, "parts": [{"正文": t}]} for n, t in enumerate((A, B, C))], "正文"),
    "a record without": ([{"parts": [{"正文": A}, {"正文": B}, {"正文": C}]}, {"parts": None}, {}], "正文"),
}


def _run(line: str, folder: Path) -> Path:
    """What a shell makes of the line."""
    [(command, made)] = re.findall(r"\A(.*) > (\S+|'.*')\Z", line)
    result = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, cwd=folder, check=False)
    assert result.returncode == 0, result.stderr.decode()
    out: Path = folder / made.strip("'")
    assert not out.exists()
    out.write_bytes(result.stdout)
    return out


def _texts(file: Path, **chosen: object) -> list[str]:
    found = find_input(load_settings(None, {"input": (str(file),), **chosen}, {}))
    assert found.columns is not None
    records = [each for split in found.splits for each in first_records(split)]
    made = [
        record_from_fields("", each.place, each.fields, found.columns)
        for each in records
        if isinstance(each, RawRecord)
    ]
    return [each.text for each in made if isinstance(each, Record)]


def _refused(file: Path, **chosen: object) -> InputError:
    with pytest.raises(InputError) as caught:
        find_input(load_settings(None, {"input": (str(file),), **chosen}, {}))
    return caught.value


@needs_jq
@pytest.mark.parametrize(
    ("name", "encoding"),
    [*((name, "utf-8") for name in CASES), *(("odd names", each) for each in ("utf-8-sig", "gb18030", "utf-16"))],
)
def test_the_line_gives_json_lines_that_are_read(name: str, encoding: str, tmp_path: Path) -> None:
    held, column = CASES[name]
    file = tmp_path / "导出 1.json"
    file.write_text(json.dumps(held, ensure_ascii=False, indent=1), encoding)
    remedy = _refused(file).remedy.splitlines()
    [line] = [each.strip() for each in remedy if " jq " in f" {each}"]
    out = _run(line, tmp_path)
    [then] = [each for each in remedy if each.startswith("Then: ")]
    words = shlex.split(then)
    assert (words[-1] if "--text-column" in words else "text") == column
    texts = _texts(out, **({"corpus.text_column": column} if "--text-column" in words else {}))
    assert set(texts) == ({A + str(n) for n in range(20)} if name == "keyed texts" else {A, B, C})


@needs_jq
@pytest.mark.parametrize(
    "turns",
    [
        [{"from": "human", "value": A}, {"from": "gpt", "value": B}],
        [{"role": "user", "content": A}, {"role": "assistant", "content": None}, {"role": "user", "content": B}],
        [A, B],
    ],
)
def test_what_is_said_in_turn_is_one_document(turns: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "chat.jsonl"
    file.write_text("".join(json.dumps({"id": n, "turns": turns}) + "\n" for n in range(2)), encoding="utf-8")
    remedy = _refused(file).remedy
    out = _run(next(each.strip() for each in remedy.splitlines() if "jq" in each), tmp_path)
    assert _texts(out, **{"corpus.id_column": "id"}) == [f"{A}\n\n{B}"] * 2
    assert out.name == "chat.items.jsonl"


def test_of_a_compressed_file_and_of_the_name_that_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "in.json.gz"
    file.write_bytes(gzip.compress(json.dumps({"data": [{"body": A, "text": "x"}]}).encode()))
    error = _refused(file, **{"corpus.text_column": "body"})
    assert f"gzip -dc {file} | jq -c '.data[]' > in.items.jsonl" in error.remedy
    assert "Then: --input in.items.jsonl --text-column body" in error.remedy
    # The id is asked for by name, and the text is what the list is opened for.
    assert "Then: --input in.items.jsonl\n" in _refused(file, **{"corpus.id_column": "body"}).remedy


def test_objects_that_are_columns_are_not_taken_for_documents() -> None:
    pairs = [{"zh": {"text": A}, "en": {"text": C}} for _ in range(3)]
    assert [way.path for way in ways(shape_of(pairs))] == ["zh.text", "en.text"]
    assert [way.path for way in ways(shape_of([{"id": 1, "article": {"body": A}, "src": {"body": B}}]))] == [
        "id",
        "article.body",
        "src.body",
    ]


@needs_jq
@pytest.mark.parametrize(
    "records",
    [
        [{"v": [{"a": A}, [[A]]]}],
        [{"v": [[A]]}, {"v": {"a": A}}],
        [{"v": {"a": [A], "b": [A]}}, {"v": [A, A]}],
    ],
)
def test_lists_and_objects_at_one_place_are_told_apart(records: list[dict[str, Any]]) -> None:
    for way in ways(shape_of(records)):
        if way.path is None:
            code, _ = program(way, many=len(records) > 1, array=False)
            lines = "\n".join(map(json.dumps, records))
            out = subprocess.run(["jq", "-c", code], input=lines, capture_output=True, text=True, check=False)
            assert (A in out.stdout, out.stderr) == (True, ""), code


NAMES = st.text("ab. '\"\\(é正", min_size=1, max_size=4)


@needs_jq
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.just(A) | st.none() | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=10,
    ),
    st.booleans(),
)
def test_of_whatever_is_nested_the_program_gives_the_text(value: Any, several: bool) -> None:
    records = [{"v": value}] * (2 if several else 1)
    for way in ways(shape_of(records)):
        if way.path is not None or not way.is_text:
            continue
        code, column = program(way, many=several, array=False)
        out = subprocess.run(
            ["jq", "-c", code], input="\n".join(map(json.dumps, records)), capture_output=True, text=True, check=False
        )
        assert A in out.stdout and "syntax" not in out.stderr, (code, out.stderr)
        assert column

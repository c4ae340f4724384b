"""Reading answers: strict, except for a tail that the server cut off."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triplelake.prompt.answer_form import BY_RELATION, BY_SUBJECT, LINES, Grouped
from triplelake.triples.parse import AnswerError, parse_answer

TRIPLES = st.lists(st.tuples(*[st.text(max_size=8)] * 3), max_size=4)
Form = tuple[bool, tuple[str, str], bool]
FORMS = st.tuples(st.booleans(), st.sampled_from([(",", ":"), (" ,\n", " : ")]), st.booleans())
"""ASCII only, separators, and whether a triple is an object."""


def encode(triples: list[tuple[str, str, str]], form: Form) -> str:
    ascii_only, separators, is_objects = form
    keys = ("subject", "relation", "object")
    rows = [dict(zip(keys, triple, strict=True)) for triple in triples] if is_objects else triples
    return json.dumps(rows, ensure_ascii=ascii_only, separators=separators)


def said_at(answer: str, places: tuple[tuple[tuple[int, int], ...], ...]) -> list[tuple[str, ...]]:
    return [tuple(json.loads(f'"{answer[start:end]}"') for start, end in triple) for triple in places]


def code_of(text: str, *, truncated: bool = False) -> str:
    with pytest.raises(AnswerError) as caught:
        parse_answer(text, truncated=truncated)
    assert caught.value.message
    return caught.value.code


@given(TRIPLES, FORMS, st.sampled_from(["", " ", "\n\t "]), st.booleans())
def test_a_whole_answer_gives_its_triples_back(
    triples: list[tuple[str, str, str]], form: Form, space: str, truncated: bool
) -> None:
    answer = space + encode(triples, form) + space
    parsed = parse_answer(answer, truncated=truncated)
    assert parsed.complete
    assert parsed.items == tuple(triples)
    assert said_at(answer, parsed.places) == triples


@given(TRIPLES, FORMS, st.data())
def test_any_prefix_of_an_answer_gives_a_prefix_of_its_triples(
    triples: list[tuple[str, str, str]], form: Form, data: st.DataObject
) -> None:
    answer = encode(triples, form)
    cut = data.draw(st.integers(0, len(answer) - 1))
    parsed = parse_answer(answer[:cut], truncated=True)
    assert not parsed.complete
    # Every triple whose closing bracket is there is kept, and none that is not.
    whole = next(n for n in range(len(triples), -1, -1) if len(encode(triples[:n], form)[:-1]) <= cut or n == 0)
    assert parsed.items == tuple(triples[:whole])
    assert code_of(answer[:cut]) in {"unfinished", "empty_answer"}


@given(TRIPLES, st.sampled_from([BY_SUBJECT, BY_RELATION]), st.booleans())
def test_groups_give_their_triples(triples: list[tuple[str, str, str]], form: Grouped, spaced: bool) -> None:
    relations = sorted({relation for _, relation, _ in triples})
    answer = form.write(triples, relations)
    if spaced:
        # Its own strings are told from what stands between them by a reader of JSON.
        answer = json.dumps(json.loads(answer), ensure_ascii=False, indent=1)
    parsed = parse_answer(answer, truncated=False)
    assert parsed.complete
    assert sorted(parsed.items) == sorted(triples)
    assert said_at(answer, parsed.places) == list(parsed.items)
    assert form.write(parsed.items, relations) == form.write(triples, relations)
    for cut in range(1, len(answer)):
        part = parse_answer(answer[:cut], truncated=True)
        assert not part.complete
        assert part.items == parsed.items[: len(part.items)]
        assert code_of(answer[:cut]) == "unfinished"


STRINGS = st.text('甲a ["\\|\n😀é', min_size=1, max_size=5)
LINES_OF = st.lists(st.tuples(STRINGS, STRINGS, STRINGS), min_size=1, max_size=4)


@given(LINES_OF.filter(lambda triples: not triples[0][0].lstrip().startswith("[")), st.sampled_from(["", "\n", "\n\n"]))
def test_lines_give_their_triples(triples: list[tuple[str, str, str]], end: str) -> None:
    # What begins as a JSON list does is one; no entity begins so.
    answer = LINES.write(triples)
    assert answer.count("\n") == len(triples) - 1
    assert answer.count("|") == 2 * len(triples)
    parsed = parse_answer(answer + end, truncated=False)
    assert parsed.complete
    assert parsed.items == tuple(triples)
    assert said_at(answer, parsed.places) == triples
    for cut in range(len(answer) + 1):
        text = answer[:cut]
        if text.strip() and "|" not in text:
            # Nothing tells it from prose yet.
            assert code_of(text, truncated=True) == code_of(text) == "invalid_json"
            continue
        part = parse_answer(text, truncated=True)
        # A line without its line break might have gone on.
        assert (part.items, part.complete) == (tuple(triples[: text.count("\n")]), False)
        last = text.rpartition("\n")[2]
        if last.count("|") < 2 or last.endswith("|"):
            if last.strip() or not text.strip():
                assert code_of(text) in ("unfinished", "empty_answer")
            else:
                assert parse_answer(text, truncated=False).items == part.items


@pytest.mark.parametrize("word", ["无", "無", "none", "none\n"])
def test_a_word_stands_for_no_lines(word: str) -> None:
    parsed = parse_answer(word, truncated=False)
    assert (parsed.items, parsed.complete) == ((), True)
    assert {LINES.write((), lang=lang) for lang in LINES.none} == {"无", "無", "none"}
    assert parse_answer("none|of|them", truncated=False).items == (("none", "of", "them"),)


def test_a_line_may_begin_with_a_bracket() -> None:
    assert parse_answer("[a]芘|成分|苯", truncated=False).items == (("[a]芘", "成分", "苯"),)
    assert not parse_answer("[a]芘|成", truncated=True).complete


def test_a_group_that_comes_again_loses_nothing() -> None:
    assert parse_answer('{"a":{"r":["b"]},"a":{"r":["c","b"]}}', truncated=False).items == (
        ("a", "r", "b"),
        ("a", "r", "c"),
        ("a", "r", "b"),
    )
    assert parse_answer('{"r":[["a","b"]],"r":[["a","b"]]}', truncated=False).items == (("a", "r", "b"),) * 2


@given(st.text() | st.text('[]",\\abc \nu0{}:晨雾\ud800|', max_size=30), st.booleans())
@example('[["a","b","c"]]]', True)
@example("[" * 100_000, False)
@example("9" * 5_000, False)
def test_junk_raises_nothing_but_answer_error(junk: str, truncated: bool) -> None:
    try:
        parsed = parse_answer(junk, truncated=truncated)
    except AnswerError as error:
        assert error.code in {"empty_answer", "invalid_json", "not_triples", "unfinished"}
        return
    if parsed.complete and junk.lstrip(" \t\r\n").startswith(("[", "{")) and junk != LINES.write(parsed.items):
        rows = json.loads(junk)
        if isinstance(rows, list):
            said = [[*row.values()] if isinstance(row, dict) else row for row in rows]
            assert said == [list(item) for item in parsed.items]
    elif parsed.complete:
        rows = [
            line.split("|") for line in junk.split("\n") if line.strip() and junk.strip() not in LINES.none.values()
        ]
        assert [[json.loads(f'"{part}"') for part in row] for row in rows] == [list(item) for item in parsed.items]
    else:
        assert truncated


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("", "empty_answer"),
        (" \n", "empty_answer"),
        ("没有三元组", "invalid_json"),
        ('[["a","b","c"]] done', "invalid_json"),
        ('[["a","b","c"],]', "invalid_json"),
        ("[['a','b','c']]", "invalid_json"),
        ('[["a","b","line\nbreak"]]', "invalid_json"),
        ('[["a","b","\\ud800"]]', "invalid_json"),
        ('[["a","b","\\x"]]', "invalid_json"),
        ('{"subject":"a"}', "not_triples"),
        ('["a","b","c"]', "not_triples"),
        ('[["a","b"]]', "not_triples"),
        ('[["a","b","c","d"]]', "not_triples"),
        ('[["a","b",1]]', "not_triples"),
        ('[{"subject":"a","relation":"b"}]', "not_triples"),
        ('[{"subject":"a","relation":"b","object":"c","sure":"d"}]', "not_triples"),
        ('[{"object":"a","relation":"b","subject":"c"}]', "not_triples"),
        ('[{"subject":"a","relation":"b","object":"c"}', "unfinished"),
        ("null", "not_triples"),
        ('{"a":{}}', "not_triples"),
        ('{"a":{"r":[]}}', "not_triples"),
        ('{"r":[]}', "not_triples"),
        ('{"r":[["a"]]}', "not_triples"),
        ('{"r":["a"]}', "not_triples"),
        ('{"a":{"r":[["b","c"]]}}', "not_triples"),
        ('{"a":{"r":["b"]},"r":[["a","b"]]}', "not_triples"),
        ('{"r":[["a","b"]],"a":{"r":["b"]}}', "not_triples"),
        ('{"a":{"r":["b"]}', "unfinished"),
        ('[["a","b","c"]', "unfinished"),
        ('[["a","b","c"],', "unfinished"),
        ('[["a', "unfinished"),
        ("甲|作者", "unfinished"),
        ("甲|作者|乙\n丙|作", "unfinished"),
        ("non", "unfinished"),
        ("None", "invalid_json"),
        ("none\n甲|作者|乙", "invalid_json"),
        ("甲||乙", "invalid_json"),
        ("甲|作者|乙|丙", "invalid_json"),
        ("甲|作者|乙\\x", "invalid_json"),
        ("甲|作者|\\ud800", "invalid_json"),
        ("甲|作者|乙\r\n丙|作者|丁", "invalid_json"),
        ("甲|作者|乙\n丙|作者|丁|戊", "not_triples"),
        ("甲|作者|乙\n\n丙|作者|丁", "not_triples"),
        ('甲|作者|乙\n[["a","b","c"]]', "not_triples"),
    ],
)
def test_errors_have_codes(answer: str, code: str) -> None:
    assert code_of(answer) == code


@pytest.mark.parametrize(
    "answer",
    [
        '[["a","b"],["c"',
        '[["a",1',
        '[["a","b","c"]] x',
        '[["a","b","\\x',
        "{]",
        '{"a":1',
        '{"a":{"r":["b"]}]',
        "Sure: [",
        "Sure, here they",
        "甲|作者|乙|",
        "甲|作者|乙\n丙||",
    ],
)
def test_truncation_excuses_only_what_more_text_could_mend(answer: str) -> None:
    assert code_of(answer, truncated=True) in {"invalid_json", "not_triples"}


def test_escapes_are_decoded() -> None:
    answer = r'[["\u6668\u96fe \ud83d\ude00","\"\\\/","\b\f\n\r\t"]]'
    assert parse_answer(answer, truncated=False).items == (("晨雾 😀", '"\\/', "\b\f\n\r\t"),)


def test_the_error_names_the_place() -> None:
    with pytest.raises(AnswerError, match=r"^invalid_json: not JSON from character 15: '; oops'$"):
        parse_answer('[["甲","作者","乙"]; oops', truncated=False)

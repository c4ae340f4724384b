from __future__ import annotations

import random
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from triplelake.config import ChunkingSettings
from triplelake.corpus.chunking import chunk_document
from triplelake.corpus.sentences import paragraph_ends, sentence_ends
from triplelake.corpus.tokens import PARTS, estimate_tokens, token_parts
from triplelake.readings import readings
from triplelake.text import unit_bounds
from triplelake.types import Chunk, Request

DEFAULT = ChunkingSettings()
SMALL = ChunkingSettings(target_tokens=12, max_tokens=20, context_tokens=8)

_FRAGMENTS = [
    *"。！？；…，、：.!?;,:\"'“”‘’「」『』（）()《》【】 \t\u3000\0-",
    *["\n", "\r\n", "\r", "\n\n", "\u2028", "\x85", "……", "1. ", "3.5", "U.S. ", "Dr. ", "No. 5", "e.g. "],
    *["林岚出生于杭州", "陳雅文去了臺北", "Nora lives in Leeds", "word", "😀", "👨‍👩‍👧", "🇨🇳🇹🇼", "é", "e\u0301"],
    *["\u0301", "\u200d"],
    *[
        "12345678901234567890",
        "abcdefghijklmnopqrstuvwxyz" * 6,
        "กรุงเทพ",
        "한국어",
        "👍🏽",
        "中" * 60,
        "，" * 40,
        " " * 50,
    ],
]
texts = st.lists(st.sampled_from(_FRAGMENTS), max_size=60).map("".join) | st.text(max_size=120)
# Surrogates never reach a chunk: a record that holds one is rejected.
texts = texts.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))
sizes = st.sampled_from([DEFAULT, SMALL, ChunkingSettings(target_tokens=8, max_tokens=16, context_tokens=0)])


def sentences(text: str) -> list[list[str]]:
    """Sentences by paragraph."""
    found = []
    start = 0
    for paragraph_end in paragraph_ends(text):
        paragraph = []
        for end in sentence_ends(text, start, paragraph_end):
            paragraph.append(text[start:end])
            start = end
        found.append(paragraph)
        assert start == paragraph_end
    assert start == len(text)
    return found


@pytest.mark.parametrize(
    "expected",
    [
        ["真的吗？！", "是的……", "然后呢；", "不，没有。"],
        ["鲁班说：“你好。”", "他走了。"],
        ["「你好！你好嗎？」", "他說。", "『走。』", "好。"],
        ["（真的。）", "下一句（甲；乙）。", "「他說；我說。」", "走了。"],
        ["歌曲《你好！》是一首歌。", "他又唱《为什么？》给她听。"],
        ["他在U.S.工作。", "版本3.5发布了，见http://a.b/c?d=e。", "完"],
        ["Dr. Lane paid $3.50 to U.S. officials. ", '"Really?" he said. ', "Yes."],
        ["1. First thing. ", "2. Second thing. ", "3. Third."],
        ["See No. 5 and Fig. 2 for approx. 3 km. ", "Then stop."],
        ["Orion Inc. 是一家公司。", "J. R. Lane 是创始人。"],
        ["He left at 5 p.m. on Monday. ", "Well… he came back."],
        ["好。\u0301还在这句里。"],
        ["没有标点的一行"],
    ],
)
def test_sentences(expected: list[str]) -> None:
    assert sentences("".join(expected)) == [expected]


def test_lines_end_sentences_unless_wrapped_by_hand() -> None:
    assert sentences("标题\r\n\r\n 第一段。第二句。\n- one\n- two\n") == [
        ["标题\r\n\r\n"],
        [" 第一段。", "第二句。\n"],
        ["- one\n"],
        ["- two\n"],
    ]
    wrapped = "She had lived in the old house by the harbour for more than\ntwenty years before it was sold."
    assert sentences(wrapped) == [[wrapped]]
    han = "她在港口旁边的老房子里住了二十多年以后才把它卖给一个从外地来的\n商人。"
    assert sentences(han) == [[han]]
    assert len(sentences(wrapped.replace("\n", "\n2. "))) == 2


@given(texts)
@example("a.   " + " " * 3000 + "B. c")
@example("《a！》" * 600)
def test_sentences_tile_the_text_and_end_at_units(text: str) -> None:
    ends = [0]
    for paragraph in sentences(text):
        for sentence in paragraph:
            assert sentence
            ends.append(ends[-1] + len(sentence))
    assert set(ends) <= set(unit_bounds(text))


def test_long_paragraphs_are_cut_as_short_ones_are() -> None:
    one = ["他说：“好。”", "然后走了。", "Dr. Lane said it. ", "真的……", "是的；", "对。"]
    assert sentences("".join(one) * 300) == [one * 300]


@settings(max_examples=200)
@given(texts, sizes)
def test_chunks_tile_the_text_with_exact_offsets(text: str, size: ChunkingSettings) -> None:
    chunks = chunk_document(text, None, size)
    if not text.strip():
        assert chunks == []
        return
    assert "".join(chunk.text for chunk in chunks) == text
    position = 0
    for ordinal, chunk in enumerate(chunks):
        assert chunk.ordinal == ordinal
        assert (chunk.char_start, chunk.char_end) == (position, position + len(chunk.text))
        assert chunk.text
        position = chunk.char_end
        assert text[: chunk.char_start].endswith(chunk.context)
        assert estimate_tokens(chunk.context) <= size.context_tokens
        assert chunk.est_tokens == estimate_tokens(chunk.context + chunk.text)


@settings(max_examples=200)
@given(texts, sizes)
def test_no_unit_is_cut_and_no_chunk_too_large(text: str, size: ChunkingSettings) -> None:
    bounds = unit_bounds(text)
    longest = size.max_tokens * PARTS
    assume(all(token_parts(text[a:b]) <= longest for a, b in pairwise(bounds)))
    for chunk in chunk_document(text, None, size):
        assert chunk.char_start in bounds
        assert chunk.char_start - len(chunk.context) in bounds
        assert token_parts(chunk.text) <= longest


@pytest.mark.parametrize("unit", ["a" * 50_000, "7" * 20_000, "e\u0301" * 20_000, "x" + "\u0301" * 20_000])
def test_a_unit_larger_than_any_chunk_is_cut_within_the_limit(unit: str) -> None:
    chunks = chunk_document(f"前。{unit}后。", None, DEFAULT)
    assert max(token_parts(chunk.text) for chunk in chunks) <= DEFAULT.max_tokens * PARTS
    if unit.startswith("e"):
        assert not any(chunk.text.startswith("\u0301") for chunk in chunks)


def test_a_long_sentence_is_cut_at_the_best_place() -> None:
    clause = "这一部分写得不长也不短只是为了占一点地方"
    starts = {chunk.text[:5] for chunk in chunk_document("，".join([clause] * 60), None, DEFAULT)}
    assert starts == {clause[:5]}
    words = "word " * 2000
    assert all(chunk.text.startswith("word") for chunk in chunk_document(words, None, DEFAULT))
    quotation = "“" + (clause + "，" + clause + "。") * 30 + "”"
    assert all(chunk.text.rstrip("”").endswith("。") for chunk in chunk_document(quotation, None, DEFAULT))


def test_whole_sentences_are_packed_inside_a_paragraph() -> None:
    first = "林岚出生于杭州的一个工程师家庭。" * 6
    second = "陈工在苏州创办了一家电池公司。" * 6
    chunks = chunk_document(f"{first}\n{second}\n", None, DEFAULT)
    assert [chunk.text for chunk in chunks] == [f"{first}\n", f"{second}\n"]
    assert [chunk.context for chunk in chunks] == ["", ""]


def test_very_short_paragraphs_join_the_next_and_the_last_the_one_before() -> None:
    body = "林岚出生于杭州的一个工程师家庭。" * 4
    text = f"第一章\n\n早年\n{body}\n{body}\n（完）\n"
    assert [chunk.text for chunk in chunk_document(text, None, DEFAULT)] == [
        f"第一章\n\n早年\n{body}\n",
        f"{body}\n（完）\n",
    ]


def test_context_is_the_sentences_before_within_the_paragraph() -> None:
    text = "".join(f"第{'一二三四五六七八九十'[number]}句话讲了一件与众不同的小事情。" for number in range(10))
    first, second, *_ = chunk_document(text, None, DEFAULT)
    assert first.context == ""
    assert second.context
    assert second.context.startswith("第")
    assert first.text.endswith(second.context)


def test_each_chunk_has_a_language_and_a_document_one_script() -> None:
    english = "Nora Whitfield was born in Leeds and studied chemistry there for several long years. " * 3
    hans = "林岚出生于杭州，毕业于当地的大学，后来开办了一家电池厂。" * 3
    both = "中文之中有人口三十。" * 8
    hant = "陳雅文出生於臺北，畢業於當地的大學，後來開辦了一家電池廠。" * 3
    assert langs(chunk_document(f"{english}\n{hans}\n{both}", None, DEFAULT)) == ["en", "zh-Hans", "zh-Hans"]
    assert langs(chunk_document(f"{both}\n{english}\n{hant}", None, DEFAULT)) == ["zh-Hant", "en", "zh-Hant"]
    assert langs(chunk_document(both, "臺灣與國語", DEFAULT)) == ["zh-Hant"]


def langs(chunks: list[Chunk]) -> list[str]:
    return [chunk.lang for chunk in chunks]


_SUBJECTS = ["林岚", "陳雅文", "老周", "Nora Whitfield", "王工程师", "那家公司", "The harbour company"]
_VERBS = ["在杭州買下了一座", "后来参观了", " sold the small ", "多年以前建造過", " later moved into the "]
_OBJECTS = ["老房子", "电池厂", "圖書館", "library near the river", "造船厂和旁边的码头", "workshop in Leeds"]


def sentence(rng: random.Random) -> str:
    parts = [rng.choice(_SUBJECTS), rng.choice(_VERBS), rng.choice(_OBJECTS), f"第{rng.randint(1, 999)}号"]
    if rng.random() < 0.4:
        parts += ["，", rng.choice(_SUBJECTS), rng.choice(_VERBS), rng.choice(_OBJECTS)]
    return "".join(parts) + rng.choice("。。。！？")


def requests(paragraphs: list[list[str]]) -> list[tuple[str, str]]:
    text = "\n".join("".join(paragraph) for paragraph in paragraphs)
    return [(chunk.text, chunk.context) for chunk in chunk_document(text, "标题", DEFAULT)]


@pytest.mark.slow
@settings(max_examples=20, derandomize=True)
@given(st.integers(0, 2**32), st.booleans())
def test_one_inserted_sentence_changes_at_most_six_requests(seed: int, new_paragraph: bool) -> None:
    rng = random.Random(seed)
    paragraphs: list[list[str]] = []
    while sum(map(len, paragraphs)) < 900:
        paragraphs.append([sentence(rng) for _ in range(rng.randint(1, 9))])
    before = requests(paragraphs)
    assert len(before) >= 200
    edited = rng.randrange(len(paragraphs))
    if new_paragraph:
        paragraphs.insert(edited, [sentence(rng)])
    else:
        paragraphs[edited].insert(rng.randint(0, len(paragraphs[edited])), sentence(rng))
    after = requests(paragraphs)
    assert len(set(after) - set(before)) in range(1, 7)


def test_cuts_are_found_again_in_one_long_paragraph() -> None:
    changed = []
    for seed in range(15):
        rng = random.Random(seed)
        paragraph = [sentence(rng) for _ in range(400)]
        before = set(requests([paragraph]))
        paragraph.insert(rng.randrange(400), sentence(rng))
        changed.append(len(set(requests([paragraph])) - before))
    assert sum(changed) / len(changed) <= 4
    assert max(changed) < 20


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["这是一个句子，它有一些词。", "a", "中，", "“a。”", "word ", "\n", "e\u0301"])
def test_a_long_line_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = "x" + piece * (length // len(piece)) + "y"

        def once() -> float:
            begun = process_time()
            chunk_document(text, None, DEFAULT)
            return process_time() - begun

        # What else the machine does only ever adds.
        return min(once() for _ in range(3))

    seconds(1000)
    assert seconds(150_000) < 40 * max(seconds(15_000), 0.005)  # ten times the text; squared would be 100


def test_token_estimates() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("杭州") == 2
    assert estimate_tokens("2024") == 4
    assert estimate_tokens("battery") == 2
    english = "Nora was born in Leeds and later founded a small company that makes fishing boats. "
    assert 15 <= estimate_tokens(english) <= 25


@given(texts, texts)
def test_token_parts_add_up(one: str, two: str) -> None:
    assert token_parts(one) + token_parts(two) == token_parts(one + two)
    assert estimate_tokens(one) * PARTS >= token_parts(one)


def test_a_context_begins_at_a_boundary_or_is_none() -> None:
    long = "华星石油天然气股份有限公司于去年在海城市设立了三家全资子公司，" * 6 + "随后上市。"
    text = long + "公司总部设在江城。" * 12
    for chunk in chunk_document(text, None, DEFAULT)[1:]:
        start = chunk.char_start - len(chunk.context)
        assert not chunk.context or start == 0 or text[start - 1] in "，。", chunk.context
    unbroken = "公司总部设在江城" * 60
    for chunk in chunk_document(unbroken, None, SMALL)[1:]:
        assert chunk.context, "what follows a cut inside a word says so"
        assert readings(Request("", chunk.text, "", chunk.context, "zh-Hans"))["chunk"].text == chunk.text

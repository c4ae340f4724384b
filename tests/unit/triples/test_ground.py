"""Grounding: spans give the surface back, never cut a unit, and are the nearest pair."""

from __future__ import annotations

from itertools import pairwise

import pytest
import regex
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from triplelake.readings import LINE_END, readings
from triplelake.text import comparison_key, unit_bounds, units
from triplelake.triples.ground import Grounded, Grounder, nearest_pair, span_text
from triplelake.triples.occurrences import Interval, SearchedText
from triplelake.triples.sentences import Sentences
from triplelake.types import Request, Span

# Few pieces, so that surfaces repeat and overlap; among them all that a unit can be.
PIECES = [
    "林",
    "林知",
    "海",
    "台",
    "臺",
    "Ann",
    "ann",
    "12",
    "1",
    "e\u0301",
    "é",
    "Ａ",
    "a",
    "😀",
    "。",
    "! ",
    ". ",
    " ",
    "\n",
    "，",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=25).map("".join)


def request(text: str, title: str = "", context: str = "") -> Request:
    return Request("r", text, title, context, "zh-Hans")


def ground(
    text: str, subject: str, object: str, *, folding: bool = False, title: str = "", context: str = ""
) -> Grounded:
    return Grounder(request(text, title, context), folding=folding).ground(subject, object)


@st.composite
def surfaces_of(draw: st.DrawFn, text: str) -> str:
    pieces = units(text)
    start = draw(st.integers(0, len(pieces) - 1))
    end = draw(st.integers(start + 1, min(len(pieces), start + 4)))
    surface = "".join(pieces[start:end])
    # No entity holds a line end in its name: tests/unit/grammar/test_readings.py has those of wrapped lines.
    assume(surface == surface.strip() and not LINE_END.search(surface))
    return surface


@given(st.data())
def test_every_run_of_units_grounds_exactly_and_unit_aligned(data: st.DataObject) -> None:
    text, title, context = data.draw(TEXTS), data.draw(TEXTS), data.draw(TEXTS)
    subject = data.draw(surfaces_of(text))
    object = data.draw(surfaces_of(data.draw(st.sampled_from([text, title, context]))))
    asked = request(text, title, context)
    # An edge that the chunker made bounds no surface: tests/unit/grammar/test_readings.py has those.
    assume(not any(reading.cut_start or reading.cut_end for reading in readings(asked).values()))
    found = Grounder(asked, folding=False).ground(subject, object)
    assert found.grounding == "exact"
    assert found.in_chunk
    assert found.subject is not None and found.object is not None
    sources = {"chunk": text, "title": title, "context": context}
    for span, surface in ((found.subject, subject), (found.object, object)):
        assert span_text(asked, span) == surface
        assert {span.start, span.end} <= set(unit_bounds(sources[span.source]))
        if span.source == "chunk":
            assert found.evidence.start <= span.start and span.end <= found.evidence.end
    evidence = span_text(asked, found.evidence)
    assert evidence == evidence.strip()


@st.composite
def occurrences(draw: st.DrawFn, length: int) -> list[Interval]:
    """Where a surface might stand in a text: intervals of one size, ascending."""
    size = draw(st.integers(1, min(3, length)))
    starts = draw(st.sets(st.integers(0, length - size), min_size=1, max_size=5))
    return [(start, start + size) for start in sorted(starts)]


@given(st.text("林海。", min_size=1, max_size=14), st.data())
@settings(max_examples=300)
def test_the_nearest_pair_is_that_of_a_brute_force_search(text: str, data: st.DataObject) -> None:
    sentences = Sentences(text)
    subjects, objects = data.draw(occurrences(len(text))), data.draw(occurrences(len(text)))

    def cost(pair: tuple[Interval, Interval]) -> tuple[int, bool, int, int, int]:
        (a, b), (c, d) = pair
        sentence_of = [sum(bound <= offset for bound in sentences.bounds) for offset in (a, b - 1, c, d - 1)]
        overlap = a < d and c < b
        return max(sentence_of) - min(sentence_of), overlap, 0 if overlap else max(c - b, a - d), a, c

    every = [(subject, object) for subject in subjects for object in objects]
    assert nearest_pair(subjects, objects, sentences) == min(every, key=cost)


@given(st.data())
def test_folding_finds_what_has_the_same_key(data: st.DataObject) -> None:
    text = data.draw(TEXTS)
    surface = data.draw(surfaces_of(text))
    folded = SearchedText(text).folded(comparison_key(surface))
    assert folded
    assert set(SearchedText(text).exact(surface)) <= set(folded)
    for start, end in folded:
        assert comparison_key(text[start:end]) == comparison_key(surface)
        assert {start, end} <= set(unit_bounds(text))


@pytest.mark.parametrize(
    ("text", "surface"),
    [
        ("生于1998年", "99"),
        ("生于1998年", "19"),
        ("Annapolis is old", "Ann"),
        ("the cafe\u0301 opened", "cafe"),
        ("👩\u200d👩\u200d👧在家", "👩"),
        ("สวัสดี ก\u0e33", "\u0e33"),
    ],
)
def test_a_span_never_cuts_a_unit(text: str, surface: str) -> None:
    assert surface in text
    assert SearchedText(text).exact(surface) == []
    assert SearchedText(text).folded(surface) == []


@pytest.mark.parametrize(
    ("text", "surface", "original"),
    [
        ("他生於臺灣臺南。", "台湾台南", "臺灣臺南"),
        ("计划由林知远提出。", "計畫", "计划"),
        ("這個計畫很大。", "计划", "計畫"),
        ("乾隆的房間很乾淨。", "干净", "乾淨"),
        ("ＩＢＭ成立於１９１１年。", "IBM", "ＩＢＭ"),
        ("founded IBM in 1911", "ｉｂｍ", "IBM"),
        ("In New \n York today", "new york", "New \n York"),
        ("  Straße 5  ", "STRASSE", "Straße"),
        ("the cafe\u0301 opened", "CAFÉ", "cafe\u0301"),
        ("㍿海星成立", "株式会社海星", "㍿海星"),
        ("\r\n\r\nAnn", "ann", "Ann"),
    ],
)
def test_folding_maps_back_to_the_original_text(text: str, surface: str, original: str) -> None:
    [(start, end)] = SearchedText(text).folded(surface)
    assert text[start:end] == original


def test_folding_never_cuts_what_folds_to_several_characters() -> None:
    assert SearchedText("㍿海星").folded("会社海星") == []
    assert SearchedText("海星㍿").folded("海星株式") == []


def test_of_several_occurrences_the_pair_in_one_sentence_is_taken() -> None:
    text = "海星公司很大。云帆公司收购了海星公司。"
    found = ground(text, "云帆公司", "海星公司")
    assert (found.subject, found.object) == (Span("chunk", 7, 11), Span("chunk", 14, 18))
    assert found.ambiguous
    assert found.evidence == Span("chunk", 7, 19)


def test_a_pair_that_does_not_overlap_comes_before_a_nested_one() -> None:
    found = ground("北京大学在中国的北京。", "北京大学", "北京")
    assert found.object == Span("chunk", 8, 10)
    assert ground("北京大学成立了。", "北京大学", "北京").object == Span("chunk", 0, 2)


def test_a_single_pair_is_not_ambiguous_even_if_the_title_has_it_too() -> None:
    found = ground("林知远写了《晨雾》。", "林知远", "晨雾", title="晨雾", context="晨雾。")
    assert not found.ambiguous
    assert found.object is not None and found.object.source == "chunk"


@pytest.mark.parametrize(("text", "ambiguous"), [("甲和乙。", False), ("甲和乙，乙。", True), ("甲和乙，甲。", True)])
def test_an_argument_that_stands_twice_makes_the_pair_ambiguous(text: str, ambiguous: bool) -> None:
    assert ground(text, "甲", "乙").ambiguous is ambiguous


def test_what_is_nowhere_has_the_whole_chunk_for_evidence_and_is_not_ambiguous() -> None:
    text = "甲和乙。丙。"
    found = ground(text, "丁", "戊")
    assert (found.subject, found.object, found.grounding) == (None, None, "none")
    assert (found.evidence, found.ambiguous, found.in_chunk) == (Span("chunk", 0, len(text)), False, False)


def test_a_name_that_goes_over_a_line_end_is_found_and_one_in_one_line_comes_first() -> None:
    line = "　　林知远于一九二四年赴美国留学，先在宾夕法尼亚\n大学学习建筑。"
    start = line.index("宾夕法尼亚")
    wrapped = ground(line, "林知远", "宾夕法尼亚大学")
    assert (wrapped.object, wrapped.grounding) == (Span("chunk", start, start + 8), "normalised")
    both = ground(line + "宾夕法尼亚大学很大。", "林知远", "宾夕法尼亚大学")
    assert (both.object, both.grounding) == (Span("chunk", len(line), len(line) + 7), "exact")
    assert not both.ambiguous
    of_title = ground("林知远留学。", "林知远", "宾夕法尼亚大学", title=line)
    assert (of_title.object, of_title.grounding) == (Span("title", start, start + 8), "normalised")


@pytest.mark.parametrize(
    ("title", "context", "span"),
    [
        ("林知远", "林知远生于泉州。", Span("title", 0, 3)),
        ("", "林知远来了。林知远说：", Span("context", 6, 9)),
    ],
)
def test_title_then_context_are_asked_only_for_what_the_chunk_lacks(title: str, context: str, span: Span) -> None:
    found = ground("他写了《晨雾》。《晨雾》很长。", "林知远", "晨雾", title=title, context=context)
    assert found.subject == span
    assert found.object == Span("chunk", 4, 6)
    assert found.evidence == Span("chunk", 0, 8)
    assert found.ambiguous and found.in_chunk


def test_both_arguments_outside_the_chunk_are_told() -> None:
    found = ground("内容无关。", "林知远", "晨雾", title="林知远《晨雾》")
    assert found.grounding == "exact"
    assert not found.in_chunk


def test_a_verbatim_title_comes_before_a_folded_chunk() -> None:
    found = ground("He liked to polish silver in Lodz.", "Polish", "Lodz", folding=True, title="Polish")
    assert found.subject == Span("title", 0, 6)
    assert found.grounding == "exact"


def test_one_folded_argument_makes_the_pair_normalised() -> None:
    found = ground("林知遠寫了晨雾。", "林知远", "晨雾", folding=True)
    assert (found.subject, found.grounding) == (Span("chunk", 0, 3), "normalised")
    assert ground("林知遠寫了晨雾。", "林知远", "晨雾").grounding == "none"


def test_without_grounding_the_evidence_is_the_sentence_of_what_was_found() -> None:
    text = " 林知远来了。晨雾散了。 "
    found = ground(text, "何若兰", "晨雾")
    assert (found.subject, found.object, found.grounding, found.in_chunk) == (None, None, "none", True)
    assert text[found.evidence.start : found.evidence.end] == "晨雾散了。"
    lost = ground(text, "何若兰", "泉州")
    assert not lost.in_chunk
    assert text[lost.evidence.start : lost.evidence.end] == text.strip()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("他来了。她说：“好！”然后走了", ["他来了。", "她说：“好！”", "然后走了"]),
        ("第一；第二……第三？！", ["第一；", "第二……", "第三？！"]),
        ('Dr. J. Lee paid $3.50. "Done." She left.', ["Dr. J. Lee paid $3.50.", ' "Done."', " She left."]),
        ("Acme Inc. was sold. Bye", ["Acme Inc. was sold.", " Bye"]),
        ("標題\r\n正文", ["標題\r\n", "正文"]),
        ("无标点", ["无标点"]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    bounds = Sentences(text).bounds
    assert [text[start:end] for start, end in pairwise(bounds)] == sentences


@given(TEXTS)
def test_sentences_tile_the_text(text: str) -> None:
    bounds = Sentences(text).bounds
    assert (bounds[0], bounds[-1]) == (0, len(text))
    assert list(bounds) == sorted(set(bounds))
    for offset in range(len(text)):
        rank = Sentences(text).index(offset)
        assert bounds[rank] <= offset < bounds[rank + 1]


def test_a_text_of_one_repeated_character_stays_cheap() -> None:
    text = "哈" * 1_000
    grounder = Grounder(request(text), folding=True)
    for size in range(1, 40):
        assert grounder.ground("哈" * size, "哈" * (size + 1)).subject == Span("chunk", 0, size)


@given(st.text("汉字㐀龥，。、々〇\u0301\ufe0f\u302a\u200d\U00016ff0か「", max_size=12))
def test_ideographs_and_their_marks_are_grapheme_clusters(text: str) -> None:
    assert units(text) == regex.findall(r"\X", text)

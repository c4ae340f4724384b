"""Examples that are like a text."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from triplelake.prompt.fewshot import Example
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.prompt.retrieval import Gallery, grams
from triplelake.types import Lang, Request

BOOK = Example("《暮雨》是何若兰写的小说。", "", "", (("暮雨", "作者", "何若兰"),))
FILM = Example("电影《远山》由沈若白导演。", "", "", (("远山", "导演", "沈若白"),))
TOWN = Example("泉州市人口八百万。", "泉州", "", ())
NOVEL = Example("Dew is a novel by Ann Lee.", "", "", (("Dew", "author", "Ann Lee"),))
GALLERY = Gallery({"zh-Hans": (BOOK, FILM, TOWN), "en": (NOVEL,)}, 2)


def asked(text: str, lang: Lang = "zh-Hans") -> Request:
    return Request("r", text, "", "", lang)


def test_grams_are_pairs_of_chinese_and_words_of_others() -> None:
    assert grams("《晨雾》是2003年的Novel, by Ann-Lee。") == ["晨雾", "是", "2003", "年的", "novel", "by", "ann", "lee"]
    assert grams("。，") == []


def test_the_likest_stand_last_and_those_without_anything_in_common_nowhere() -> None:
    assert GALLERY.nearest(asked("电影《晨雾》由林知远导演，《暮雨》是小说。")) == (BOOK, FILM)
    assert GALLERY.nearest(asked("《晨雾》是林知远写的小说。"))[-1] == BOOK
    assert GALLERY.nearest(asked("蜻蜓点水")) == ()
    assert GALLERY.nearest(asked("。")) == ()
    assert GALLERY.nearest(asked("Who is Ann Lee?", "en")) == (NOVEL,)
    assert GALLERY.nearest(asked("暮雨", "zh-Hant")) == ()


def test_a_text_is_never_its_own_example_whatever_stands_around_it() -> None:
    for text in (BOOK.text, f" {BOOK.text}\n", BOOK.text[:-1], f"{BOOK.text}后来又写了《晨雾》。"):
        assert BOOK not in GALLERY.nearest(asked(text))


def test_a_worker_finds_the_same() -> None:
    there = pickle.loads(pickle.dumps(GALLERY))
    assert there.nearest(asked("《晨雾》是林知远写的小说。")) == GALLERY.nearest(asked("《晨雾》是林知远写的小说。"))


@given(st.text(st.sampled_from("暮雨远山泉州写的ab 。"), max_size=20), st.integers(1, 4))
def test_never_more_than_asked_for_and_each_once(text: str, shots: int) -> None:
    found = Gallery({"zh-Hans": (BOOK, FILM, TOWN)}, shots).nearest(asked(text))
    assert len(found) == len(set(found)) <= shots


def test_they_stand_between_the_fixed_beginning_and_the_question() -> None:
    ontology = load_ontology("ontologies/general.yaml")
    base = ModelProfile("base", "plain")
    shown = Renderer(load_prompts("prompts"), ontology, base, gallery=GALLERY)
    plain = Renderer(load_prompts("prompts"), ontology, base)
    request = asked("电影《晨雾》由林知远导演。")
    assert shown.prefix("zh-Hans") == plain.prefix("zh-Hans")
    question = plain.render(request).text.removeprefix(plain.prefix("zh-Hans"))
    between = shown.render(request).text.removeprefix(shown.prefix("zh-Hans")).removesuffix(question)
    assert between == f'文本：{FILM.text}\n三元组：[["远山","导演","沈若白"]]\n\n'
    assert shown.identity() != plain.identity()
    assert set(shown.identity()) >= set(plain.identity())


def test_the_identity_follows_what_is_written() -> None:
    prompts, ontology, base = (
        load_prompts("prompts"),
        load_ontology("ontologies/general.yaml"),
        ModelProfile("b", "plain"),
    )
    others = [Gallery({"zh-Hans": (BOOK, FILM, TOWN), "en": (NOVEL,)}, 3), Gallery({"zh-Hans": (BOOK,)}, 2)]
    shown = [Renderer(prompts, ontology, base, shots=0, gallery=each) for each in (GALLERY, *others)]
    shown.append(Renderer(prompts, ontology, ModelProfile("b", "plain", answer="relations"), shots=0, gallery=GALLERY))
    assert len({renderer.identity() for renderer in shown}) == len({each.retrieved for each in shown}) == 4
    assert Renderer(prompts, ontology, base).retrieved == ()


def test_lines_stay_lines() -> None:
    star = Example("电影《远山》由沈若白导演、主演。", "", "", (("远山", "导演", "沈若白"), ("远山", "主演", "沈若白")))
    odd = [Example("甲<|x|>写了《乙》。", "", "", (("乙", "作者", "甲<|x|>"), ("乙", "作者", "甲")))]
    odd.append(Example("甲[写了《乙》。", "", "", (("甲[", "作者", "乙"),)))
    prompts, ontology = load_prompts("prompts"), load_ontology("ontologies/general.yaml")
    base = ModelProfile("base", "plain", answer="lines")
    shown = Renderer(prompts, ontology, base, gallery=Gallery({"zh-Hans": (star,)}, 1))
    prompt = shown.render(asked("电影《晨雾》由林知远导演。"))
    assert f"{star.text}\n三元组：远山|导演|沈若白\n远山|主演|沈若白\n\n文本：电影" in prompt.text
    # Bars are the form's own: without a mark that begins a special token nothing is doubtful.
    assert len(prompt.parts) == 1
    for example, doubtful in zip(
        odd, ([odd[0].text, r"乙|作者|甲<\u007cx\u007c>"], [odd[1].text, "甲[|作者|乙"]), strict=True
    ):
        shown = Renderer(prompts, ontology, base, gallery=Gallery({"zh-Hans": (example,)}, 1))
        parts = shown.render(asked("丙写了《丁》。")).parts
        assert [part.text for part in parts if part.untrusted] == doubtful


def test_what_looks_like_a_special_token_in_gold_is_data() -> None:
    odd = Example("甲<|im_end|>写了《乙》。", "", "", (("乙", "作者", "甲"),))
    shown = Renderer(
        load_prompts("prompts"),
        load_ontology("ontologies/general.yaml"),
        ModelProfile("base", "plain"),
        gallery=Gallery({"zh-Hans": (odd,)}, 1),
    )
    parts = shown.render(asked("丙写了《丁》。")).parts
    assert [part.text for part in parts if part.untrusted] == [odd.text]

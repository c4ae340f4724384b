from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triplelake.config import Settings
from triplelake.engine.planning.keys import content_hashes
from triplelake.errors import InputError
from triplelake.pool.protect import protect
from triplelake.prompt.fewshot import Example
from triplelake.prompt.ontology import Ontology, Relation, Signature
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.parts import Part
from triplelake.prompt.profile import Empty, ModelProfile
from triplelake.prompt.prompts import Prompt, load_prompts
from triplelake.prompt.render import Renderer, check_fits, template_text
from triplelake.prompt.turns import ServerTemplate, Turns
from triplelake.triples.identity import stable_hash
from triplelake.types import LANGS, Lang, Request

CONF = Path(__file__).parents[3] / "conf"
PLAIN = ModelProfile("base", "plain", stop=("\n",))
ATOM = ModelProfile("atom", "text", prefix="Human: ", suffix="\n</s><s>Assistant:", stop=("</s>",))
OWN = Ontology("own", (Relation("likes", {"zh-Hans": "喜欢", "zh-Hant": "喜歡", "en": "likes"}),))


@pytest.fixture(scope="module")
def prompts() -> Mapping[Lang, Prompt]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPLELAKE_CONF", str(CONF))
        return load_prompts("prompts")


@pytest.fixture(scope="module")
def general() -> Ontology:
    ontology = load_ontology(str(CONF / "ontologies/general.yaml"))
    assert ontology is not None
    return ontology


@pytest.fixture(scope="module")
def renderer(prompts: Mapping[Lang, Prompt], general: Ontology) -> Renderer:
    return Renderer(prompts, general, PLAIN)


def ask(text: str, title: str = "", context: str = "", lang: Lang = "zh-Hans") -> Request:
    return Request("id", text, title, context, lang)


def test_a_whole_prompt(general: Ontology) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIPLELAKE_CONF", str(CONF))
        prompt = load_prompts("prompts")["en"]
    short = replace(prompt, instructions="Use {relations}.", examples=prompt.examples[:1])
    only = Ontology(
        "two", tuple(relation for relation in general.relations if relation.id in {"director", "cast_member"})
    )
    rendered = Renderer(dict.fromkeys(LANGS, short), only, ATOM).render(ask("She was\r\nthere.", "Ann", "Once", "en"))
    assert rendered.parts == (Part(rendered.text),)
    question, answer = prompt.examples[0].text, prompt.examples[0].triples
    quoted = ",".join(f'["{subject}","{predicate}","{obj}"]' for subject, predicate, obj in answer)
    assert rendered.text == (
        "Human: Use director, cast member.\n"
        "\n"
        f"Text: {question}\n"
        f"Triples:\n[{quoted}]\n"
        "\n"
        "Title: Ann\n"
        "Context: Once\n"
        "Text: She was there.\n"
        "Triples:\n\n"
        "</s><s>Assistant:"
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(texts, texts, texts, st.sampled_from(LANGS))
@example("三元组：[]\n文本：", "a\nText: b", "\u2028標題：", "zh-Hans")
@example("</s><s>Assistant:", "<end_of_turn>", "[INST]", "en")
@example("<｜User｜>", "", "", "zh-Hant")
def test_a_prompt_is_the_prefix_and_one_line_per_field(
    renderer: Renderer, text: str, title: str, context: str, lang: Lang
) -> None:
    rendered = renderer.render(ask(text, title, context, lang))
    prefix, whole = renderer.prefix(lang), rendered.text
    assert whole.startswith(prefix)
    assert rendered.parts[0].text.startswith(prefix)
    fields = [field for field in (title, context) if field] + [text]
    lines = whole.removeprefix(prefix).splitlines()
    assert len(lines) == len(fields) + 1
    for line, field in zip(lines, fields, strict=False):
        assert "".join(line.split()).endswith("".join(field.split()))
    assert lines[-1] == renderer.render(ask("", lang=lang)).text.splitlines()[-1]


@given(texts.filter(lambda text: text.splitlines() == [text]))
def test_text_without_line_breaks_is_not_changed(renderer: Renderer, text: str) -> None:
    assert renderer.render(ask(text)).text.removeprefix(renderer.prefix("zh-Hans")).split("\n")[0].endswith(text)


SPECIAL = [
    *(
        "</s>",
        "<s>",
        "<|im_end|>",
        "<end_of_turn>",
        "<bos>",
        "<unused7>",
        "<｜Assistant｜>",
        "<reserved_106>",
        "<<SYS>>",
    ),
    *("[INST]", "[/INST]", "[gMASK]", "[UNK]", "[TOOL_CALLS]", "[multimodal]", "<pad>", "<|endoftext|>"),
    *(">>ABSTRACT<<", "|im_sep|", "\x16", "\x7f", "\x00"),
]


@pytest.mark.parametrize("token", SPECIAL)
@pytest.mark.parametrize("field", [0, 1, 2])
def test_text_of_a_special_token_is_a_part_of_its_own(renderer: Renderer, token: str, field: int) -> None:
    text, title, context = (f"甲{token}乙" if at == field else "公司在此。" for at in range(3))
    rendered = renderer.render(ask(text, title, context))
    assert [part.untrusted for part in rendered.parts] == [False, True, False]
    assert rendered.parts[1].text == f"甲{token}乙"
    assert token not in rendered.parts[0].text + rendered.parts[2].text
    # What the renderer marks is what is sent as ids: there is no second rule.
    sent = protect(rendered.parts, lambda text: [*map(ord, text)])
    assert not any(token in part for part in sent if isinstance(part, str)) and [*map(ord, f"甲{token}乙")] == [
        part for part in sent if isinstance(part, int)
    ]


@pytest.mark.parametrize("text", ["他[1]说“好”（2）…", "a > b & c | d {x} #1", "《晨雾》：一【二】", "[2] [10]"])
def test_ordinary_text_is_one_string(renderer: Renderer, text: str) -> None:
    assert len(renderer.render(ask(text, text, text)).parts) == 1


def test_the_servers_template_goes_around_the_message(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    chat = ModelProfile("chat", "server")
    renderer = Renderer(prompts, general, chat, ServerTemplate("<u>", "</u><a>"))
    for lang in LANGS:
        assert renderer.prefix(lang).startswith("<u>")
        assert renderer.render(ask("x", lang=lang)).text.endswith("</u><a>")
    with pytest.raises(ValueError, match="chat"):
        Renderer(prompts, general, chat)


CHATML = Turns("<s>", "<u>", "<a>", "<u>", "<a>")


def test_examples_as_turns(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    profile = ModelProfile("chat", "server", examples="turns", answer="objects", empty="untold")
    renderer = Renderer(prompts, general, profile, ServerTemplate("<u>", "<a>", CHATML))
    for lang in LANGS:
        instructions, *turns = renderer.prefix(lang).removeprefix("<s>").split("<u>")
        assert "[]" not in renderer.prefix(lang)
        shown = [example for example in prompts[lang].examples if example.triples]
        assert len(turns) == len(shown) + 1
        assert turns[-1] == ""
        for turn, each in zip(turns, shown, strict=False):
            question, answer = turn.split("<a>")
            assert question.endswith(f"{prompts[lang].labels.text}{each.text}")
            assert [tuple(row.values()) for row in json.loads(answer)] == list(each.triples)
            assert prompts[lang].labels.answer.strip() not in question
        assert '"relation"' in instructions
        assert "{" not in instructions.replace('[{"', "")
        asked = renderer.render(ask("她来了。", "题", lang=lang)).text.removeprefix(renderer.prefix(lang))
        assert asked == f"{prompts[lang].labels.title}题\n{prompts[lang].labels.text}她来了。<a>"
    assert renderer.notes == ()


def test_turns_written_out_in_a_profile(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    turns = replace(ATOM, examples="turns", next="\n</s><s>Human: ")
    text = Renderer(prompts, general, turns, shots=1).render(ask("她来了。")).text
    assert text.startswith("Human: 从文本中抽取")
    example = prompts["zh-Hans"].examples[0].text
    assert f"\n\n文本：{example}\n</s><s>Assistant:[[" in text
    assert text.endswith("]]\n</s><s>Human: 文本：她来了。\n</s><s>Assistant:")


@pytest.mark.parametrize(
    ("empty", "answered", "told"), [("example", True, True), ("told", False, True), ("untold", False, False)]
)
@pytest.mark.parametrize("lang", LANGS)
def test_how_emptiness_is_taught(
    prompts: Mapping[Lang, Prompt], general: Ontology, lang: Lang, empty: Empty, answered: bool, told: bool
) -> None:
    prefix = Renderer(prompts, general, replace(PLAIN, empty=empty)).prefix(lang)
    label = prompts[lang].labels.answer
    assert (f"\n{label}[]\n" in prefix) is answered
    assert (prompts[lang].empty in prefix) is told


def test_what_a_profile_cannot_have_is_noted(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    profile = ModelProfile("chat", "server", examples="turns", answer="objects", empty="untold")
    said = "Use {relations}, or []"
    old = {lang: replace(each, forms={}, empty="", instructions=said) for lang, each in prompts.items()}
    renderer = Renderer(old, general, profile, ServerTemplate("<u>", "<a>"))
    assert [note.lang for note in renderer.notes].count(None) == 1
    for lang in LANGS:
        told = " ".join(note.text for note in renderer.notes if note.lang in (lang, None))
        assert "does not write every turn alike" in told
        assert "in its own words how an answer looks" in told and "wants objects: write {form} there" in told
        assert "in its own words what to answer where there is no fact" in told
    assert renderer.prefix("en").startswith("<u>Use place of birth")
    # Without an ontology other instructions count, and these have their places.
    assert Renderer(prompts, None, profile, ServerTemplate("<u>", "<a>", CHATML)).notes == ()


def test_examples_without_triples_are_left_out_before_they_are_counted(
    prompts: Mapping[Lang, Prompt], general: Ontology
) -> None:
    told = replace(PLAIN, empty="told")
    for lang in LANGS:
        assert Renderer(prompts, general, told, shots=2).prefix(lang).count(f"\n{prompts[lang].labels.answer}[[") == 2
    none = {lang: replace(each, examples=(Example("x", "", "", ()),)) for lang, each in prompts.items()}
    notes = Renderer(none, general, told).notes
    assert {note.lang for note in notes} == set(LANGS)
    assert all("without triples, which model profile base leaves out" in note.text for note in notes)
    assert Renderer(none, general, PLAIN).notes == ()


def test_a_document_cannot_end_its_turn(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    profile = ModelProfile("chat", "server", examples="turns")
    renderer = Renderer(prompts, general, profile, ServerTemplate("<u>", "<a>", Turns(*["<|im_end|>"] * 5)))
    copy = pickle.loads(pickle.dumps(renderer))
    rendered = copy.render(ask("他说<|im_end|>再见。"))
    assert rendered == renderer.render(ask("他说<|im_end|>再见。"))
    assert [part.text for part in rendered.parts if part.untrusted] == ["他说<|im_end|>再见。"]
    assert rendered.text.startswith(renderer.prefix("zh-Hans"))


def test_the_questions_of_before_are_still_the_same(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    """What a base model was asked before there was a choice: no answer is paid for again, and nothing seems changed."""
    asked = {lang: prompt.filled(PLAIN) for lang, prompt in prompts.items()}
    found = {
        "all": stable_hash(*Renderer(prompts, general, PLAIN).identity())[:16],
        **content_hashes(asked, general, template_text(PLAIN, None)),
    }
    before = {
        "all": "20ec7bd4f07bf88a",
        "relations": "e7a063a1abcb",
        "prompt zh-Hans": "138adcd6a64e",
        "prompt zh-Hant": "c8f59f41c7df",
        "prompt en": "002f562009a7",
        "template": "374708fff771",
    }
    assert found == before, (
        "The shipped prompts or relations have changed, so every answer is asked anew: if that is meant, "
        f"put the new hashes here and say so in the changelog:\n{json.dumps(found, indent=4)}"
    )


def test_each_language_is_asked_in_its_own_words(renderer: Renderer) -> None:
    assert "國籍" in renderer.prefix("zh-Hant")
    assert "国籍" in renderer.prefix("zh-Hans")
    assert "国籍" not in renderer.prefix("zh-Hant")
    assert "nationality" in renderer.prefix("en")


def test_shots(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    for lang in LANGS:
        prefixes = [Renderer(prompts, general, PLAIN, shots=shots).prefix(lang) for shots in (0, 1, 3, None)]
        answer = prompts[lang].labels.answer
        assert [prefix.count(f"\n{answer}[") for prefix in prefixes] == [0, 1, 3, len(prompts[lang].examples)]


def test_more_shots_than_examples_are_noted(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    notes = Renderer(prompts, general, PLAIN, shots=50).notes
    assert [note.lang for note in notes] == list(LANGS)
    for note in notes:
        assert note.lang and note.text == (
            f"prompt.shots is 50, but {prompts[note.lang].file} has {len(prompts[note.lang].examples)} examples"
        )


def test_shipped_examples_with_other_relations_are_shown_and_noted(
    prompts: Mapping[Lang, Prompt], general: Ontology
) -> None:
    renderer = Renderer(prompts, OWN, PLAIN)
    # OWN has none of the shipped relations: every example with a triple shows another one.
    counts = {lang: (sum(bool(e.triples) for e in p.examples), len(p.examples)) for lang, p in prompts.items()}
    for note, (lang, (others, shown)) in zip(renderer.notes, counts.items(), strict=True):
        assert note.text.startswith(f"{lang}: {others} of {shown} examples "), note.text
    assert [note.lang for note in renderer.notes] == list(LANGS)
    for lang in LANGS:
        assert all(e.text in renderer.prefix(lang) for e in prompts[lang].examples)
    assert Renderer(prompts, general, PLAIN).notes == ()


def test_own_prompts_must_fit_the_ontology(prompts: Mapping[Lang, Prompt]) -> None:
    own = {lang: replace(prompt, shipped=False) for lang, prompt in prompts.items()}
    with pytest.raises(InputError, match="not a relation of the ontology own"):
        Renderer(own, OWN, PLAIN)


def test_the_open_mode_shows_all_examples(prompts: Mapping[Lang, Prompt]) -> None:
    renderer = Renderer(prompts, None, PLAIN)
    assert renderer.notes == ()
    for lang in LANGS:
        opening = prompts[lang].open_instructions.partition("{")[0]
        assert renderer.prefix(lang).startswith(opening)
        assert all(e.text in renderer.prefix(lang) for e in prompts[lang].examples)


def test_identity_is_what_can_change_an_answer(prompts: Mapping[Lang, Prompt], general: Ontology) -> None:
    first, *others = general.relations

    def identity(
        relation: Relation = first, prompts: Mapping[Lang, Prompt] = prompts, profile: ModelProfile = PLAIN
    ) -> tuple[str, ...]:
        return Renderer(prompts, Ontology("any name", (relation, *others)), profile).identity()

    labels = replace(prompts["en"].labels, title="T: ")
    changed = [
        identity(),
        identity(replace(first, id="other")),
        identity(replace(first, names={**first.names, "en": "other"})),
        identity(replace(first, object_pattern="x+")),
        identity(replace(first, description={"en": "where"})),
        identity(prompts={**prompts, "en": replace(prompts["en"], labels=labels)}),
        identity(prompts={**prompts, "en": replace(prompts["en"], examples=prompts["en"].examples[1:])}),
        identity(profile=ATOM),
        identity(profile=replace(PLAIN, stop=())),
        identity(profile=replace(PLAIN, answer="objects")),
        identity(profile=replace(PLAIN, answer="lines")),
        identity(profile=replace(PLAIN, answer="lines", stop=())),
        identity(profile=replace(PLAIN, empty="told")),
        identity(profile=replace(PLAIN, empty="untold")),
        identity(profile=replace(ATOM, examples="turns", next="\n</s><s>Human: ")),
    ]
    assert len(set(changed)) == len(changed)
    same = replace(first, aliases={}, signatures=(Signature("a", "b"),), symmetric=True, inverse="b")
    assert identity(same) == identity()
    assert identity(profile=replace(PLAIN, name="x", match=("x",))) == identity()


def test_a_renderer_travels_to_a_worker(renderer: Renderer) -> None:
    copy = pickle.loads(pickle.dumps(renderer))
    assert copy.render(ask("他来了。")) == renderer.render(ask("他来了。"))
    assert copy.identity() == renderer.identity()


def test_a_prompt_too_long_for_a_slot_is_refused_with_its_count() -> None:
    settings = Settings.model_validate(
        {"ontology": "big.csv", "chunking": {"max_tokens": 200, "context_tokens": 36}, "answer": {"max_tokens": 300}}
    )
    check_fits(1000, 1600, settings)
    with pytest.raises(InputError) as caught:
        check_fits(1001, 1600, settings)
    assert caught.value.subject == "big.csv"
    assert "needs 1601 tokens, a slot of the server has 1600: 1001 for instructions" in caught.value.reason
    assert "prompt.shots" in caught.value.remedy


@pytest.mark.parametrize(
    ("profile", "shown"),
    [
        (
            ModelProfile("own", "text", prefix="<u>", suffix="</u><a>", instructions="line"),
            "<u>抽取三元组。\n标题：他\n文本：他来了。</u><a>",
        ),
        (
            ModelProfile("own", "text", prefix="<u>", suffix="</u><a>", instructions="relations"),
            "<u>抽取三元组，关系只能是：喜欢。\n标题：他\n文本：他来了。</u><a>",
        ),
        (ModelProfile("own", "plain", instructions="line"), "抽取三元组。\n标题：他\n文本：他来了。\n三元组："),
    ],
)
def test_a_tuned_model_is_told_one_line(prompts: Mapping[Lang, Prompt], profile: ModelProfile, shown: str) -> None:
    renderer = Renderer(prompts, OWN, profile)
    assert renderer.render(ask("他来了。", title="他")).text == shown
    assert renderer.notes == ()
    assert Renderer(prompts, None, replace(profile, instructions="line")).prefix("en").endswith("Extract triples.\n")
    (told, *_) = Renderer(prompts, OWN, profile, shots=2).notes
    assert "own shows no example" in str(told)

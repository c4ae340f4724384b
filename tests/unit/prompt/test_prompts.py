from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import regex
import yaml

from triplelake.engine.planning.keys import content_hashes
from triplelake.errors import InputError, UsageError
from triplelake.prompt.answer_form import FormName
from triplelake.prompt.fewshot import Example, answer, check_relations, check_spans, foreign, ordered
from triplelake.prompt.ontology import Ontology, Relation
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import load_prompts
from triplelake.text import detect_language
from triplelake.types import LANGS, Lang

CONF = Path(__file__).parents[3] / "conf"


@pytest.fixture(autouse=True)
def shipped_conf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLELAKE_CONF", str(CONF))


def relation(relation_id: str, zh: str, hant: str, en: str, pattern: str | None = None) -> Relation:
    return Relation(
        relation_id,
        {"zh-Hans": zh, "zh-Hant": hant, "en": en},
        aliases={"en": (f"{en} (alias)",)},
        description={"en": f"the {en}"} if relation_id == "author" else {},
        object_pattern=pattern,
    )


SMALL = Ontology(
    "small", (relation("author", "作者", "作者", "author"), relation("date", "日期", "日期", "date", r"\d{4}年?"))
)


def test_the_shipped_prompts_fit_the_shipped_ontology() -> None:
    ontology = load_ontology("ontologies/general.yaml")
    assert ontology is not None
    prompts = load_prompts("prompts")
    assert set(prompts) == set(LANGS)
    for lang, prompt in prompts.items():
        check_relations(prompt.examples, ontology, lang, str(prompt.file))
        assert prompt.shipped
        assert all(detect_language(example.text) == lang for example in prompt.examples)
        assert detect_language(prompt.known_sentence) == lang


def test_a_users_prompt_has_words_of_its_own_or_the_shipped_ones(tmp_path: Path) -> None:
    shipped = load_prompts("prompts")["en"]
    tree = yaml.safe_load(shipped.file.read_text(encoding="utf-8"))
    own = {"known_sentence": "Edda founded Velloran.", "review": {"title": "headline", "context": "before"}}
    for added in (own, {}):
        left = {key: value for key, value in tree.items() if key not in own}
        (tmp_path / "en.yaml").write_text(yaml.safe_dump(left | added, allow_unicode=True), encoding="utf-8")
        prompt = load_prompts(tmp_path)["en"]
        wanted = added or {"known_sentence": shipped.known_sentence, "review": shipped.review}
        assert {"known_sentence": prompt.known_sentence, "review": prompt.review} == wanted
        # They change no answer, and so nothing that tells a changed prompt.
        assert content_hashes({"en": prompt}, None, ()) == content_hashes({"en": shipped}, None, ())


def test_the_shipped_examples_show_a_denied_and_a_planned_fact() -> None:
    signs = {"zh-Hans": ("否认", "计划"), "zh-Hant": ("否認", "計畫"), "en": ("denied", "plans")}
    for lang, prompt in load_prompts("prompts").items():
        empty = " ".join(example.text for example in prompt.examples if not example.triples)
        assert [sign for sign in signs[lang] if sign not in empty] == []
        assert sum(not example.triples for example in prompt.examples) == 1


def test_the_shipped_examples_are_the_same_in_every_language() -> None:
    """Equal languages: as many triples, of the same relations, in each example."""
    ontology = load_ontology("ontologies/general.yaml")
    assert ontology is not None
    shapes = {
        lang: [
            [relation.id for _, name, _ in e.triples if (relation := ontology.by_name(lang)[name])]
            for e in prompt.examples
        ]
        for lang, prompt in load_prompts("prompts").items()
    }
    assert shapes["zh-Hans"] == shapes["zh-Hant"] == shapes["en"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"forms": {}}, "`instructions` holds {form}, and there are no `forms`"),
        ({"empty": ""}, "`instructions` holds {empty}, and there is no `empty`"),
        ({"forms": {"rows": "rows"}}, "should be 'arrays', 'objects', 'subjects', 'relations' or 'lines'"),
        (
            {"instructions": "Use {relations}{empty}", "open_instructions": "Find facts{empty}"},
            "`forms` is used by no instructions",
        ),
        (
            {"instructions": "Use {relations} as {form}", "open_instructions": "Find facts"},
            "`empty` is used by no instructions",
        ),
    ],
)
def test_places_and_what_goes_there_must_fit(tmp_path: Path, changed: dict[str, object], reason: str) -> None:
    shipped = yaml.safe_load((CONF / "prompts" / "en.yaml").read_text(encoding="utf-8"))
    (tmp_path / "en.yaml").write_text(yaml.safe_dump(shipped | changed), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_prompts(tmp_path)
    assert caught.value.subject == str(tmp_path / "en.yaml")
    assert reason in caught.value.reason


def test_a_form_that_a_prompt_does_not_describe_is_told(tmp_path: Path) -> None:
    shipped = yaml.safe_load((CONF / "prompts" / "en.yaml").read_text(encoding="utf-8"))
    (tmp_path / "en.yaml").write_text(yaml.safe_dump(shipped | {"forms": {"arrays": "rows"}}), encoding="utf-8")
    prompt = load_prompts(tmp_path)["en"]
    assert "as rows" in prompt.filled(ModelProfile("base", "plain")).instructions
    with pytest.raises(InputError, match="lacks `relations` in `forms`, which model profile chat wants"):
        prompt.filled(ModelProfile("chat", "server", answer="relations"))


@pytest.mark.parametrize(
    ("form", "nothing"),
    [
        ("arrays", ["[]"] * 3),
        ("objects", ["[]"] * 3),
        ("subjects", ["{}"] * 3),
        ("relations", ["{}"] * 3),
        ("lines", ["无", "無", "none"]),
    ],
)
def test_the_empty_answer_is_told_in_the_form_of_the_profile(form: FormName, nothing: list[str]) -> None:
    prompts = load_prompts("prompts")
    for prompt, said in zip((prompts[lang] for lang in LANGS), nothing, strict=True):
        filled = prompt.filled(ModelProfile("chat", "server", answer=form))
        for told in (filled.instructions, filled.open_instructions):
            assert told.rstrip(".。").endswith(said)


def test_instructions_hold_the_relations_in_their_order_and_described() -> None:
    prompts = load_prompts("prompts")
    assert "作者、日期" in prompts["zh-Hans"].instruct(SMALL)
    assert "author (the author), date" in prompts["en"].instruct(SMALL)
    assert "{" not in prompts["en"].filled(ModelProfile("base", "plain")).instruct(None)
    odd = Ontology("odd", (Relation("x", dict.fromkeys(LANGS, "{description}"), description={"en": "{name}"}),))
    assert "{description} ({name})" in prompts["en"].instruct(odd)


def own_folder(tmp_path: Path, **changes: object) -> Path:
    """A user's folder with an English prompt, changed."""
    tree = yaml.safe_load((CONF / "prompts/en.yaml").read_text(encoding="utf-8"))
    tree.update(changes)
    (tmp_path / "en.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    return tmp_path


def refuse(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        load_prompts(folder)
    return caught.value


def test_a_language_that_a_users_folder_lacks_is_asked_as_shipped(tmp_path: Path) -> None:
    prompts = load_prompts(own_folder(tmp_path, instructions="Only {relations}!"))
    assert prompts["en"].instruct(SMALL) == "Only author (the author), date!"
    assert {lang: prompt.shipped for lang, prompt in prompts.items()} == {"zh-Hans": True, "zh-Hant": True, "en": False}


def test_a_copy_of_the_shipped_prompts_is_a_users_own(tmp_path: Path) -> None:
    shutil.copytree(CONF / "prompts", tmp_path / "mine")
    assert not any(prompt.shipped for prompt in load_prompts(tmp_path / "mine").values())


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such prompt folder"):
        load_prompts(tmp_path / "nowhere")
    assert "en.yaml" in refuse(tmp_path).remedy
    own_folder(tmp_path)
    assert "folder" in refuse(tmp_path / "en.yaml").reason
    (tmp_path / "zh-hans.yaml").write_text("", encoding="utf-8")
    error = refuse(tmp_path)
    assert error.subject.endswith("zh-hans.yaml")
    assert "`zh-Hans.yaml`" in error.remedy


@pytest.mark.parametrize(
    ("changes", "reason", "remedy"),
    [
        ({"instruction": "x"}, "unknown key `instruction`", "`instructions`"),
        ({"labels": {"titel": "x"}}, "`labels.title`: field required", ""),
        (
            {"labels": {"title": "", "context": "", "text": "", "answer": "", "titel": ""}},
            "unknown key `labels.titel`",
            "`title`",
        ),
        ({"instructions": "no list"}, "must hold {relations} once", ""),
        ({"instructions": "{relations} {relations}"}, "must hold {relations} once", ""),
        ({"instructions": 7}, "`instructions`: input should be a valid string", ""),
        ({"examples": [{"txt": "x", "text": "x", "triples": []}]}, "unknown key `examples.1.txt`", "`text`"),
        ({"examples": [{"text": "x", "triples": [["a", "b"]]}]}, "`examples.1.triples.1.3`: field required", ""),
    ],
)
def test_bad_prompts(tmp_path: Path, changes: dict[str, object], reason: str, remedy: str) -> None:
    error = refuse(own_folder(tmp_path, **changes))
    assert error.subject.endswith("en.yaml")
    assert reason in error.reason
    assert remedy in error.remedy


def test_broken_yaml(tmp_path: Path) -> None:
    (tmp_path / "en.yaml").write_text("labels: {", encoding="utf-8")
    assert "not valid YAML" in refuse(tmp_path).reason
    (tmp_path / "en.yaml").write_text("just text", encoding="utf-8")
    assert refuse(tmp_path).subject.endswith("en.yaml")


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (Example("Ann wrote it.", "", "", (("Ann", "author", "Bob"),)), "“Bob” does not stand"),
        (Example("Ann wrote it.", "", "", (("An", "author", "it"),)), "“An” cuts a word"),
        (Example("Ann wrote it in 1998.", "", "", (("Ann", "date", "199"),)), "“199” cuts a word or a number"),
        (Example("安宁写了它。", "", "", (("安甯", "作者", "它"),)), "“安甯” does not stand"),
        (Example("它写于1998年。", "", "", (("它", "日期", "98年"),)), "“98年” cuts"),
        (Example("她很好。", "安宁", "丁一的女儿", (("安宁", "父母", "丁一"),)), "neither “安宁” nor “丁一” stands"),
        (Example("It is good.", "Ann", "", (("", "author", "Ann"),)), "“” does not stand"),
    ],
)
def test_an_example_is_verbatim(example: Example, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        check_spans(example, "en.yaml, example 3")
    assert caught.value.subject == "en.yaml, example 3"
    assert reason in caught.value.reason


def test_an_example_may_take_one_argument_from_title_or_context() -> None:
    check_spans(Example("她的父亲是丁一。", "安宁", "", (("安宁", "父母", "丁一"),)), "")
    check_spans(Example("His wife was Ann.", "", "Bob lived here.", (("Bob", "spouse", "Ann"),)), "")
    check_spans(Example("Ann knew Annabel and An.", "", "", (("An", "knows", "Ann"),)), "")


def test_the_file_and_number_of_a_bad_example_are_named(tmp_path: Path) -> None:
    examples = [{"text": "x", "triples": []}, {"text": "Ann wrote it.", "triples": [["Ann", "author", "Bob"]]}]
    error = refuse(own_folder(tmp_path, examples=examples))
    assert error.subject == f"{tmp_path / 'en.yaml'}, example 2"
    assert "Bob" in error.reason


BOOK = Example("Ann wrote “Rain”.", "", "", (("Rain", "author", "Ann"),))
YEAR = Example("“Rain” is of 1998.", "", "", (("Rain", "date", "1998"),))
BAND = Example("Ann leads the Owls.", "", "", (("Owls", "leader", "Ann"),))
NOTHING = Example("Ann may write.", "", "", ())


def test_own_examples_must_fit_the_ontology() -> None:
    check_relations([BOOK, YEAR, NOTHING], SMALL, "en", "en.yaml")
    with pytest.raises(InputError, match="`leader` is not a relation of the ontology small") as caught:
        check_relations([BOOK, BAND], SMALL, "en", "en.yaml")
    assert caught.value.subject == "en.yaml, example 2"
    day = Example("“Rain” is of May 1998.", "", "", (("Rain", "date", "May 1998"),))
    with pytest.raises(InputError, match=regex.escape("“May 1998” does not match the object_pattern of `date`")):
        check_relations([day], SMALL, "en", "en.yaml")


def test_foreign_examples_are_counted() -> None:
    both = Example("Ann leads the Owls and wrote “Rain”.", "", "", (*BOOK.triples, *BAND.triples))
    day = Example("“Rain” is of May 1998.", "", "", (("Rain", "date", "May 1998"),))
    assert foreign([BOOK, NOTHING, YEAR], SMALL, "en") == 0
    assert foreign([BOOK, BAND, NOTHING, both, day], SMALL, "en") == 3


def test_examples_without_triples_come_first() -> None:
    assert ordered((BOOK, NOTHING, YEAR), None) == (NOTHING, BOOK, YEAR)
    assert ordered((BOOK, NOTHING, YEAR), 2) == (NOTHING, BOOK)
    assert ordered((YEAR, NOTHING, BOOK, BAND), 3) == (NOTHING, YEAR, BOOK)
    assert ordered((BOOK, YEAR), None) == (BOOK, YEAR)
    assert ordered((BOOK,), 0) == ()


@pytest.mark.parametrize("written", ["author", "author (alias)"])
def test_an_answer_is_compact_and_names_relations_as_shown(written: str) -> None:
    example = Example('安"宁 wrote Rain.', "", "", (("Rain", written, '安"宁'),))
    assert answer(example, SMALL, "en") == '[["Rain","author","安\\"宁"]]'
    assert json.loads(answer(example, None, "en")) == [["Rain", written, '安"宁']]
    assert answer(NOTHING, SMALL, "en") == "[]"


@pytest.mark.parametrize(("lang", "shown"), [("zh-Hans", "日期"), ("en", "date")])
def test_a_relation_may_be_written_as_its_id(lang: Lang, shown: str) -> None:
    assert json.loads(answer(YEAR, SMALL, lang)) == [["Rain", shown, "1998"]]


@pytest.mark.parametrize(
    ("key", "line", "reason"),
    [
        ("relations", "Extract triples.", "`tuned.relations` must be a line that holds {relations} once"),
        ("line", "Extract {relations}.", "`tuned.line` must be a line that holds {relations} nowhere"),
    ],
)
def test_what_a_tuned_model_is_told_names_relations_where_it_must(
    tmp_path: Path, key: str, line: str, reason: str
) -> None:
    shipped = (CONF / "prompts" / "en.yaml").read_text(encoding="utf-8")
    lines = [
        f'  {key}: "{line}"' if each.startswith(f"  {key}: ") and "JSON" not in each else each
        for each in shipped.splitlines()
    ]
    (tmp_path / "en.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=regex.escape(reason)):
        load_prompts(tmp_path)

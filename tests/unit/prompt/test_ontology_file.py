from __future__ import annotations

from pathlib import Path

import pytest
import regex

from triplelake.errors import InputError, UsageError
from triplelake.prompt.ontology import Note, Ontology, Relation, Signature
from triplelake.prompt.ontology_file import load_ontology

CONF = Path(__file__).parents[3] / "conf"

GENERAL_IDS = [
    *("born_in", "birth_date", "death_date", "nationality", "occupation", "spouse", "parent", "alma_mater"),
    *("founded_by", "founded_on", "headquarters", "leader", "parent_company", "product"),
    *("located_in", "capital", "population", "area"),
    *("author", "director", "cast_member", "performer", "composer", "publisher", "released_on"),
    *("award", "part_of", "alias"),
]
"""All ids that were ever shipped. They stand in the tables of people, so none may go or be spelled anew."""


def load(tmp_path: Path, text: str, name: str = "own.yaml") -> Ontology:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    ontology = load_ontology(str(file))
    assert ontology is not None
    return ontology


def refuse(tmp_path: Path, text: str, name: str = "own.yaml") -> InputError:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text, name)
    return caught.value


@pytest.fixture(scope="module")
def general() -> dict[str, Relation]:
    ontology = load_ontology(str(CONF / "ontologies/general.yaml"))
    assert ontology is not None
    assert ontology.name == "general"
    assert ontology.notes == ()
    return {relation.id: relation for relation in ontology.relations}


def test_none_is_the_open_mode() -> None:
    assert load_ontology("none") is None


def test_a_missing_file_is_bad_usage() -> None:
    for short in ("general", "general.yaml"):
        with pytest.raises(UsageError, match="no such ontology") as caught:
            load_ontology(short)
        assert caught.value.remedy == "Did you mean `ontologies/general.yaml`?"
    with pytest.raises(UsageError, match="no such ontology"):
        load_ontology("ontologies/nowhere.yaml")


def test_the_general_ontology_names_its_relations_in_every_language(general: dict[str, Relation]) -> None:
    assert [each for each in GENERAL_IDS if each not in general] == [], "an id stays for ever, and these are gone"
    assert [each for each in general if each not in GENERAL_IDS] == [], "new ids go into GENERAL_IDS, which guards them"
    assert general["nationality"].names == {"zh-Hans": "国籍", "zh-Hant": "國籍", "en": "nationality"}
    assert set(general["located_in"].signatures) == {Signature("place", "place"), Signature("organization", "place")}
    assert general["alias"].signatures == (Signature(),)
    assert "簡稱" in general["alias"].aliases["zh-Hant"]


@pytest.mark.parametrize(
    "text",
    [
        *("1998年11月3日", "1998年", "公元前221年", "民国二十六年", "民國二十六年七月七日", "光緒三年", "11月3日"),
        *("20世纪80年代", "20世紀初", "1999 年 5 月", "２００１年", "一九九八年三月初八", "约1450年"),
        *("March 3, 1998", "3 March 1998", "3rd of March, 1998", "March 1998", "March 3", "Jan. 5, 2001", "1998"),
        *("AD 79", "221 BC", "c. 1450", "1980s", "late 1998", "spring of 1998", "1998-11-03", "1998/11/3"),
    ],
)
def test_a_date_is_a_date(general: dict[str, Relation], text: str) -> None:
    for relation in ("birth_date", "death_date", "founded_on", "released_on"):
        pattern = general[relation].object_pattern
        assert pattern is not None
        assert regex.fullmatch(pattern, text)


@pytest.mark.parametrize(
    "text",
    [
        "成立于1998年",
        "1998年的",
        "年",
        "林",
        "",
        "3",
        "0001",
        "35,000",
        "123456",
        "in 1998",
        "may",
        "March",
        "may be",
        "of",
    ],
)
def test_other_text_is_no_date(general: dict[str, Relation], text: str) -> None:
    pattern = general["birth_date"].object_pattern
    assert pattern is not None
    assert not regex.fullmatch(pattern, text)


@pytest.mark.parametrize(
    ("relation", "good", "bad"),
    [
        (
            "population",
            ["35,000", "约120万", "約120萬人", "八千余人", "两千三百万人", "3.2 million", "820,000 inhabitants"],
            ["人", "million", "1998年", "人口", "many people", ""],
        ),
        (
            "area",
            ["9,600 km²", "960万平方公里", "1.6萬平方公里", "12 ha", "50余亩", "120 square miles", "1.2 million acres"],
            ["12", "平方公里", "square miles", "120 miles", ""],
        ),
    ],
)
def test_numbers(general: dict[str, Relation], relation: str, good: list[str], bad: list[str]) -> None:
    pattern = general[relation].object_pattern
    assert pattern is not None
    assert [text for text in good if not regex.fullmatch(pattern, text)] == []
    assert [text for text in bad if regex.fullmatch(pattern, text)] == []


def test_yaml_text_stays_text(tmp_path: Path) -> None:
    """YAML's own reading of `no`, `1998` and `1:20` would change names."""
    ontology = load(tmp_path, "relations:\n- {id: 1998, name_en: no, name_zh: 1:20}\n")
    assert ontology.name == "own"
    assert ontology.relations == (Relation("1998", {"zh-Hans": "1:20", "zh-Hant": "1:20", "en": "no"}),)


def test_a_name_may_hold_any_character(tmp_path: Path) -> None:
    ontology = load(tmp_path, 'relations:\n- {id: x, name_en: "a\\"b\\\\c\\nd</s>", name_zh: "“关系”【一】"}\n')
    assert ontology.relations[0].names["en"] == 'a"b\\c\nd</s>'
    assert ontology.relations[0].names["zh-Hant"] == "“關係”【一】"


TABLE = [
    ["id", "name_zh", "name_en", "aliases_zh", "subject_type", "object_type", "object_pattern"],
    ["nation", "国籍", "nationality", "公民身份|国别", "person", "place", ""],
    ["born", "出生日期", "date of birth", "", "person", "", r"\d{4}(,|年)?"],
]


@pytest.mark.parametrize(("name", "separator"), [("own.csv", ","), ("own.tsv", "\t")])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_tables(tmp_path: Path, name: str, separator: str, bom: str) -> None:
    rows = [separator.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in TABLE]
    ontology = load(tmp_path, bom + "\r\n".join(rows) + "\r\n\r\n", name)
    nation, born = ontology.relations
    assert nation.names["zh-Hant"] == "國籍"
    assert nation.aliases == {"zh-Hans": ("公民身份", "国别"), "zh-Hant": ("公民身份", "國別")}
    assert nation.signatures == (Signature("person", "place"),)
    assert nation.object_pattern is None
    assert born.signatures == (Signature("person", None),)
    assert born.object_pattern == r"\d{4}(,|年)?"
    assert ontology.notes == (Note("zh-Hant name made by OpenCC from the other script: 國籍, 出生日期", "zh-Hant"),)


def test_languages_that_the_file_lacks(tmp_path: Path) -> None:
    text = "relations:\n- {name_zh_hant: 國籍, description_zh_hant: 人的}\n- {name_en: author, aliases_en: writer}\n"
    ontology = load(tmp_path, text)
    nation, author = ontology.relations
    assert nation == Relation(
        "國籍",
        {"zh-Hans": "国籍", "zh-Hant": "國籍", "en": "国籍"},
        description={"zh-Hans": "人的", "zh-Hant": "人的"},
    )
    assert author.names == {"zh-Hans": "author", "zh-Hant": "author", "en": "author"}
    assert author.aliases == {"en": ("writer",)}
    assert {note.text for note in ontology.notes} == {
        "zh-Hans name made by OpenCC from the other script: 国籍",
        "zh-Hans name missing, the other language's is shown: author",
        "zh-Hant name missing, the other language's is shown: author",
        "en name missing, the other language's is shown: 国籍",
    }


def test_other_types_are_a_further_signature(tmp_path: Path) -> None:
    text = """relations:
- {id: part, name_en: part of, subject_type: place, object_type: place, aliases_en: [in]}
- {id: near, name_en: near}
- {id: part, subject_type: [work, thing], aliases_en: [belongs to]}
"""
    ontology = load(tmp_path, text)
    assert [relation.id for relation in ontology.relations] == ["part", "near"]
    part = ontology.relations[0]
    assert part.signatures == (Signature("place", "place"), Signature("work"), Signature("thing"))
    assert part.aliases["en"] == ("in", "belongs to")
    assert Note("relation `part` has 3 signatures, merged from lines 2, 4") in ontology.notes


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            "own.yaml",
            "relations:\n- id: a\n  name_en: x\n  subject_type: p\n- name_en: y\n- id: a\n  subject_type: p\n",
            6,
        ),
        ("own.csv", 'id,name_en,description_en,subject_type\na,x,"one\ntwo",p\nb,y,,\n\n\na,x,,p\n', 7),
    ],
)
def test_the_same_types_again_are_refused_with_both_lines(tmp_path: Path, name: str, text: str, line: int) -> None:
    error = refuse(tmp_path, text, name)
    assert error.subject == f"{tmp_path / name}, line {line}"
    assert error.reason == "relation `a` with the types p → any stands in line 2 already"


BAD = [
    ("relations:\n- {id: a, nme_en: x}\n", "line 2", "unknown key `nme_en`", "name_en"),
    ("relation:\n- {id: a}\n", "line 1", "unknown key `relation`", "relations"),
    ("relations:\n- {id: a}\n", "line 2", "without a name", "name_zh"),
    ("relations:\n- {id: a, name_en: ''}\n", "line 2", "without a name", "name_zh"),
    ("relations:\n- {id: a, name_en: ~}\n", "line 2", "without a name", "name_zh"),
    ("relations:\n- a\n", "line 2", "not a mapping", ""),
    ("- a\n", "line 1", "not a mapping", ""),
    ("relations: none\n", "own.yaml", "no list `relations`", "general.yaml"),
    ("", "own.yaml", "no list `relations`", ""),
    ("relations: []\n", "own.yaml", "holds no relation", "ontology: none"),
    ("relations: [\n", "own.yaml", "not valid YAML", "line"),
    ("relations:\n- {id: a, name_en: x, name_en: y}\n", "line 2", "`name_en` stands twice", ""),
    ("relations:\n- {id: a, name_en: [x, y]}\n", "line 2", "`name_en` is not one text", ""),
    ("relations:\n- id: a\n  name_en: x\n  subject_type: {a: b}\n", "line 4", "is not a text or a list", ""),
    ("relations:\n- {id: a, name_en: x, object_pattern: '('}\n", "line 2", "object_pattern of `a`", ""),
    ("relations:\n- {id: a, name_en: x}\n- {id: b, name_en: x}\n", "line 3", "`x` is a name of `b`", ""),
    ("relations:\n- {id: a, name_zh: 国}\n- {id: b, name_zh_hant: 國}\n", "line 3", "`国` is a name of `b`", ""),
    ("relations:\n- {id: a, name_en: x, aliases_en: y}\n- {id: b, name_en: y}\n", "line 3", "in line 2, of `a`", ""),
    ("relations:\n- {id: a, name_en: x}\n- {id: a, name_en: y, subject_type: p}\n", "line 3", "another name_en", "id"),
    (
        "relations:\n- {id: a, name_en: x, object_pattern: b}\n- {id: a, object_pattern: c, subject_type: p}\n",
        "line 3",
        "another object_pattern than in line 2",
        "",
    ),
]


@pytest.mark.parametrize(("text", "place", "reason", "remedy"), BAD)
def test_a_bad_yaml_file_is_refused(tmp_path: Path, text: str, place: str, reason: str, remedy: str) -> None:
    error = refuse(tmp_path, text)
    assert error.subject.endswith(place)
    assert reason in error.reason
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("text", "place", "reason", "remedy"),
    [
        ("id,subject_typ\na,b\n", "line 1", "unknown column `subject_typ`", "`subject_type`"),
        ("id,name_en,id\na,b,c\n", "line 1", "twice", ""),
        ("id,name_en\na,b,c\n", "line 2", "3 cells under 2 columns", "Quote"),
        ('id,name_en\na,"b"c\n', "line 2", "not valid CSV", ""),
        ("id,name_en\n", "own.csv", "holds no relation", ""),
        ("", "own.csv", "holds no relation", ""),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, text: str, place: str, reason: str, remedy: str) -> None:
    error = refuse(tmp_path, text, "own.csv")
    assert error.subject.endswith(place)
    assert reason in error.reason
    assert remedy in error.remedy


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_bytes("id,name_zh\na,国籍\n".encode("gb18030"))
    with pytest.raises(InputError, match="not UTF-8"):
        load_ontology(str(file))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    assert ".tsv" in refuse(tmp_path, "{}", "own.xlsx").remedy


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").mkdir()
    with pytest.raises(InputError, match="directory"):
        load_ontology(str(tmp_path / "own.yaml"))

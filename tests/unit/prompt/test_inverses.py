"""Relations that say one fact both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from triplelake.errors import InputError
from triplelake.prompt.ontology import Note, Ontology
from triplelake.prompt.ontology_file import load_ontology

_PAIR = """relations:
- {id: parent, name_en: parent, subject_type: person, object_type: person}
- {id: child, name_en: child, inverse: parent}
- {id: spouse, name_en: spouse, subject_type: person, object_type: person, symmetric: true}
"""


def load(tmp_path: Path, text: str, name: str = "own.yaml") -> Ontology:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    ontology = load_ontology(str(file))
    assert ontology is not None
    return ontology


def test_an_inverse_that_one_names_is_that_of_both_and_is_told(tmp_path: Path) -> None:
    ontology = load(tmp_path, _PAIR)
    assert [relation.inverse for relation in ontology.relations] == ["child", "parent", None]
    assert [relation.symmetric for relation in ontology.relations] == [False, False, True]
    assert Note("facts of `child` count as facts of `parent`, subject and object exchanged") in ontology.notes


def test_a_table_says_the_same(tmp_path: Path) -> None:
    rows = "id,name_en,symmetric,inverse\nparent,parent,,child\nchild,child,FALSE,parent\nspouse,spouse,TRUE,\n"
    ontology = load(tmp_path, rows, "own.csv")
    assert [(each.symmetric, each.inverse) for each in ontology.relations] == [
        (False, "child"),
        (False, "parent"),
        (True, None),
    ]


def test_the_shipped_ontology_has_its_symmetric_relation() -> None:
    ontology = load_ontology("ontologies/general.yaml")
    assert ontology is not None
    assert [relation.id for relation in ontology.relations if relation.symmetric] == ["spouse"]


@pytest.mark.parametrize(
    ("relations", "reason"),
    [
        ("- {id: a, name_en: a, symmetric: maybe}", "symmetric of `a` is `maybe`"),
        ("- {id: a, name_en: a, inverse: b}", "`b`, which is no relation of this file"),
        ("- {id: a, name_en: a, inverse: a}", "`a` is its own inverse"),
        (
            "- {id: a, name_en: a, inverse: b, symmetric: true}\n- {id: b, name_en: b}",
            "is symmetric and has an inverse",
        ),
        ("- {id: a, name_en: a, inverse: b}\n- {id: b, name_en: b, symmetric: true}", "`b`, which is symmetric"),
        (
            "- {id: a, name_en: a, inverse: b}\n- {id: b, name_en: b, inverse: c}\n- {id: c, name_en: c}",
            "the inverse of `a` is `b`, whose inverse is `c`",
        ),
        (
            "- {id: a, name_en: a, inverse: c}\n- {id: b, name_en: b, inverse: c}\n- {id: c, name_en: c}",
            "`c` would be the inverse of `a` and of `b`",
        ),
        (
            "- {id: a, name_en: a, symmetric: true, subject_type: person, object_type: place}",
            "the types of its subject and its object differ",
        ),
        (
            "- {id: a, name_en: a, inverse: b, subject_type: person}\n- {id: b, name_en: b, object_type: place}",
            "their types are not those exchanged",
        ),
        ("- {id: a, name_zh: 幹事}\n- {id: b, name_zh: 干事}", "干事"),
        ("- {id: a, name_en: Founder's}\n- {id: b, name_en: founder’s}", "founder’s"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path: Path, relations: str, reason: str) -> None:
    with pytest.raises(InputError, match=r", line [0-9]") as caught:
        load(tmp_path, f"relations:\n{relations}\n")
    assert reason in caught.value.reason

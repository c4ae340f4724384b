"""The numbers of relations and sample passages that pages name are those that are shipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from triplelake.prompt.ontology_file import load_ontology

ROOT = Path(__file__).resolve().parents[3]
RELATIONS = {
    "README.md": r"general, (\d+) relations",
    "README.zh-CN.md": r"general, (\d+) relations",
    "docs/ontology.md": r"general\.yaml\), (\d+) relations",
    "docs/ontology.zh-CN.md": r"general\.yaml\)，(\d+) 个关系",
    "conf/init/en/ontology.yaml": r"(\d+) relations in both languages",
    "conf/init/zh/ontology.yaml": r"自带的本体有 (\d+) 种关系",
    "conf/init/zh-Hant/ontology.yaml": r"內建的本體有 (\d+) 種關係",
}
PASSAGES = {"README.md": r"(\d+) short passages", "README.zh-CN.md": r"(\d+) 段短文"}


def told(page: str, pattern: str) -> list[int]:
    return [int(number) for number in re.findall(pattern, (ROOT / page).read_text("utf-8"))]


@pytest.mark.parametrize("page", RELATIONS)
def test_pages_name_the_number_of_shipped_relations(page: str) -> None:
    ontology = load_ontology(str(ROOT / "conf/ontologies/general.yaml"))
    assert ontology is not None
    assert told(page, RELATIONS[page]) == [len(ontology.relations)], f"{page}: say how many relations are shipped"


@pytest.mark.parametrize("page", PASSAGES)
def test_pages_name_the_number_of_sample_passages(page: str) -> None:
    passages = (ROOT / "conf/demo/corpus.jsonl").read_text("utf-8").splitlines()
    assert told(page, PASSAGES[page]) == [len(passages)], f"{page}: say how many passages the demo has"

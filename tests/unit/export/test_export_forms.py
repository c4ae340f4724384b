"""Each form, opened again by a library of the other side."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import networkx as nx
import pandas as pd
import pyarrow as pa
import pytest
import rdflib
from hypothesis import given
from hypothesis import strategies as st

from triplelake.errors import UsageError
from triplelake.export.choice import FORMS
from triplelake.export.delimited import Csv
from triplelake.export.form import Form, FormKind, FormOptions
from triplelake.export.graphml import GraphMl
from triplelake.export.iris import Names
from triplelake.export.json_lines import JsonLines
from triplelake.export.neo4j import NODES, RELATIONSHIPS, Neo4j
from triplelake.export.nquads import NQuads
from triplelake.export.xml_text import xml_text
from triplelake.prompt.ontology import Ontology, Relation

Row = dict[str, Any]
Make = Callable[..., Row]
Render = Callable[[Form, Sequence[Row]], Mapping[str, str]]

BASE = "urn:triplelake:"
NAMES = Names(BASE)
HARD = '他说："走，\r\n去\t临川" & <城> \u2028;'
ONTOLOGY = Ontology(
    "small",
    (
        Relation("born_in", {"zh-Hans": "出生地", "zh-Hant": "出生地", "en": "place of birth"}),
        Relation("国籍", {"zh-Hans": "国籍", "zh-Hant": "國籍", "en": "国籍"}),
        Relation("nicknamed", {"zh-Hans": "nicknamed", "zh-Hant": "nicknamed", "en": "nicknamed"}),
    ),
)


def test_csv_is_read_by_pandas_and_shown_by_excel(fact: Make, rendered: Render) -> None:
    rows = [fact("林若兰", "临川"), fact("Edda", HARD, 2, mentions=-7, first_seen=None)]
    text = rendered(Csv(), rows)[""]
    assert text.encode().startswith(b"\xef\xbb\xbf")
    found = pd.read_csv(io.BytesIO(text.encode()), encoding="utf-8-sig", keep_default_na=False)
    assert list(found.columns) == list(rows[0])
    assert list(found["object"]) == ["临川", HARD]
    assert list(found["mentions"]) == [3, -7]
    assert list(found["first_seen"]) == ["2031-02-03T04:05:06.000789+00:00", ""]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "'=", "''@"])
def test_a_cell_like_a_formula_is_shown_as_text(start: str, fact: Make, rendered: Render) -> None:
    evil = f'{start}HYPERLINK("http://x.example";"1")'
    form = Csv()
    assert form.lines([fact(evil, "临川")]).marks == 1
    (_, cells) = csv.reader(io.StringIO(rendered(form, [fact(evil, "临川")])[""], newline=""))
    assert cells[0] == f"'{evil}"
    (head, kept) = csv.reader(io.StringIO(rendered(Csv(spreadsheet=False), [fact(evil, "临川")])[""], newline=""))
    assert (head[0], kept[0]) == ("subject", evil)


def test_json_lines_hold_what_the_table_holds(triple: Make, rendered: Render) -> None:
    rows = [triple("林若兰", "临川"), triple("Edda", HARD, 2, flags=[])]
    text = rendered(JsonLines(), rows)[""]
    assert [json.loads(line) for line in text.split("\n")[:-1]] == rows
    assert "林若兰" in text


def test_rdf_says_each_triple_with_its_evidence(triple: Make, rendered: Render) -> None:
    one, other = triple("林若兰", "临川"), triple("林若兰", HARD, 2, predicate="国籍", evidence=HARD, flags=[])
    dataset = rdflib.Dataset()
    dataset.parse(data=rendered(NQuads(NAMES, ONTOLOGY), [one, other])[""], format="nquads")

    graph = rdflib.URIRef(f"{BASE}triple:t1")
    assert list(dataset.graph(graph)) == [
        (
            rdflib.URIRef(f"{BASE}entity:{one['subject_id']}"),
            rdflib.URIRef(f"{BASE}relation:born_in"),
            rdflib.URIRef(f"{BASE}entity:{one['object_id']}"),
        )
    ]
    said = {
        (str(predicate), value) for _, predicate, value, _ in dataset.quads((graph, None, None, dataset.default_graph))
    }
    column = f"{BASE}column:"
    assert said >= {
        ("http://www.w3.org/ns/prov#wasDerivedFrom", rdflib.URIRef(f"{BASE}document:%E5%8D%B7%201%2Fa%23b")),
        (f"{column}doc_id", rdflib.Literal("卷 1/a#b")),
        (f"{column}evidence", rdflib.Literal("林若兰生于临川城。", lang="zh-hans")),
        (f"{column}evidence_start", rdflib.Literal(10)),
        (f"{column}evidence_end", rdflib.Literal(19)),
        (f"{column}span_ambiguous", rdflib.Literal(False)),
        (f"{column}flags", rdflib.Literal("pronoun_subject")),
        (f"{column}flags", rdflib.Literal("type_conflict")),
    }
    assert not [name for name, _ in said if name == f"{column}confidence"]
    hard = dataset.value(rdflib.URIRef(f"{BASE}triple:t2"), rdflib.URIRef(f"{column}evidence"))
    assert str(hard) == HARD


def test_rdf_names_entities_and_relations(fact: Make, rendered: Render) -> None:
    row = fact("林若兰", "临川", first_seen=datetime(2031, 2, 3, tzinfo=UTC))
    dataset = rdflib.Dataset()
    dataset.parse(data=rendered(NQuads(Names("https://example.org/kg/"), ONTOLOGY), [row])[""], format="nquads")
    base = "https://example.org/kg/"
    label = rdflib.RDFS.label
    assert list(dataset.objects(rdflib.URIRef(f"{base}entity/{row['subject_id']}"), label)) == [
        rdflib.Literal("林若兰")
    ]
    assert dataset.value(rdflib.URIRef(f"{base}entity/{row['subject_id']}"), rdflib.RDF.type) == rdflib.URIRef(
        f"{base}type/person"
    )
    # An ontology without an English name holds the Chinese one in its place, and the other way round.
    assert set(dataset.objects(rdflib.URIRef(f"{base}relation/born_in"), label)) == {
        rdflib.Literal("出生地", lang="zh-hans"),
        rdflib.Literal("出生地", lang="zh-hant"),
        rdflib.Literal("place of birth", lang="en"),
    }
    languages = set()
    for value in dataset.objects(NAMED_IN_CHINESE, label):
        assert isinstance(value, rdflib.Literal)
        languages.add(value.language)
    assert languages == {"zh-hans", "zh-hant"}
    assert list(dataset.objects(rdflib.URIRef(f"{base}relation/nicknamed"), label)) == [
        rdflib.Literal("nicknamed", lang="en")
    ]
    seen = dataset.value(rdflib.URIRef(f"{base}fact/f1"), rdflib.URIRef(f"{base}column/first_seen"))
    assert isinstance(seen, rdflib.Literal) and seen.toPython() == row["first_seen"]


NAMED_IN_CHINESE = rdflib.URIRef("https://example.org/kg/relation/%E5%9B%BD%E7%B1%8D")


@pytest.mark.parametrize("base", ["https://example.org/kg", "no scheme/", "http://a b/", "kg", ""])
def test_a_base_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(UsageError, match="--base-iri"):
        Names(base)


def test_graphml_is_read_by_networkx(triple: Make, rendered: Render) -> None:
    rows = [
        triple("林若兰", "临川", span_ambiguous=True, confidence=0.5),
        triple("林若兰", "临川", 2, evidence=HARD),
        triple("Edda", "bad\x00\x0b\ufffe", 3),
    ]
    form = GraphMl()
    graph = nx.read_graphml(io.BytesIO(rendered(form, rows)[""].encode()), force_multigraph=True)
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (4, 3)
    subject, object_ = rows[0]["subject_id"], rows[0]["object_id"]
    assert graph.nodes[subject] == {"label": "林若兰", "type": "person"}
    assert graph.nodes[rows[2]["object_id"]] == {"label": "bad\ufffd\ufffd\ufffd"}
    assert graph.edges[subject, object_, "t2"]["evidence"] == HARD
    edge = graph.edges[subject, object_, "t1"]
    assert (edge["span_ambiguous"], edge["confidence"], edge["evidence_start"]) == (True, 0.5, 10)
    # igraph puts the nodes' ids into the edges' `id`, so that the row's is a value too.
    assert edge["triple_id"] == "t1"
    assert edge["flags"] == "pronoun_subject;type_conflict"
    assert form.edges(rows).marks == 3
    assert "3 characters" in form.note(3)
    # Two edges of one pair are two rows; Gephi shows one of them.
    assert "Gephi merges" in form.note(0)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_xml_holds_every_text_that_it_may(text: str) -> None:
    escaped, replaced = xml_text(text)
    graph = nx.parse_graphml(
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="k" for="node" attr.name="k" '
        f'attr.type="string"/><graph edgedefault="directed"><node id="n"><data key="k">{escaped}</data></node>'
        "</graph></graphml>"
    )
    found = graph.nodes["n"].get("k", "")
    assert sum(a != b for a, b in zip(found or "", text, strict=True)) == replaced


def test_files_for_neo4j_hold_every_end_once(triple: Make, rendered: Render) -> None:
    rows = [
        triple("林若兰", "临川"),
        triple("林若兰", HARD, 2, subject_type="a;b"),
        triple("林若兰", "临川", 3, flags=[], predicate="国籍"),
    ]
    form = Neo4j()
    files = rendered(form, rows)
    nodes = list(csv.DictReader(io.StringIO(files[NODES], newline=""), strict=True))
    relationships = list(csv.DictReader(io.StringIO(files[RELATIONSHIPS], newline=""), strict=True))
    ids = [node["entity_id:ID"] for node in nodes]
    assert len(ids) == len(set(ids)) == 3
    assert list(nodes[0]) == ["entity_id:ID", "name", "type", ":LABEL"]
    assert {node["name"]: node[":LABEL"] for node in nodes} == {
        "林若兰": "Entity;person",
        "临川": "Entity",
        HARD: "Entity",
    }
    assert {row[end] for row in relationships for end in (":START_ID", ":END_ID")} == set(ids)
    assert [row[":TYPE"] for row in relationships] == ["born_in", "born_in", "国籍"]
    kinds = {name.partition(":")[0]: name.partition(":")[2] for name in relationships[0]}
    assert {name: kinds[name] for name in ("evidence_start", "span_ambiguous", "confidence", "flags", "evidence")} == {
        "evidence_start": "int",
        "span_ambiguous": "boolean",
        "confidence": "double",
        "flags": "string[]",
        "evidence": "",
    }
    assert relationships[0]["flags:string[]"] == "pronoun_subject;type_conflict"
    assert relationships[0]["span_ambiguous:boolean"] == "false"
    assert form.relationships(rows).marks == 1
    assert form.nodes([{"entity_id": "e", "name": "a", "type": "b;c"}]).text == 'e,a,b;c,"Entity;b,c"\r\n'


def test_times_and_counts_have_a_type_in_neo4j(fact: Make, rendered: Render) -> None:
    head = rendered(Neo4j(), [fact("林若兰", "临川")])[RELATIONSHIPS].splitlines()[0].split(",")
    assert head[:3] == ["subject", ":TYPE", "object"]
    assert {"mentions:long", "first_seen:datetime"} <= set(head)


@pytest.mark.parametrize("kind", FORMS.values(), ids=FORMS)
def test_a_form_travels_to_a_task(kind: FormKind, fact: Make) -> None:
    form = kind.make(FormOptions(NAMES, ONTOLOGY))
    row = fact("林若兰", "临川")
    (part,) = [
        part for file in form.files(pa.table([[]], ["fact_id"]).schema) for part in file.parts if part.source == "rows"
    ]
    assert pickle.loads(pickle.dumps(part)).lines([row]) == part.lines([row])

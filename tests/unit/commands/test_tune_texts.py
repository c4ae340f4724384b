"""The texts that ways of asking are tried on: gold, a judged sheet, texts whose facts nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from triplelake.commands.tune_texts import Draw, of_gold, of_nobody, of_sheet
from triplelake.config import Settings, load_settings
from triplelake.engine.asking.known import known_texts
from triplelake.errors import InputError
from triplelake.evaluate.review import COLUMNS, read_review
from triplelake.evaluate.tuning import Text
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology

ALL = Draw(1000, 0)
PLACES = ("溪州", "澄江", "朔云", "沛宁")


@pytest.fixture(scope="module")
def general() -> Ontology:
    found = load_ontology("ontologies/general.yaml")
    assert found is not None
    return found


def settings(**more: Any) -> Settings:
    return load_settings(None, more, {})


def jsonl(file: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return file


def people(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "text": f"沈砚{number}生于{PLACES[number % 4]}。",
            "triples": [[f"沈砚{number}", "出生地", PLACES[number % 4]]],
        }
        for number in range(count)
    ]


def of(texts: Sequence[Text], body: str) -> Text:
    return next(each for each in texts if each.document.text == body)


def test_gold_is_asked_about_chunk_by_chunk_with_ids_of_the_ontology(tmp_path: Path, general: Ontology) -> None:
    long = "。".join(f"他第{number}次到了溪州，住在河边的旧屋里，写了一封很长的信" for number in range(40)) + "。"
    rows = [*people(40), {"id": "long", "text": long, "triples": []}]
    rows.append({"id": "other", "text": "沈砚喜欢茶。", "triples": [["沈砚", "喜欢", "茶"]]})
    rows.append({"id": "none", "triples": [["沈砚", "出生地", "溪州"]]})
    found = of_gold(jsonl(tmp_path / "gold.jsonl", rows), "jsonl", settings(), general, ALL)
    assert len(found.texts) == 42
    first = of(found.texts, "沈砚0生于溪州。")
    assert first.document.facts == (("沈砚0", "born_in", "溪州"),)
    assert [(each.text, each.lang) for each in first.requests] == [("沈砚0生于溪州。", "zh-Hans")]
    pieces = of(found.texts, long).requests
    assert len(pieces) > 3 and "".join(each.text for each in pieces) == long
    assert of(found.texts, "沈砚喜欢茶。").document.facts == ()
    assert found.notes == (
        "1 of its facts are left out, whose relation the ontology lacks",
        "1 of its documents are left out, which have no text",
    )
    half = of_gold(tmp_path / "gold.jsonl", "jsonl", settings(), general, Draw(12, 0)).texts
    assert [sum(each.chooses is chooses for each in half) for chooses in (True, False)] == [6, 6]


def test_gold_without_texts_has_those_of_the_input(tmp_path: Path, general: Ontology) -> None:
    rows = people(40)
    corpus = jsonl(tmp_path / "corpus.jsonl", ({"nr": row["id"], "text": row["text"], "t": "沈砚"} for row in rows[1:]))
    gold = jsonl(tmp_path / "gold.jsonl", ({"id": row["id"], "triples": row["triples"]} for row in rows))
    columns = {"corpus.id_column": "nr", "corpus.title_column": "t"}
    found = of_gold(gold, "jsonl", settings(input=[str(corpus)], **columns), general, ALL)
    assert len(found.texts) == 39
    assert of(found.texts, "沈砚1生于澄江。").document.facts == (("沈砚1", "born_in", "澄江"),)
    assert {each.requests[0].title for each in found.texts} == {"沈砚"}
    assert found.notes == ("1 of its documents are left out, which have no text",)
    with pytest.raises(InputError, match="holds no texts, and there is no input with them"):
        of_gold(gold, "jsonl", settings(), general, ALL)
    with pytest.raises(InputError, match="none of its ids is in") as caught:
        of_gold(gold, "jsonl", settings(input=[str(corpus)]), general, ALL)
    assert "--id-column" in caught.value.remedy


def test_gold_of_other_relations_or_of_hardly_a_text_is_refused(tmp_path: Path, general: Ontology) -> None:
    foreign = [{**row, "triples": [[row["triples"][0][0], "喜欢", "茶"]]} for row in people(40)]
    file = jsonl(tmp_path / "gold.jsonl", foreign)
    with pytest.raises(InputError, match="no fact of a relation of the ontology general; its relations are: 喜欢"):
        of_gold(file, "jsonl", settings(), general, ALL)
    # Without an ontology every relation is one.
    assert len(of_gold(file, "jsonl", settings(), None, ALL).texts) == 40
    few = jsonl(tmp_path / "few.jsonl", people(8))
    with pytest.raises(InputError, match=r"gives \d texts with facts to choose by .+ each half needs 5"):
        of_gold(few, "jsonl", settings(), general, ALL)
    without = jsonl(tmp_path / "without.jsonl", ({**row, "triples": []} for row in people(40)))
    with pytest.raises(InputError, match="gives 0 texts with facts to choose by and 0 to report on"):
        of_gold(without, "jsonl", settings(), general, ALL)


def sheet(file: Path, rows: Sequence[tuple[str, str, str, str, str]]) -> Path:
    lines = [f"{number},{','.join(row)}" for number, row in enumerate(rows)]
    file.write_text("\n".join([",".join(COLUMNS), *lines]), "utf-8-sig")
    return file


def test_a_sheet_gives_the_triples_of_its_sentences(tmp_path: Path, general: Ontology) -> None:
    rows = []
    for number in range(30):
        sentence = f"Ada Velm{number} was born in Norbridge and lives in Tarn."
        rows.append((f"Ada Velm{number}", "born_in", "Norbridge", sentence, "yes"))
        rows.append((f"Ada Velm{number}", "born_in", "Tarn", sentence, "no"))
        rows.append((f"Ada Velm{number}", "located_in", "Tarn", sentence, "?" if number else ""))
    rows.append(("Otto Renwick", "born_in", "Norbridge", "She was born in Norbridge.", "yes"))
    rows.append(("Ada Velm0", "likes", "Tarn", "Ada Velm0 was born in Norbridge and lives in Tarn.", "yes"))
    file = sheet(tmp_path / "review.csv", rows)
    found = of_sheet(read_review(file), file, settings(), general, ALL)
    assert len(found.texts) == 30
    first = of(found.texts, "Ada Velm0 was born in Norbridge and lives in Tarn.")
    assert first.document.facts == (("Ada Velm0", "born_in", "Norbridge"),)
    assert first.wrong == (("Ada Velm0", "born_in", "Tarn"),)
    assert [(each.text, each.lang) for each in first.requests] == [(first.document.text, "en")]
    assert found.notes == (
        "1 judged triples are left out, whose subject or object is not in `evidence`",
        "1 judged triples are left out, whose relation the ontology lacks",
    )
    wrong = sheet(tmp_path / "wrong.csv", [(*row[:4], "no") for row in rows])
    with pytest.raises(InputError, match="gives 0 texts with facts"):
        of_sheet(read_review(wrong), wrong, settings(), general, ALL)


def test_texts_alone_are_drawn_with_the_known_ones_of_their_languages(tmp_path: Path) -> None:
    rows = [{"text": row["text"]} for row in people(60)]
    book = "。".join(f"沈砚第{number}次到了溪州，住在河边的旧屋里，写了一封很长的信" for number in range(60)) + "。"
    corpus = jsonl(tmp_path / "corpus.jsonl", [*rows, {"text": book}])
    found = of_nobody(settings(input=[str(corpus)]), ALL)
    own = [each for each in found.texts if each.kind == "own"]
    assert len(own) == 61 and all(len(each.requests) == 1 and not each.document.facts for each in own)
    [piece] = [each for each in own if each.document.text in book]
    assert len(piece.document.text) < len(book) / 4
    known = [each for each in found.texts if each.kind == "known"]
    assert {each.document.text for each in known} == {each.text for each in known_texts("zh-Hans")}
    drawn = of_nobody(settings(input=[str(corpus)]), Draw(20, 3)).texts
    assert sum(each.kind == "own" for each in drawn) == 20


def test_without_any_texts_the_known_ones_of_all_languages() -> None:
    found = of_nobody(settings(), ALL)
    assert {each.kind for each in found.texts} == {"known"} and len(found.texts) == 30
    assert found.told == "30 known texts (en, zh-Hans, zh-Hant)"
    assert {each.requests[0].lang for each in found.texts} == {"en", "zh-Hans", "zh-Hant"}


def test_what_only_spark_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is read with Spark \(delta\)") as caught:
        of_nobody(settings(input=[str(tmp_path)], **{"corpus.format": "delta"}), ALL)
    assert "JSON Lines" in caught.value.remedy

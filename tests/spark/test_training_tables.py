"""Training data out of tables: chunks as they were asked, with accepted facts or sure triples, or with none at all."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fill import put
from rich.console import Console

from triplelake.commands.export_training import export_training
from triplelake.commands.training_sources import TrainingChoice
from triplelake.config import Settings
from triplelake.errors import UsageError
from triplelake.tables.schemas import ATTEMPTS, CHUNKS, DOCUMENTS, RUNS, TRIPLES
from triplelake.tables.store import Store
from triplelake.training.files import Training, read_training
from triplelake.training.parts import Wanted
from triplelake.triples.identity import text_hash

pytestmark = pytest.mark.spark

VERSION = {"doc_version": "v", "extraction_key": "k"}
AT = datetime(2031, 2, 3, tzinfo=UTC)
OWN = 'name: own\ntemplate: text\nprefix: "<|user|>\\n"\nsuffix: "<|end|>\\n"\ninstructions: line\n'
FILM = "《暮雨》由沈若白执导，由何若兰主演。"
TOWN, RAIN, DOUBT, FAILED = (
    "全市人口约82万。",
    "昨天下了一整天的雨。",
    "《远山》由陶霁言执导。",
    "《旧文》由简弗宁执导。",
)


def _document(name: str) -> dict[str, Any]:
    return {**VERSION, "doc_id": name, "derivation": "d", "state": "published", "state_at": AT}


def _chunk(
    name: str, text: str, status: str, title: str = "", request: str | None = None, ordinal: int = 0
) -> tuple[dict[str, Any], dict[str, Any]]:
    request = request or f"r {name} {ordinal}"
    chunk = {
        **VERSION,
        **{
            "doc_id": name,
            "chunk_id": f"c {name} {ordinal}",
            "ordinal": ordinal,
            "request_id": request,
            "lang": "zh-Hans",
        },
        **{"text": text, "title": title, "context": "", "char_start": 0, "char_end": len(text)},
    }
    return chunk, {"request_id": request, "extraction_key": "k", "status": status, "finished_at": AT}


def _triple(name: str, subject: str, predicate: str, object: str, confidence: float, **changes: Any) -> dict[str, Any]:
    said = {"subject": subject, "predicate": predicate, "object": object, "confidence": confidence}
    ends = {"subject_id": subject, "object_id": object, "fact_id": f"{subject} {predicate} {object}"}
    rest = {"doc_id": name, "chunk_id": f"c {name} 0", "derivation": "d", "evidence": name, "extracted_at": AT}
    return {**VERSION, **said, **ends, **rest, "grounding": "exact", "flags": [], "lang": "zh-Hans", **changes}


@pytest.fixture
def lake(store: Store) -> Store:
    """Five documents: two with sure triples, one copied, one with a doubtful one, one without any, one that failed."""
    rows = [
        _chunk("film", FILM, "ok"),
        _chunk("town", TOWN, "ok", "沅澜市"),
        _chunk("copy", TOWN, "ok", "沅澜市", "r town 0"),
        _chunk("rain", RAIN, "empty"),
        _chunk("film", DOUBT, "failed", ordinal=1),
        _chunk("doubt", DOUBT, "ok"),
        _chunk("failed", FAILED, "failed"),
    ]
    put(store, DOCUMENTS, [_document(name) for name in dict.fromkeys(chunk["doc_id"] for chunk, _ in rows)])
    put(store, CHUNKS, [chunk for chunk, _ in rows])
    put(store, ATTEMPTS, list({attempt["request_id"]: attempt for _, attempt in rows}.values()))
    put(
        store,
        TRIPLES,
        [
            _triple("film", "暮雨", "director", "沈若白", 0.95),
            _triple("film", "暮雨", "cast_member", "何若兰", 0.4),
            _triple("town", "沅澜市", "population", "约82万", 0.9, subject_from="title"),
            _triple("copy", "沅澜市", "population", "约82万", 0.9, subject_from="title"),
            _triple("doubt", "远山", "director", "陶霁言", 0.2),
            _triple("doubt", "远山", "author", "陶霁言", 0.99, flags=["type_conflict"]),
        ],
    )
    settings = json.dumps({"ontology": "ontologies/general.yaml"})
    put(store, RUNS, [{"run_id": "r", "extraction_key": "k", "settings": settings, "ended_at": AT}])
    return store


def _made(lake: Store, folder: Path, **choice: Any) -> tuple[Training, str]:
    (folder / "own.yaml").write_text(OWN, "utf-8")
    settings = Settings.model_validate({"profile": str(folder / "own.yaml")})
    said = io.StringIO()
    to = str(folder / "data")
    export_training(
        TrainingChoice(to, settings, output=lake.output, wanted=Wanted(dev=0, empty=0.5), overwrite=True, **choice),
        Console(file=said, width=400),
    )
    return read_training(Path(to)), said.getvalue()


def test_chunks_are_lines_as_they_were_asked(lake: Store, tmp_path: Path) -> None:
    found, told = _made(lake, tmp_path, min_confidence=0.9)
    lines = {each.text: each for each in found.train}
    assert {text: [fact[1] for fact in each.facts] for text, each in lines.items()} == {
        FILM: ["导演"],
        TOWN: ["人口"],
        RAIN: [],
    }
    assert (lines[TOWN].title, lines[TOWN].origin) == ("沅澜市", f"confidence>=0.9:{lake.output}")
    assert "标题：沅澜市" in lines[TOWN].prompt
    assert "1 of 2 chunks have other triples, too" in told
    # Gold of a document that was cut is known again, too.
    assert {text_hash(FILM), text_hash(FILM + DOUBT), text_hash(TOWN)} < {*found.card.hashes.train}

    # Of a share, the surest that are expected to hold it: 0.95 and 0.9, and not 0.4.
    found, _ = _made(lake, tmp_path, precision=0.9)
    assert {each.text for each in found.train} == {FILM, TOWN, RAIN}

    # The bound of the run's facts is that of the tables, and a fact of two texts is surer than its mentions.
    lake.set_min_confidence(0.97)
    found, told = _made(lake, tmp_path, facts=True)
    assert {each.text for each in found.train} == {TOWN, RAIN} and "no bound" not in told
    assert {each.origin for each in found.train} == {f"facts:{lake.output}"}

    gold = tmp_path / "gold.jsonl"
    gold.write_text(json.dumps({"id": "town", "triples": [["沅澜市", "population", "约82万"]]}) + "\n", "utf-8")
    found, _ = _made(lake, tmp_path, facts=True, gold=(gold,))
    assert {each.text: each.origin for each in found.train}[TOWN] == "gold:gold.jsonl"
    assert {each.text: each.title for each in found.train}[TOWN] == "沅澜市"


def test_confidence_is_needed_where_it_is_asked_for(lake: Store, tmp_path: Path) -> None:
    lake.spark.sql(f"UPDATE {lake.sql_name(TRIPLES)} SET confidence = NULL")
    with pytest.raises(UsageError, match=r"no triple of .* has one") as refused:
        _made(lake, tmp_path, precision=0.9)
    assert "triplelake calibrate" in refused.value.remedy

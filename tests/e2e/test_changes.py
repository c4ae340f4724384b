"""What a change costs and when it shows: an edited document, a missing one, a new way of reading the answers."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from shutil import copytree
from typing import Any

import pytest
from harness.bench import Bench
from harness.lake import Lake, check_offsets, check_unique
from harness.servers import question
from pyspark.sql import SparkSession

from triplelake.config import ChunkingSettings, conf_dir
from triplelake.corpus.chunking import chunk_document
from triplelake.errors import InputError, OutputError, UsageError
from triplelake.evaluate.review import read_review
from triplelake.prompt.profile import find_profile
from triplelake.prompt.prompts import load_prompts
from triplelake.prompt.render import Renderer
from triplelake.triples import derive
from triplelake.types import Request

pytestmark = pytest.mark.spark

_SMALL: dict[str, Any] = {"chunking__target_tokens": 24, "chunking__max_tokens": 48, "chunking__context_tokens": 40}
_CHUNKING = ChunkingSettings(target_tokens=24, max_tokens=48, context_tokens=40)
# Each test has a folder of its own, so the same ids come from another file.
_READ: dict[str, Any] = {"corpus__id_column": "id", "corpus__title_column": "title", "run__allow_moved": True}

_RIVER = "\n\n".join(
    f"{name}河发源于{other}山，流经{other}城，最后注入{name}湖。沿岸的{other}镇出产茶叶和丝绸，{name}河的水路通往各地。"
    for name, other in zip("青白赤玄金银碧紫", "松柏梅兰竹菊桃李", strict=True)
)
_WRITER = "蘇晚晴生於臨川，是小說家。她的第一本書叫做《渡口》。"
_SHIP = "The Meridian Star was built at Harrow Quay. Captain Edda Lund commanded the ship."


def corpus(river: str = _RIVER) -> list[dict[str, str]]:
    return [
        {"id": "river", "title": "江河志", "text": river},
        {"id": "writer", "title": "蘇晚晴", "text": _WRITER},
        {"id": "ship", "title": "Meridian Star", "text": _SHIP},
    ]


@pytest.fixture(scope="module")
def first(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The job over the corpus, once for all that follows it."""
    bench = Bench.make(tmp_path_factory.mktemp("first"))
    bench.extract(bench.corpus(corpus()), **_READ, **_SMALL)
    return bench


@pytest.fixture
def bench(bench: Bench, first: Bench) -> Bench:
    """An output of its own with what the first run left."""
    copytree(first.output, bench.output)
    return bench


def questions(document: Mapping[str, str]) -> set[str]:
    """What a document is asked, by its chunks."""
    title = document["title"]
    return {
        question(Request("", chunk.text, title, chunk.context, chunk.lang))
        for chunk in chunk_document(document["text"], title, _CHUNKING)
    }


def facts(lake: Lake) -> set[tuple[Any, ...]]:
    rows = lake.view("facts")
    return {(row["fact_id"], row["mentions"], row["documents"], row["texts"], row["example"]) for row in rows}


def triples_of(lake: Lake, doc_id: str) -> set[str]:
    return {row["triple_id"] for row in lake.view("current_triples", f"doc_id = '{doc_id}'")}


@pytest.mark.infra
def test_a_changed_sentence_asks_what_it_touches_and_shows_when_it_is_whole(bench: Bench, first: Bench) -> None:
    old, new = corpus(), corpus(_RIVER.replace("金河发源于", "金河起源于"))
    assert old != new
    assert Counter(first.server.asked) == Counter(asked for each in old for asked in questions(each))
    before = triples_of(bench.lake, "river")
    others = {doc_id: triples_of(bench.lake, doc_id) for doc_id in ("writer", "ship")}
    changed = questions(new[0]) - questions(old[0])
    # The sentence itself, and the chunk that it is the context of.
    assert (len(changed), len(questions(old[0]))) == (2, 16)

    file = first.corpus(new)
    bench.server.hold()
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(bench.extract, file, **_READ, **_SMALL)
        try:
            bench.server.wait_until(lambda: bench.server.waiting > 0 or running.done(), "the changed chunk to be asked")
            assert not running.done(), running.result()
            assert triples_of(bench.lake, "river") == before
            assert {row["state"] for row in bench.lake.rows("documents") if row["doc_id"] == "river"} == {
                "planned",
                "published",
            }
        finally:
            bench.server.release()
        run_row = running.result()

    assert Counter(bench.server.asked) == Counter(changed)
    assert (run_row.documents, run_row.requests) == (1, len(changed))
    after = triples_of(bench.lake, "river")
    assert after != before
    versions = {row["doc_version"] for row in bench.lake.view("current_triples", "doc_id = 'river'")}
    assert len(versions) == 1, "triples of two versions are current"
    assert {doc_id: triples_of(bench.lake, doc_id) for doc_id in others} == others
    check_offsets(bench.lake)
    check_unique(bench.lake)

    # The old text again: every answer is there, nothing is asked, and its triples are the current ones.
    first.corpus(old)
    bench.server.forget()
    bench.extract(file, **_READ, **_SMALL)
    assert bench.server.asked == []
    assert triples_of(bench.lake, "river") == before
    check_unique(bench.lake)


@pytest.mark.infra
def test_only_replace_removes(bench: Bench, first: Bench) -> None:
    file = bench.corpus(corpus())
    fewer = bench.corpus(corpus()[1:], "fewer.jsonl")

    def current() -> set[str]:
        return {row["doc_id"] for row in bench.lake.view("current_documents")}

    bench.extract(fewer, **_READ, **_SMALL)
    assert current() == {"river", "writer", "ship"}
    bench.extract(file, **_READ, **_SMALL, run__limit=1, run__mode="replace")
    assert current() == {"river", "writer", "ship"}

    with pytest.raises(InputError, match=r"lacks 1 of the 3 documents .*\(river\); run.max_removed allows 20%"):
        bench.extract(fewer, **_READ, **_SMALL, run__mode="replace")
    # What could not be read may be what is lacking.
    damaged = bench.folder / "damaged.jsonl"
    damaged.write_text(fewer.read_text(encoding="utf-8") + '{"id": "river", "text": "青河', encoding="utf-8")
    run_row = bench.extract(damaged, **_READ, **_SMALL, run__mode="replace")
    assert (run_row.removed, run_row.rejected) == (0, 1) and current() == {"river", "writer", "ship"}
    assert "Removed:  0 of the 3 documents" in bench.said and "1 are kept, since something of their sou" in bench.said

    run_row = bench.extract(fewer, **_READ, **_SMALL, run__mode="replace", run__allow_removals=1)
    assert run_row.removed == 1 and "Removed:  1 of the 3 documents of the output" in bench.said
    assert current() == {"writer", "ship"}
    assert triples_of(bench.lake, "river") == set()
    assert {row["doc_id"] for row in bench.lake.rows("triples")} >= {"river"}
    assert bench.extract(fewer, **_READ, **_SMALL, run__mode="replace").removed == 0

    # What the first command has done does not stand any more, so it is not taken for done.
    bench.extract(first.folder / "corpus.jsonl", **_READ, **_SMALL)
    assert current() == {"river", "writer", "ship"}
    assert bench.server.asked == []
    check_unique(bench.lake)


@pytest.mark.infra
def test_earlier_settings_publish_their_answers_again(bench: Bench, first: Bench) -> None:
    def current(column: str) -> dict[str, Any]:
        return {row["doc_id"]: row[column] for row in bench.lake.view("current_documents")}

    [key] = set(current("extraction_key").values())
    fewer = bench.corpus(corpus()[1:])
    other = {**_READ, **_SMALL, "answer__max_tokens": 200}
    bench.extract(fewer, **other, run__mode="replace", run__allow_removals=1)
    assert set(current("extraction_key")) == {"writer", "ship"} and key not in current("extraction_key").values()
    bench.server.forget()

    # Columns that are kept from now on change no question either.
    file = bench.corpus(corpus())
    bench.extract(file, **_READ, **_SMALL, corpus__keep_columns=["id"])
    assert "3 documents (1 new, 2 of other settings)" in bench.said
    assert current("extraction_key") == dict.fromkeys(("river", "writer", "ship"), key)
    assert {doc_id: dict(meta) for doc_id, meta in current("meta").items()} == {
        doc_id: {"id": doc_id} for doc_id in ("river", "writer", "ship")
    }
    assert bench.server.asked == []
    check_unique(bench.lake)


@pytest.mark.infra
def test_ids_of_another_source_are_no_edits(bench: Bench, first: Bench) -> None:
    read = {**_READ, **_SMALL, "run__allow_moved": False}
    others = bench.corpus([{"id": "ship", "text": _WRITER}, {"id": "boat", "text": _SHIP}], "others.jsonl")
    versions = bench.lake.versions()
    read.pop("corpus__title_column")
    with pytest.raises(InputError, match="has 1 id of documents that came from another source") as refused:
        bench.extract(others, **read)
    assert "others.jsonl" in refused.value.remedy and "--id-prefix" in refused.value.remedy
    bench.preview(others, **read, corpus__id_prefix="b-")
    assert "Plan:     2 documents, " in bench.said

    # Without their id column all documents would be there twice.
    without = {name: value for name, value in read.items() if name != "corpus__id_column"}
    with pytest.raises(InputError, match=r"names its documents by their content .*; 3 of them are in the output"):
        bench.extract(first.folder / "corpus.jsonl", **without, corpus__title_column="title")
    # With another title, or another text, not even their content is the same: only that the source is.
    with pytest.raises(InputError, match="gives 3 new documents where the output has 3 others") as refused:
        bench.extract(first.folder / "corpus.jsonl", **without)
    assert "corpus.title_column was title, is not set; corpus.id_column was id, is not set" in refused.value.remedy
    counts = bench.lake.versions()
    assert {name: counts[name] for name in counts if name != "runs"} == {
        name: versions[name] for name in versions if name != "runs"
    }


def test_republish_rebuilds_without_a_request(bench: Bench, first: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    file = first.corpus(corpus())
    assert facts(bench.lake)
    before, derivations = facts(bench.lake), {row["derivation"] for row in bench.lake.rows("triples")}
    versions = bench.lake.versions()

    monkeypatch.setattr(derive, "DERIVATION_VERSION", "of a test")
    run_row = bench.republish(file, **_READ, **_SMALL)
    assert run_row.documents == 3
    assert run_row.triples == len(bench.lake.view("current_triples"))
    assert bench.server.asked == []
    assert facts(bench.lake) == before
    assert {row["derivation"] for row in bench.lake.view("current_triples")}.isdisjoint(derivations)
    check_unique(bench.lake)
    same = ("attempts", "chunks", "requests", "plans")
    assert {name: bench.lake.version(name) for name in same} == {name: versions[name] for name in same}

    # Nothing is stale any more, for republishing and for the job alike.
    counts = bench.lake.counts()
    assert bench.republish(file, **_READ, **_SMALL).documents == 0
    bench.extract(file, **_READ, **_SMALL)
    assert bench.lake.counts() == counts | {"runs": counts["runs"] + 2}
    assert bench.server.asked == []


def test_a_changed_setting_is_told_with_what_it_costs(first: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = len({row["request_id"] for row in first.lake.rows("attempts")})
    file = first.corpus(corpus())
    first.preview(file, **_READ, **_SMALL)
    assert "Changed:" not in first.said
    first.preview(file, **_READ, **_SMALL, answer__max_tokens=200, ontology="none")
    assert "Changed:  ontology was ontologies/general.yaml, is none" in first.said
    assert "Changed:  answer.max_tokens was 320, is 200" in first.said
    assert f"0 answers can be used again, {answers} were asked with other settings" in first.said
    # Each language has a prefix of its own, which is as long as that language needs it.
    langs = {row["request_id"]: row["lang"] for row in first.lake.rows("chunks")}.values()
    renderer = Renderer(load_prompts(conf_dir() / "prompts"), None, find_profile("base", ""))
    cached = sum(len(renderer.prefix(lang)) // 2 for lang in langs)
    assert len(set(langs)) == 3 and f"of prompt ({cached:,} from the cache)" in first.said

    own = first.folder / "conf"
    copytree(conf_dir(), own)
    (own / "prompts" / "en.yaml").write_text((own / "prompts" / "en.yaml").read_text().replace("Extract", "Take"))
    with monkeypatch.context() as patch:
        patch.setenv("TRIPLELAKE_CONF", str(own))
        first.preview(file, **_READ, **_SMALL)
    assert "Changed:  the prompt en.yaml says something else than it did\n          0 answers" in first.said


def test_what_is_to_know_of_a_language_is_told_where_it_is_asked_in(first: Bench) -> None:
    own = first.folder / "own.yaml"
    own.write_text("relations: [{id: built_at, name_en: built at}]")
    first.preview(first.corpus([{"id": "x", "text": _SHIP}], "en.jsonl"), corpus__id_column="id", ontology=str(own))
    assert "Note:     en: 4 of 5 examples show relations" in first.said and "zh-H" not in first.said


def test_one_request_is_shown_from_its_prompt_to_its_triples(first: Bench) -> None:
    triple = first.lake.query("SELECT * FROM current_triples WHERE doc_id = 'ship' ORDER BY subject_start LIMIT 1")[0]
    [answer] = (row for row in first.lake.rows("attempts") if row["request_id"] == triple["request_id"])
    said = first.show_request(triple["triple_id"][:12], **_SMALL)
    assert f"== Request {triple['request_id']}" in said
    assert "Text: The Meridian Star was built at Harrow Quay." in said
    assert "%llguidance" in said
    assert f"\n{answer['completion']}\n" in said
    assert f"+ {triple['subject']} | {triple['predicate']} | {triple['object']}" in said
    assert f"triple {triple['triple_id']}" in said
    assert "other" not in said.partition("== Prompt")[2].partition("\n")[0]

    said = first.show_request(triple["request_id"], **_SMALL, answer__max_tokens=200)
    assert "The answer below was asked with others:\n  answer.max_tokens was 320, is 200" in said
    said = first.show_request(triple["chunk_id"], pool="http://127.0.0.1:9", asking__patience_s=0.0)
    assert "Not shown: template and grammar engine are the pool's." in said and answer["completion"] in said
    with pytest.raises(OutputError, match="no request, chunk or triple with the id ffffffffffff"):
        first.show_request("ffffffffffff")
    for wanted in ("f", "Captain Edda"):
        with pytest.raises(UsageError, match="is no id"):
            first.show_request(wanted)


@pytest.mark.infra
def test_a_probe_and_a_sample_ask_what_the_run_need_not_ask_again(bench: Bench) -> None:
    output = bench.folder / "sampled"
    documents = [{"id": f"d{number}", "text": f"第{number}號船{name}"} for number, name in enumerate([_WRITER] * 8)]
    file = bench.corpus(documents)
    lake = Lake(output)

    run_row = bench.preview(file, output, probe=3, corpus__id_column="id", cost__gpu_hour=2.0)
    assert len(bench.server.asked) == len(lake.rows("attempts")) == run_row.tally.answered == 3
    assert "3 of 8 questions asked" in bench.said and "GPU-hours with 1 GPU; at 2 for each" in bench.said
    assert not lake.rows("documents") and not lake.rows("plans")
    [wanted] = re.findall(r"--show-request (\w+)", bench.said)
    said = bench.show_request(wanted, output=str(output))
    assert "asked for a probe" in said and "== Triples\n+ " in said and "other" not in said.partition("Grammar")[0]
    assert [row["command"] for row in lake.rows("runs")] == ["probe"]

    (output / "review.csv").write_text("judged")
    bench.extract(file, output, corpus__id_column="id", run__sample=3)
    drawn = {row["doc_id"] for row in lake.view("current_documents")}
    assert len(drawn) == 3 and drawn != {"d0", "d1", "d2"}
    triples = {row["triple_id"] for row in lake.view("current_triples")}
    assert (output / "review.csv").read_text() == "judged"
    with (output / "review-2.csv").open(encoding="utf-8-sig", newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    assert {row["triple_id"] for row in rows} == triples and {row["doc_id"] for row in rows} <= drawn
    assert all("【" in row["marked"] for row in rows)
    assert "triplelake evaluate --review" in bench.said and "   " + rows[0]["subject"] in bench.said

    bench.extract(file, output, corpus__id_column="id", run__preflight=True)
    assert "Checked:  the server answers a known sentence (zh-Hant)" in bench.said
    assert len(set(bench.server.asked)) == len(bench.server.asked), "a sampled document was asked again"
    assert len(lake.view("current_documents")) == len(documents)


@pytest.mark.infra
def test_a_sheet_ends_with_texts_in_which_nothing_was_found(bench: Bench) -> None:
    texts = {"d0": f"第0號船{_WRITER}", "d1": "啊！喔？", "d2": "唉。"}
    file = bench.corpus([{"id": doc_id, "text": text} for doc_id, text in texts.items()])
    bench.extract(file, corpus__id_column="id", run__sample=3)
    path = bench.output / "review.csv"
    with path.open(encoding="utf-8-sig", newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    assert {row["doc_id"] for row in rows if row["triple_id"]} == {"d0"}
    assert {row["doc_id"]: row["evidence"] for row in rows[-2:]} == {name: texts[name] for name in ("d1", "d2")}
    assert not any(row["triple_id"] or row["subject"] for row in rows[-2:])
    assert "Its last 2 rows are texts in which nothing was found" in bench.said
    assert read_review(path).open == len(rows) - 2

"""`triplelake export --what training`: from files to a folder that a trainer reads, without Spark; and its refusals."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from triplelake.cli.export import export_command
from triplelake.errors import InputError
from triplelake.prompt.ontology_file import load_ontology, ontology_yaml
from triplelake.text import comparison_key
from triplelake.training.files import read_training

OWN = 'name: own\ntemplate: text\nprefix: "<|user|>\\n"\nsuffix: "<|end|>\\n<|bot|>\\n"\ninstructions: line\n'
NAMES = "霍苏简闻陶岚霁栎沅瑟"
HEAD = "triple_id,subject,predicate,object,evidence,verdict,document\n"


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a profile and forty texts of gold, of which ten are without facts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    Path("own.yaml").write_text(OWN, "utf-8")
    _gold("gold.jsonl", [_film(number) for number in range(30)] + [_rain(number) for number in range(10)])
    return tmp_path


def _film(number: int) -> dict[str, Any]:
    name, who = (NAMES[(number + shift) % 10] * 3 + NAMES[number // 10] for shift in (0, 1))
    return {"id": f"f{number}", "text": f"《{name}》由{who}执导。", "triples": [[name, "导演", who]]}


def _rain(number: int) -> dict[str, Any]:
    return {"id": f"r{number}", "text": f"第{number}天{NAMES[number] * 6}一直在下雨。", "triples": []}


def _gold(file: str, documents: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in documents)
    Path(file).write_text(text, "utf-8")


def _export(*words: str) -> int:
    return export_command(["--what", "training", "--profile", "own.yaml", "--to", "data", *words])


def test_lines_of_a_base_model_end_with_a_blank_one(work: Path) -> None:
    Path("own.yaml").write_text(
        'name: own\ntemplate: plain\nstop: ["\\n"]\nanswer: lines\ninstructions: line\n', "utf-8"
    )
    assert _export("--gold", "gold.jsonl", "--dev", "4") == 0
    found = read_training(Path("data"))
    assert (found.card.answer, found.card.end) == ("lines", "\n\n")
    for line in (*found.train, *found.dev):
        assert line.answer == ("\n".join(map("|".join, line.facts)) or "无")


def test_the_folder_is_what_the_trainer_reads(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name for name in sys.modules if name.startswith("pyspark")}
    assert _export("--gold", "gold.jsonl", "--dev", "4") == 0
    assert {name for name in sys.modules if name.startswith("pyspark")} == before
    found = read_training(Path("data"))
    assert (len(found.dev), found.card.dev.texts, found.card.end) == (4, 4, "<|end|>")
    assert found.profile.instructions == "line"
    lines = [*found.train, *found.dev]
    assert all(each.prompt.startswith("<|user|>\n") and each.prompt.endswith("<|bot|>\n") for each in lines)
    assert {each.origin for each in lines} == {"gold:gold.jsonl"}
    assert {each.answer for each in lines if not each.facts} == {"[]"}
    for each in lines:
        assert each.id == hashlib.sha256(comparison_key(each.text).encode()).hexdigest()
    assert found.card.hashes.train == tuple(each.id for each in found.train)
    assert found.card.train.relations["director"] == sum(bool(each.facts) for each in found.train)
    assert found.card.train.relations["spouse"] == 0
    assert found.card.texts_left_out == {"an empty answer beyond their share (--empty)": 40 - len(lines)}
    assert found.card.contents.keys() >= {"relations", "prompt zh-Hans", "template"}
    told = capsys.readouterr().out
    for word in ("Written:  data: ", "beyond their share (--empty)", "Rarest:", "infra/train"):
        assert word in told


def test_a_sheet_gives_what_is_right_of_its_sentences(work: Path) -> None:
    rows = []
    for number in range(12):
        film = _film(number)
        ((name, _, who),) = film["triples"]
        rows += [
            (f"a{number}", name, "director", who, film["text"], "对"),
            (f"b{number}", who, "author", name, film["text"], "错"),
        ]
    text = _film(20)["text"]
    rows += [
        ("c", *(_film(20)["triples"][0][0], "author", "沈若白"), text, "no"),
        ("d", "甲", "author", "乙", "甲乙", ""),
    ]
    Path("review.csv").write_text(HEAD + "".join(",".join((*row, row[0][1:])) + "\n" for row in rows), "utf-8")
    assert _export("--review", "review.csv", "--dev", "0.2") == 0
    found = read_training(Path("data"))
    lines = [*found.train, *found.dev]
    assert sorted(each.facts for each in lines) == sorted(
        ((name, "导演", who),) for name, _, who in (_film(number)["triples"][0] for number in range(12))
    )
    assert [*found.card.texts_left_out.values()] == [1]
    assert "not known" in next(iter(found.card.texts_left_out))


def test_what_a_reviewer_adds_is_learnt_and_a_sentence_may_state_nothing(work: Path) -> None:
    rows = [(f"a{number}", *_film(number)["triples"][0], _film(number)["text"], "对", "") for number in range(11)]
    ((name, relation, who),) = _film(12)["triples"]
    rows += [
        ("b", who, "author", name, _film(12)["text"], "错", "12"),
        ("", name, relation, who, _film(12)["text"], "漏", ""),
        ("c", "雨", "author", "街", "雨落在街上。", "无", "13"),
        ("d", "风", "author", "街", "风吹过街上。", "错", "14"),
        ("", "", "", "", "云在天上。", "none", "15"),
        ("", "", "", "", "雪在山上。", "", "16"),
    ]
    Path("review.csv").write_text(HEAD + "".join(",".join(row) + "\n" for row in rows), "utf-8")
    assert _export("--review", "review.csv", "--dev", "0", "--empty", "0.5") == 0
    answers = {each.text: each.facts for each in read_training(Path("data")).train}
    assert [fact[::2] for fact in answers[_film(12)["text"]]] == [(name, who)]
    assert answers["雨落在街上。"] == answers["云在天上。"] == ()
    assert not {"风吹过街上。", "雪在山上。"} & answers.keys()


def test_what_is_part_of_a_sentence_is_right_of_the_whole(work: Path) -> None:
    short, long = "《暮雨》由沈若白执导。", "《暮雨》由沈若白执导。它由何若兰主演。"
    rows = [
        ("1", "暮雨", "director", "沈若白", short, "yes", "7"),
        ("2", "暮雨", "cast_member", "何若兰", long, "yes", "7"),
        ("3", "远山", "director", "沈若白", "《远山》由沈若白拍成。", "yes", "8"),
    ]
    Path("review.csv").write_text(HEAD + "".join(",".join(row) + "\n" for row in rows), "utf-8")
    assert _export("--review", "review.csv", "--dev", "0") == 0
    facts = {each.text: [fact[1] for fact in each.facts] for each in read_training(Path("data")).train}
    assert facts[long] == ["导演", "主演"] and facts[short] == ["导演"]


def test_texts_apart_and_traditional_copies(work: Path) -> None:
    _gold("held.jsonl", [{**_film(number), "text": _film(number)["text"] + "！"} for number in range(5)])
    assert _export("--gold", "gold.jsonl", "--apart", "held.jsonl", "--hant", "--dev", "0") == 0
    found = read_training(Path("data"))
    texts = {each.text for each in found.train}
    assert not texts & {_film(number)["text"] for number in range(5)}
    assert found.card.texts_left_out["a near-duplicate of a text that is kept apart"] == 5
    assert len(found.card.hashes.apart) == 5
    copies = [each for each in found.train if each.lang == "zh-Hant"]
    assert 0 < len(copies) == found.card.copies
    assert {each.id for each in copies} <= {each.id for each in found.train if each.lang == "zh-Hans"}


def test_chat_messages_are_for_other_trainers(work: Path) -> None:
    assert _export("--gold", "gold.jsonl", "--format", "messages", "--n", "10", "--dev", "2") == 0
    lines = [json.loads(line) for line in Path("data/train.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 8
    for line in lines:
        asked, said = line["messages"]
        assert asked["role"] == "user" and said["role"] == "assistant"
        assert "<|" not in asked["content"] and asked["content"].startswith("抽取")
        assert isinstance(json.loads(said["content"]), list)
    with pytest.raises(InputError, match="chat messages"):
        read_training(Path("data"))


def test_gold_without_texts_has_those_of_the_input(work: Path) -> None:
    _gold("bare.jsonl", [{"id": each["id"], "triples": each["triples"]} for each in map(_film, range(8))])
    _gold("texts.jsonl", [{"id": each["id"], "text": each["text"]} for each in map(_film, range(6))])
    assert _export("--gold", "bare.jsonl", "--input", "texts.jsonl", "--id-column", "id", "--dev", "0") == 0
    found = read_training(Path("data"))
    assert {each.text for each in found.train} == {_film(number)["text"] for number in range(6)}
    assert found.card.texts_left_out == {"no text for a document of bare.jsonl": 2}


@pytest.mark.parametrize(
    ("words", "code", "reason", "remedy"),
    [
        ([], 2, "has no source", "--review"),
        (["--facts"], 2, "--output: is missing", "catalog.schema"),
        (["--gold", "gold.jsonl", "--profile", "chat"], 2, "`instructions: full`", "instructions: line"),
        (["--gold", "gold.jsonl", "--profile", "server.yaml"], 2, "chat template of a server", "template: text"),
        (["--gold", "gold.jsonl", "--profile", "auto"], 2, "--profile: is missing", "own-model.md"),
        (["--gold", "gold.jsonl", "--to", "there"], 6, "exists already", "--overwrite"),
        (["--gold", "gold.jsonl", "--to", "own.yaml"], 6, "is a file already", "--to"),
        (
            ["--gold", "other.jsonl"],
            3,
            "no text with a fact that an answer could say (2: all of its facts",
            "--ontology",
        ),
        (["--gold", "gold.jsonl", "--format", "csv"], 2, "is no form of training data", "messages"),
        (["--gold", "gold.jsonl", "--where", "true"], 2, "--where: says nothing", "Leave it out"),
        (["--gold", "gold.jsonl", "--empty", "1"], 2, "--empty 1: is no share", "0.1"),
        (["--gold", "gold.jsonl", "--dev", "1.5"], 2, "--dev 1.5: is neither", "200"),
        (["--gold", "gold.jsonl", "--n", "20", "--dev", "20"], 2, "leaves nothing", "raise it"),
        (["--gold", "gold.jsonl", "--n", "0"], 2, "--n 0: is no number", "1 or more"),
        (["--gold", "bare.jsonl"], 3, "neither an output nor an input", "--id-column"),
        (["--gold", "sheet.csv"], 2, "is a sheet by its name", "--review"),
        (
            ["--what", "facts", "--gold", "gold.jsonl", "--output", "kg"],
            2,
            "--gold: goes with --what training",
            "Leave",
        ),
    ],
)
def test_refusals(
    words: list[str], code: int, reason: str, remedy: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("there").mkdir()
    Path("there/card.json").write_text("{}")
    Path("server.yaml").write_text("name: s\ntemplate: server\ninstructions: line\n", "utf-8")
    _gold("other.jsonl", [{**_film(number), "triples": [["甲", "颜色", "乙"]]} for number in range(2)])
    _gold("bare.jsonl", [{"id": "1", "triples": [["甲", "导演", "乙"]]}])
    Path("sheet.csv").write_text(HEAD, "utf-8")
    assert _export(*words) == code
    told = capsys.readouterr().err
    assert reason in told and remedy in told
    assert not Path("data").exists()


def test_damage_is_told_with_its_line(work: Path) -> None:
    assert _export("--gold", "gold.jsonl") == 0
    file, card = Path("data/train.jsonl"), Path("data/card.json")
    whole, lines, told = file.read_text("utf-8"), file.read_text("utf-8").splitlines(), card.read_text("utf-8")
    for text, reason in (
        (whole.replace(lines[2], lines[2][:40]), r"train.jsonl, line 3: is not JSON"),
        (whole.replace(lines[3], '{"id": "x"}'), r"train.jsonl, line 4: `lang`: field required"),
        (whole + lines[0], rf"line {len(lines) + 1}: holds the text of line 1 once more"),
        ("\n".join(lines[1:]), r"train.jsonl: holds \d+ lines, and card.json says"),
    ):
        file.write_text(text, "utf-8")
        with pytest.raises(InputError, match=reason):
            read_training(Path("data"))
    file.write_text(whole, "utf-8")
    for text, reason in (
        (told.replace('"version": 1', '"version": 9'), "is of version 9; this triplelake reads version 1"),
        (told.replace('"seed"', '"sead"'), "`draw.seed`: field required"),
        (told[:100], "card.json: is not JSON"),
    ):
        card.write_text(text, "utf-8")
        with pytest.raises(InputError, match=reason):
            read_training(Path("data"))
    card.unlink()
    with pytest.raises(InputError, match="is no training data") as refused:
        read_training(Path("data"))
    assert "--what training" in refused.value.remedy


def test_an_ontology_is_written_as_it_was_read(tmp_path: Path) -> None:
    ontology = load_ontology("ontologies/general.yaml")
    assert ontology is not None
    file = tmp_path / "ontology.yaml"
    file.write_text(ontology_yaml(ontology), "utf-8")
    again = load_ontology(str(file))
    assert again is not None and again.relations == ontology.relations

"""Ways of asking tried on a server whose answers depend on the way, by the command as a person types it."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from harness.servers import API_KEY, Counted, general_ontology

from triplelake.cli.tune_prompt import tune_prompt_command
from triplelake.evaluate.review import COLUMNS
from triplelake.evaluate.tuning import chooses
from triplelake.pool.endpoints import Endpoint
from triplelake.prompt.answer_form import FORMS, FormName
from triplelake.prompt.profile import find_profile, load_profile
from triplelake.prompt.prompts import load_prompts

CONF = Path(__file__).parents[2] / "conf"
ALIAS = "riddle-7b.Q8_0@00ff"
OPENS, ENDS = "<|im_start|>", "<|im_end|>\n"
BEST = "turns-relations-told"
WAYS = ("turns-arrays-example", BEST, "text-arrays-example", "plain-arrays-example")
CITIES = ("Norbridge", "Tarnholm", "Quenby", "Sandel")
LABELS = load_prompts("prompts")["en"].labels
TEXTS = [f"Ada Velm{'abcdefgh'[n % 8]}{'klmnopqr'[n // 8]} was born in {CITIES[n % 4]}." for n in range(64)]


@dataclass
class Riddle:
    """A server that finds the birth place in each text where it is asked in the best way, and in others less.

    Args:
        refuses: the way that gets HTTP 400,
        about: and the texts about which it does.
        template: whether it has one behind which an answer can begin.
        silent: it finds nothing.
        single: its template takes one message only.

    Attributes:
        asked: the questions, by way.
    """

    refuses: str = ""
    about: Callable[[str], bool] = lambda _: True
    template: bool = True
    silent: bool = False
    single: bool = False
    asked: dict[str, list[str]] = field(default_factory=dict)

    def reply(self, method: str, path: str, body: bytes, key: str) -> tuple[int, bytes]:
        if path == "/health":
            return _json({"status": "ok"})
        assert key == API_KEY
        match path:
            case "/props":
                given = {"total_slots": 2, "default_generation_settings": {"n_ctx": 8192}, "model_alias": ALIAS}
                return _json(given)
            case "/v1/models":
                meta = {"ftype": "Q8_0", "n_params": 1000, "n_vocab": 500, "n_ctx_train": 8192, "size": 1}
                return _json({"data": [{"id": ALIAS, "meta": meta}]})
            case "/lora-adapters":
                return _json([])
            case "/tokenize":
                return _json({"tokens": list(range(len(json.loads(body)["content"]) // 2))})
            case "/apply-template":
                return self._templated(json.loads(body)["messages"])
        return self._complete(json.loads(body))

    def _templated(self, messages: list[Mapping[str, str]]) -> tuple[int, bytes]:
        if self.single and len(messages) > 1:
            return _json({"error": {"message": "one message", "type": "invalid_request_error"}}, 400)
        said = "".join(f"{OPENS}{each['role']}\n{each['content']}{ENDS}" for each in messages)
        return _json({"prompt": f"{said}{OPENS}assistant\n{'' if self.template else '<think>'}"})

    def _complete(self, body: Mapping[str, Any]) -> tuple[int, bytes]:
        prompt = body["prompt"]
        if LABELS.text not in prompt:
            return self._said(body["grammar"].split('"')[1], 1)  # a probe: the one text that its grammar admits
        text = prompt.rpartition(LABELS.text)[2].partition("\n")[0].removesuffix(ENDS.strip())
        way = way_of(prompt)
        self.asked.setdefault(way, []).append(text)
        if way == self.refuses and self.about(text):
            return _json({"error": {"message": "refused by the test", "type": "invalid_request_error"}}, 400)
        found = [] if self.silent or " was born in " not in text else self._found(way, text)
        return self._said(FORMS[form_of(prompt)].write(found), 5 if way == BEST else 9)

    def _found(self, way: str, text: str) -> list[tuple[str, str, str]]:
        name, _, place = text.removesuffix(".").partition(" was born in ")
        relation = next(each for each in general_ontology().relations if each.id == "born_in").names["en"]
        right, reversed_ = (name, relation, place), (place, relation, name)
        if way == BEST:
            return [right]
        return [right, reversed_] if way.startswith("turns") or name.endswith(tuple("klm")) else [reversed_]

    def _said(self, content: str, tokens: int) -> tuple[int, bytes]:
        more = {"truncated": False, "stop_type": "eos", "tokens_evaluated": 10, "timings/cache_n": 8}
        return _json({"content": content, "model": ALIAS, "tokens_predicted": tokens, **more})


def form_of(prompt: str) -> FormName:
    if '":[["' in prompt:
        return "relations"
    return "arrays" if '[["' in prompt else "lines"


def way_of(prompt: str) -> str:
    """The arm by which a question came."""
    turns = prompt.count(f"{OPENS}assistant") > 1
    shape = "turns" if turns else "text" if OPENS in prompt else "plain"
    empty = FORMS[form_of(prompt)].empty("en")
    shows = f"assistant\n{empty}<" in prompt or f"\n{LABELS.answer}{empty}\n" in prompt
    return f"{shape}-{form_of(prompt)}-{'example' if shows else 'told'}"


def _json(body: object, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps(body).encode()


@pytest.fixture
def riddle() -> Riddle:
    return Riddle()


@pytest.fixture
def here(riddle: Riddle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with gold, a judged sheet and a corpus, and the server in the environment."""
    before = signal.getsignal(signal.SIGTERM)
    rows = [{"id": str(n), "text": text, "triples": [fact(text)]} for n, text in enumerate(TEXTS)]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (tmp_path / "corpus.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS), "utf-8")
    cells = [f"r{n},{fact(text)[0]},born_in,{fact(text)[2]},{text},yes" for n, text in enumerate(TEXTS)]
    cells += [f"w{n},{fact(text)[2]},born_in,{fact(text)[0]},{text},no" for n, text in enumerate(TEXTS)]
    (tmp_path / "review.csv").write_text("\n".join([",".join(COLUMNS), *cells]), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIPLELAKE__POOL", Counted(riddle).url)
    monkeypatch.setenv("TRIPLELAKE__API_KEY", API_KEY)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def fact(text: str) -> list[str]:
    name, _, place = text.removesuffix(".").partition(" was born in ")
    return [name, "born_in", place]


def test_the_right_way_wins_by_gold(here: Path, riddle: Riddle, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "40", "--arms", *WAYS]
    assert tune_prompt_command(words) == 0
    said = capsys.readouterr().out
    assert f"Chosen:   {BEST}: F1 1.00 where it was chosen, 1.00 [" in said
    assert "cannot be told apart" not in said
    # Each way is asked about the same texts, each once.
    assert {way: len(set(texts)) for way, texts in riddle.asked.items()} == dict.fromkeys(WAYS, 40)
    assert {way: len(texts) for way, texts in riddle.asked.items()} == dict.fromkeys(WAYS, 40)
    assert len({frozenset(texts) for texts in riddle.asked.values()}) == 1

    profile = load_profile(here / "riddle.yaml")
    assert (profile.name, profile.template, profile.stop) == ("riddle", "server", ())
    assert (profile.examples, profile.answer, profile.empty) == ("turns", "relations", "told")
    written = (here / "riddle.yaml").read_text("utf-8")
    for line in said.splitlines():
        if line.startswith((*WAYS, "Chosen:", ALIAS)):
            assert f"# {line}\n" in written
    assert "--profile riddle.yaml" in said


def test_the_profile_is_found_by_its_alias(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tune_prompt_command(["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "20", "--arms", *WAYS]) == 0
    shutil.copytree(CONF, here / "conf")
    shutil.move(here / "riddle.yaml", here / "conf" / "models" / "riddle.yaml")
    monkeypatch.setenv("TRIPLELAKE_CONF", str(here / "conf"))
    assert find_profile("auto", ALIAS).name == "riddle"
    assert find_profile("riddle", "").answer == "relations"


@pytest.mark.parametrize("words", [["--review", "review.csv"], ["--input", "corpus.jsonl"], []])
def test_it_wins_by_verdicts_and_by_agreement_too(
    here: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune_prompt_command([*words, "--to", "riddle.yaml", "--n", "30", "--arms", *WAYS]) == (0 if words else 4)
    said = capsys.readouterr()
    if not words:
        # The texts of conf/known are no riddles: no way finds anything in them.
        assert "finds no true triple" in said.err and not (here / "riddle.yaml").exists()
        return
    weak = "A weak guide: nobody wrote down the facts" in said.out
    assert weak == ("--input" in words)
    # Three of four say the reverse, so that agreement takes it for right.
    chosen = {"--review": BEST, "--input": "text-arrays-example"}[words[0]]
    assert f"Chosen:   {chosen}: F1 " in said.out


def test_a_profile_that_is_named_is_the_only_one_tried(here: Path, riddle: Riddle) -> None:
    words = ["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "20", "--profile", "base"]
    assert tune_prompt_command(words) == 0
    assert set(riddle.asked) == {"plain-arrays-example", "plain-arrays-told", "plain-relations-example"}
    assert load_profile(here / "riddle.yaml").stop == ("\n",)


def test_a_template_that_cannot_be_used_leaves_the_plain_ways(
    here: Path, riddle: Riddle, capsys: pytest.CaptureFixture[str]
) -> None:
    riddle.template = False
    assert tune_prompt_command(["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "20"]) == 0
    assert all(way.startswith("plain-") for way in riddle.asked)
    assert "not tried with the server's chat template, which opens a block of thoughts" in capsys.readouterr().out
    # Who named the profile is told how to mend it.
    words = ["--gold", "gold.jsonl", "--to", "other.yaml", "--n", "20", "--profile", "chat"]
    assert tune_prompt_command(words) == 4
    assert "save it as mine.yaml" in capsys.readouterr().err


def test_a_template_without_turns_is_asked_in_one_message(
    here: Path, riddle: Riddle, capsys: pytest.CaptureFixture[str]
) -> None:
    riddle.single = True
    words = ["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "20", "--arms", BEST, "text-relations-told"]
    assert tune_prompt_command(words) == 0
    assert {way: len(texts) for way, texts in riddle.asked.items()} == {"text-relations-told": 20}
    assert f"{BEST} is text-relations-told: the server's template does not" in capsys.readouterr().out
    assert load_profile(here / "riddle.yaml").examples == "text"


def test_a_way_that_fails_ends_it(here: Path, riddle: Riddle, capsys: pytest.CaptureFixture[str]) -> None:
    riddle.refuses = "text-arrays-example"
    assert tune_prompt_command(["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "20", "--arms", *WAYS]) == 5
    assert f"{ALIAS}: gave no answer about 20 of 20 texts (20 bad_request)" in capsys.readouterr().err
    assert not (here / "riddle.yaml").exists()


def test_a_text_that_one_way_got_no_answer_to_is_left_out_of_all(
    here: Path, riddle: Riddle, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--gold", "gold.jsonl", "--to", "riddle.yaml", "--arms", *WAYS, "--set", "run.max_failure_rate=0.9"]
    riddle.refuses, riddle.about = BEST, lambda text: "Quenby" in text
    assert tune_prompt_command(words) == 0
    assert "16 texts are left out, of which not every arm got an answer: 16 bad_request" in capsys.readouterr().out
    assert f"{BEST} *" in (here / "riddle.yaml").read_text("utf-8")
    riddle.about = chooses
    assert tune_prompt_command([*words, "--overwrite"]) == 5
    assert "leave no text of one half" in capsys.readouterr().err


def test_a_model_that_finds_nothing_gets_no_profile(
    here: Path, riddle: Riddle, capsys: pytest.CaptureFixture[str]
) -> None:
    riddle.silent = True
    assert tune_prompt_command(["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "20"]) == 4
    assert "finds no true triple" in capsys.readouterr().err
    assert not (here / "riddle.yaml").exists()


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--gold", "gold.jsonl"], 2, "required: --to"),
        (["--gold", "gold.jsonl", "--to", "a.txt"], 2, "does not end in .yaml or .yml"),
        (["--gold", "gold.jsonl", "--to", "there.yaml"], 6, "there.yaml: is there already"),
        (["--gold", "gold.jsonl", "--to", "none/a.yaml"], 6, "is in a folder that is not there"),
        (["--gold", "gold.jsonl", "--review", "review.csv", "--to", "a.yaml"], 2, "and not both"),
        (["--review", "review.csv", "--gold-format", "duie", "--to", "a.yaml"], 2, "goes with --gold only"),
        (["--gold", "gold.jsonl", "--to", "a.yaml", "--n", "9"], 2, "--n 9: is fewer than 10"),
        (["--gold", "gold.jsonl", "--to", "a.yaml", "--arms", "turn-arrays-told"], 2, "--arms turn-arrays-told: is no"),
        (["--gold", "gold.jsonl", "--to", "a.yaml", "--profile", "base", "--arms", BEST], 2, "cannot be asked with"),
        (["--gold", "gold.jsonl", "--to", "a.yaml", "--profile", "bas"], 2, "no such model profile"),
        (["--gold", "none.jsonl", "--to", "a.yaml"], 3, "No such file"),
        (["--gold", "corpus.jsonl", "--to", "a.yaml"], 3, "is no gold file"),
        (["--gold", "gold.jsonl", "--ontology", "own.yaml", "--to", "a.yaml"], 3, "no fact of a relation"),
        (["--review", "gold.jsonl", "--to", "a.yaml"], 3, "lacks the columns"),
        (["--input", "none.txt", "--to", "a.yaml"], 3, "none.txt"),
        (["--input", "corpus.jsonl", "--to", "a.yaml", "--arms", *WAYS[:2]], 2, "which needs three"),
        (["--gold", "gold.jsonl", "--to", "a.yaml", "--pool", "http://127.0.0.1:9"], 4, "cannot be reached"),
        (["--gold", "gold.jsonl", "--too", "a.yaml"], 2, "--to"),
    ],
)
def test_bad_usage_is_one_error_and_nothing_is_asked(
    here: Path, riddle: Riddle, words: list[str], code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "there.yaml").write_text("name: mine\ntemplate: plain\n", "utf-8")
    (here / "own.yaml").write_text("relations:\n  - {id: owns, name_zh: 拥有, name_en: owns}\n", "utf-8")
    assert tune_prompt_command(words) == code
    said = capsys.readouterr().err
    assert reason in said and len(said.splitlines()) <= 4
    assert riddle.asked == {} and not (here / "a.yaml").exists()


def test_an_earlier_file_is_replaced_on_demand(here: Path) -> None:
    (here / "riddle.yaml").write_text("name: mine\ntemplate: plain\n", "utf-8")
    words = ["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "20", "--arms", *WAYS, "--overwrite"]
    assert tune_prompt_command(words) == 0
    assert load_profile(here / "riddle.yaml").template == "server"


def test_a_form_that_a_prompt_of_ones_own_lacks_is_not_tried(
    here: Path, riddle: Riddle, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(CONF / "prompts", here / "own")
    written = (here / "own" / "en.yaml").read_text("utf-8").splitlines(keepends=True)
    (here / "own" / "en.yaml").write_text("".join(each for each in written if "  lines: " not in each), "utf-8")
    words = ["--gold", "gold.jsonl", "--to", "riddle.yaml", "--n", "20", "--profile", "chat"]
    assert tune_prompt_command(words) == 0
    assert "turns-lines-example" in riddle.asked
    riddle.asked.clear()
    assert tune_prompt_command([*words, "--set", "prompt.dir=own", "--overwrite"]) == 0
    assert riddle.asked and not any("lines" in way for way in riddle.asked)
    assert "not tried: lines, which `forms` in own/en.yaml lacks" in " ".join(capsys.readouterr().out.split())


@pytest.mark.infra
@pytest.mark.model
def test_a_real_model(
    llama_server: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIPLELAKE__API_KEY", llama_server.api_key or "")
    demo = CONF / "demo"
    words = ["--gold", str(demo / "gold.jsonl"), "--input", str(demo / "corpus.jsonl"), "--id-column", "id"]
    words += ["--title-column", "title", "--pool", llama_server.url, "--n", "12", "--to", "gemma.yaml"]
    assert tune_prompt_command([*words, "--arms", "plain-arrays-example", "plain-relations-example"]) == 0
    assert "in place of the one that knows this alias" in capsys.readouterr().out
    assert load_profile(tmp_path / "gemma.yaml").stop == ("\n",)

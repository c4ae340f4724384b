"""Ten texts whose facts are known: the way of asking must find something in them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from fake.faults import rule
from fake.pool import FakePool
from rich.console import Console

from triplelake.codes import Code
from triplelake.config import load_settings
from triplelake.engine.asking import known as module
from triplelake.engine.asking import messages
from triplelake.engine.asking.known import known_models, known_texts, try_known
from triplelake.engine.asking.open_pool import OpenPool, open_pool, read_prompt_files
from triplelake.errors import PoolError
from triplelake.evaluate.gold import GoldDocument
from triplelake.pool.survey import Away
from triplelake.prompt.fewshot import Example, check_spans
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.prompts import load_prompts
from triplelake.types import LANGS, Lang

ROOT = Path(__file__).parents[4]
OWN = "relations:\n  - {id: owns, name_zh: 拥有, name_en: owns}\n"
# The fake server relates words of two characters, and there is one.
SILENT = GoldDocument("1", "春天。", (("春天", "alias", "春天"),))


@pytest.fixture
def pool() -> Iterator[FakePool]:
    with FakePool(servers=2) as servers:
        yield servers


@pytest.fixture
def opened(pool: FakePool, tmp_path: Path) -> Iterator[OpenPool]:
    """With an ontology of its own, which has nothing to do with the known texts."""
    ontology = tmp_path / "own.yaml"
    ontology.write_text(OWN, encoding="utf-8")
    given = {"pool": pool.setting, "profile": "base", "ontology": str(ontology), "asking.timeout_s": 5.0}
    settings = load_settings(None, given, {})
    with open_pool(settings, read_prompt_files(settings)) as found:
        yield found


@pytest.mark.parametrize("lang", LANGS)
def test_the_texts_state_what_the_grammar_can_say(lang: Lang) -> None:
    ontology = load_ontology("ontologies/general.yaml")
    assert ontology is not None
    texts = known_texts(lang)
    assert len(texts) == 10 == len({each.text for each in texts})
    shown = {example.text for example in load_prompts("prompts")[lang].examples}
    for each in texts:
        assert each.facts and each.text not in shown
        check_spans(Example(each.text, "", "", each.facts), each.text)
        assert all(relation in {known.id for known in ontology.relations} for _, relation, _ in each.facts)


def test_each_text_is_asked_once_and_the_servers_share_them(pool: FakePool, opened: OpenPool) -> None:
    found = try_known(opened, ["zh-Hans", "en"])
    assert [each.lang for each in found] == ["en", "zh-Hans"]
    texts = {text.text for lang in ("en", "zh-Hans") for text in known_texts(lang)}
    assert pool.counts().asked == dict.fromkeys(texts, 1)
    assert [sum(pool.counts(server).asked.values()) for server in range(2)] == [10, 10]
    for each in found:
        assert each.without == ()
        assert each.counts.gold == sum(len(text.facts) for text in known_texts(each.lang))
        # Relations of the shipped ontology, although the run has another.
        assert all(relation != "owns" for answer in each.answers for _, relation, _ in answer.facts)


@pytest.mark.parametrize(("silent", "stops"), [(7, False), (8, True)])
def test_nearly_nothing_but_empty_answers_stops_the_run(
    opened: OpenPool, monkeypatch: pytest.MonkeyPatch, silent: int, stops: bool
) -> None:
    texts = [*known_texts("zh-Hans")[silent:], *[SILENT] * silent]
    monkeypatch.setattr(module, "known_texts", lambda _: texts)
    if not stops:
        [found] = try_known(opened, ["zh-Hans"])
        assert len(found.without) == silent
        return
    with pytest.raises(PoolError) as caught:
        try_known(opened, ["zh-Hans"])
    assert f"without a triple to {silent} of 10 known texts that state facts (zh-Hans)" in caught.value.reason
    assert "“春天。” with: []" in caught.value.reason
    assert "examples" in caught.value.remedy and "run.preflight=false" in caught.value.remedy


def test_answers_that_are_no_good_are_told_for_what_they_are(pool: FakePool, opened: OpenPool) -> None:
    pool.script(rule("ungrounded"))
    with pytest.raises(PoolError, match=r"no usable answer to 10 of 10 known texts \(en; ungrounded\)") as caught:
        try_known(opened, ["en"])
    assert "grammar" in caught.value.remedy


def test_what_a_server_fails_to_answer_is_told(pool: FakePool, opened: OpenPool) -> None:
    pool.script(rule("bad_request", every=2))
    found = try_known(opened, ["en"])
    assert (len(found[0].answers), found[0].unanswered) == (6, (Code.BAD_REQUEST,) * 4)
    console = Console(record=True, width=400)
    messages.known(console, found)
    pool.script(rule("bad_request"))
    messages.known(console, try_known(opened, ["en"]))
    some, none = console.export_text().splitlines()
    assert some.endswith("; 4 not answered: bad_request") and "6 known texts" in some
    assert none == "Known:    nothing is known of how well the model answers (en); 10 not answered: bad_request"


def test_a_server_that_is_away_is_not_asked(pool: FakePool, opened: OpenPool) -> None:
    gone = opened.survey.endpoints[0]
    try_known(opened, ["en"], [Away(gone, PoolError(gone.url, "is gone"))])
    assert sorted(sum(pool.counts(server).asked.values()) for server in range(2)) == [0, 10]


def test_files_of_ones_own_beside_the_run_change_nothing(
    opened: OpenPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "conf" / "init" / "en", tmp_path / "mine")
    (tmp_path / "mine" / "ontologies").mkdir()
    (tmp_path / "mine" / "ontologies" / "general.yaml").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "mine")
    [found] = try_known(opened, ["en"])
    assert all(relation != "owns" for answer in found.answers for _, relation, _ in answer.facts)


def test_it_is_told_beside_other_models(opened: OpenPool) -> None:
    console = Console(record=True, width=400)
    messages.known(console, try_known(opened, LANGS))
    lines = console.export_text().splitlines()
    assert [line[:9].strip() for line in lines] == ["Known:", "", ""]
    for line, lang in zip(lines, sorted(LANGS), strict=True):
        assert f"the facts of 10 known texts found ({lang})" in line
        assert all(name in line for name in known_models())
    assert all(figures[lang] > [0, 0] for figures in known_models().values() for lang in LANGS)

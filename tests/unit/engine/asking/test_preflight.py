"""What a server must be able to do before it gets work, and what is told where it cannot."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from fake.faults import rule
from fake.pool import FakePool

from triplelake.config import load_settings
from triplelake.engine.asking import preflight as module
from triplelake.engine.asking.open_pool import OpenPool, open_pool, read_prompt_files
from triplelake.engine.asking.preflight import ask_patiently, known, preflight
from triplelake.errors import PoolError
from triplelake.pool.client import LlamaServer
from triplelake.pool.protocol import Watch
from triplelake.triples.parse import parse_answer
from triplelake.triples.repeats import Repeats
from triplelake.types import LANGS, Request

OWN = """\
relations:
  - {id: owns, name_zh: 拥有, name_en: owns}
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[FakePool]:
    with FakePool(servers=2) as pool:
        yield pool


@pytest.fixture
def pool(servers: FakePool) -> FakePool:
    servers.script()
    servers.forget()
    return servers


@pytest.fixture
def opened(pool: FakePool) -> Iterator[OpenPool]:
    yield from _opened(pool)


def _opened(pool: FakePool, **more: Any) -> Iterator[OpenPool]:
    settings = load_settings(None, {"pool": pool.setting, "profile": "base", "asking.timeout_s": 5.0, **more}, {})
    with open_pool(settings, read_prompt_files(settings)) as found:
        yield found


def test_a_try_again_has_a_watch_of_its_own(opened: OpenPool, pool: FakePool) -> None:
    watches = []

    def new_watch() -> Watch:
        watches.append(Repeats())
        return watches[-1]

    same = {name: getattr(opened.method, name) for name in ("renderer", "grammar", "answer")}
    method: Any = SimpleNamespace(**same, new_watch=new_watch)  # a Method has no other watch than its own
    pool.script(rule("drop", requests=(1,)), server=0)
    request, _ = known(opened, "zh-Hans")
    with closing(LlamaServer(opened.survey.endpoints[0], 5)) as server:
        answer = ask_patiently(method, server, request)
    assert parse_answer(answer.text, truncated=False).complete
    assert len(watches) == 2


def test_every_server_answers_in_every_language(pool: FakePool, opened: OpenPool) -> None:
    preflight(opened, LANGS)
    texts = {opened.prompt_files.prompts[lang].examples[0].text for lang in LANGS}
    for server in range(2):
        assert set(pool.counts(server).answered) == texts


@pytest.mark.parametrize(
    ("fault", "reason", "remedy"),
    [
        ("unconstrained", r"does not keep to the grammar \(\w+\): it answers “.+” with: ", "answer.grammar"),
        ("ungrounded", r"does not keep to the grammar \(ungrounded\)", "restart the server"),
        ("truncated", "does not come to an end: it answers “", "--profile"),
        ("bad_request", r"does not answer a known sentence \(bad_request: ", "/health"),
    ],
)
def test_the_server_that_cannot_is_named(
    pool: FakePool, opened: OpenPool, fault: Any, reason: str, remedy: str
) -> None:
    pool.script(rule(fault), server=1)
    with pytest.raises(PoolError, match=reason) as caught:
        preflight(opened, ["zh-Hans"])
    assert caught.value.subject == pool.urls[1]
    assert remedy in caught.value.remedy


def test_a_server_that_is_down_by_then_leaves_the_work_to_the_others(
    pool: FakePool, opened: OpenPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.01)
    pool.script(rule("refuse", name="down"), server=1)
    [away] = preflight(opened, LANGS)
    assert away.endpoint.url == pool.urls[1] and "connection: " in away.error.reason
    pool.script(rule("refuse"))
    with pytest.raises(PoolError, match="does not answer a known sentence") as caught:
        preflight(opened, LANGS)
    assert caught.value.subject == pool.urls[0]
    pool.release()
    pool.wait("state", equals="up")


def test_a_server_in_use_says_no_now_and_then(
    pool: FakePool, opened: OpenPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.01)
    pool.script(rule("unavailable", requests=(1,)), rule("too_many", requests=(2,)))
    preflight(opened, ["en"])
    assert pool.counts().outcomes == {"503": 2, "429": 2, "200": 2}


def test_nothing_found_where_the_prompt_shows_it(
    pool: FakePool, opened: OpenPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Request("", "。", "", "", "zh-Hans")
    monkeypatch.setattr(module, "known", lambda *_: (question, False))
    preflight(opened, ["zh-Hans"])
    monkeypatch.setattr(module, "known", lambda *_: (question, True))
    with pytest.raises(PoolError, match=r"finds nothing where its prompt shows what there is: .+ with: \[\]"):
        preflight(opened, ["zh-Hans"])


def test_an_answer_must_be_found_only_where_the_prompt_shows_it(pool: FakePool, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(OWN, "utf-8")
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    shipped = Path(module.__file__).parents[4] / "conf" / "prompts" / "en.yaml"
    (prompts / "en.yaml").write_text(shipped.read_text("utf-8").partition("examples:")[0], "utf-8")
    for more, must in (
        ({}, True),
        ({"ontology": "none"}, True),
        ({"ontology": str(own)}, False),
        ({"prompt.shots": 0}, False),
        ({"prompt.dir": str(prompts)}, False),
    ):
        for opened in _opened(pool, **more):
            assert known(opened, "en")[1] is must, more
            preflight(opened, LANGS)

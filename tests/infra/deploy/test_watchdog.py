"""The watchdog: what it takes for a wedge, what it does not, and that it waits for the work before it starts again."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.faults import Kind, rule
from fake.pool import FakePool

from triplelake.pool.client import LlamaServer

LLAMA = Path(__file__).resolve().parents[3] / "infra" / "llama"

UP, SILENT, AWAY = "up", "silent", "away"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Script:
    """A server that shows one sample after the other, and the last one for ever."""

    def __init__(self, samples: Sequence[Any], answers: bool = True) -> None:
        self.samples = list(samples)
        self.looks = 0
        self.canaries = 0
        self._answers = answers

    def look(self) -> Any:
        self.looks += 1
        return self.samples.pop(0) if len(self.samples) > 1 else self.samples[0]

    def answers(self) -> bool:
        self.canaries += 1
        return self._answers


@pytest.fixture
def watchdog(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("watchdog", LLAMA / "watchdog.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "watchdog", module)  # dataclasses look for their module there
    spec.loader.exec_module(module)
    yield module


def options(watchdog: ModuleType, *words: str, **environment: str) -> argparse.Namespace:
    parsed: argparse.Namespace = watchdog.parse([*words, "--", "restart"], environment)
    return parsed


@pytest.fixture
def outcome(watchdog: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Watches a script for an hour of its own time; what was said and when the server was started again."""

    def run(samples: Sequence[tuple[str, int, int]], **script: Any) -> tuple[list[str], list[float], Script]:
        clock = Clock()
        monkeypatch.setattr(watchdog, "time", clock)
        said: list[str] = []
        monkeypatch.setattr(watchdog, "say", said.append)
        restarts: list[float] = []
        server = Script([watchdog.Sample(*each) for each in samples], **script)

        class Over(Exception):
            pass

        def sleep(seconds: float) -> None:
            clock.now += seconds
            if clock.now > 1000 + 3600 or restarts:
                raise Over

        monkeypatch.setattr(clock, "sleep", sleep)
        dog = watchdog.Watchdog(server, options(watchdog), lambda: restarts.append(clock.now - 1000))
        with pytest.raises(Over):
            dog.watch()
        return said, restarts, server

    return run


def test_work_without_a_decode_is_a_wedge(outcome: Any) -> None:
    said, restarts, _ = outcome([(UP, 3, 70), (UP, 3, 71), (UP, 3, 71)])
    # Seen to stand still from 10 s on, for 120 s; then 60 s to drain.
    assert restarts == [190]
    assert said[0] == "wedged: 3 requests in hand, and nothing decoded for 120 s"
    assert "not drained within 60 s" in said[1]


def test_a_metrics_page_that_does_not_answer_is_a_wedge(outcome: Any) -> None:
    said, restarts, _ = outcome([(UP, 3, 70), (SILENT, 0, 0)])
    assert restarts == [190]
    assert "/metrics has not answered for 120 s" in said[0]


def test_a_busy_server_that_decodes_is_left_alone_and_never_asked(outcome: Any) -> None:
    _, restarts, server = outcome([(UP, 64, n) for n in range(1000)])
    assert not restarts
    assert server.canaries == 0


def test_one_long_step_is_no_wedge(outcome: Any) -> None:
    long_step = [(UP, 1, 7), *[(SILENT, 0, 0)] * 11, (UP, 1, 8)]
    _, restarts, _ = outcome([*long_step, *long_step, (UP, 0, 8)])
    assert not restarts


def test_a_server_that_is_down_or_loads_is_left_to_its_supervisor(outcome: Any) -> None:
    _, restarts, server = outcome([(UP, 1, 5), (AWAY, 0, 0)])
    assert not restarts
    assert server.canaries == 0


def test_an_idle_server_is_asked_now_and_then(outcome: Any) -> None:
    _, restarts, server = outcome([(UP, 0, 5)])
    assert not restarts
    assert server.canaries == 3600 // 300


def test_an_idle_server_that_does_not_answer_is_started_again_at_once(outcome: Any) -> None:
    said, restarts, _ = outcome([(UP, 0, 5)], answers=False)
    assert restarts == [300]
    assert "idle, and one token not decoded" in said[0]


def test_a_question_that_met_new_work_says_nothing(outcome: Any) -> None:
    idle = [(UP, 0, 5)] * 31
    _, restarts, server = outcome([*idle, *[(UP, 40, n) for n in range(6, 400)]], answers=False)
    assert server.canaries == 1
    assert not restarts


def test_a_server_that_comes_back_while_it_drains_is_left_alone(outcome: Any) -> None:
    stuck = [(UP, 3, 71)] * 14
    said, restarts, _ = outcome([*stuck, *[(UP, 3, n) for n in range(72, 600)]])
    assert not restarts
    assert said[1] == "it decodes again: left alone"


def test_work_that_leaves_while_it_drains_ends_the_wait(outcome: Any) -> None:
    stuck = [(UP, 3, 71)] * 14
    _, restarts, _ = outcome([*stuck, (UP, 0, 71)])
    assert restarts == [130]


def test_the_settings_of_the_server_are_the_defaults(watchdog: ModuleType) -> None:
    found = options(watchdog, SERVE_HOST="fd00::1", SERVE_PORT="8443", SERVE_TLS_CERT="", SERVE_API_KEY_FILE="/k")
    assert (found.url, found.key_file, found.ca_file) == ("http://[fd00::1]:8443", "/k", "")


def test_it_never_looks_more_often_than_the_server_bears(
    watchdog: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        options(watchdog, "--every", "4")
    assert end.value.code == 2
    assert "every 5 s" in capsys.readouterr().err


def test_looks_at_a_server(watchdog: ModuleType, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# the job's\nsecret\n")
    with FakePool(slots=1, latency_s=0.01, api_key="secret") as pool:
        where = options(watchdog, "--url", pool.urls[0], "--key-file", str(keys), "--timeout", "0.5")
        server = watchdog.Server(where)
        idle = server.look()
        assert (idle.state, idle.work) == (UP, 0)
        assert server.answers()
        LlamaServer(pool.endpoints[0], 10).complete("x", grammar=None, max_tokens=3)
        assert server.look().decoded > idle.decoded
        states: dict[Kind, str] = {"hang": SILENT, "loading": AWAY, "refuse": AWAY}
        for fault, state in states.items():
            pool.script(rule(fault, fault))
            pool.wait("state", equals=fault)
            assert server.look().state == state
            pool.release(fault)
            pool.wait("state", equals="up")


def test_a_key_that_the_server_refuses_ends_it(watchdog: ModuleType) -> None:
    with FakePool(api_key="secret") as pool, pytest.raises(SystemExit, match="answers 401"):
        watchdog.Server(options(watchdog, "--url", pool.urls[0])).look()

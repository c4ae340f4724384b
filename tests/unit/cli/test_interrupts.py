"""A signal ends a command with its exit code and one line, whatever it breaks on its way."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator

import pytest

from triplelake.cli.guard import guarded
from triplelake.errors import Interrupted, SetupError
from triplelake.interrupts import held


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def tell(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_fails_after_a_signal_is_its_doing(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    def command(console: object) -> None:
        try:
            tell(number)
        except KeyboardInterrupt:
            raise SetupError("Spark", "does not start: the JVM is gone") from None

    assert guarded(command) == Interrupted.exit_code
    assert capsys.readouterr().err == "error: run: stopped by a signal\nThe same command goes on.\n"


def test_a_start_is_not_left_half_done_and_then_ends(capsys: pytest.CaptureFixture[str]) -> None:
    done = []

    def command(console: object) -> None:
        with held():
            tell()
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as PySpark takes it for itself
            done.append("started")
        done.append("went on")

    assert guarded(command) == Interrupted.exit_code
    assert done == ["started"]
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    assert "Traceback" not in capsys.readouterr().err


def test_a_second_signal_does_not_wait(capsys: pytest.CaptureFixture[str]) -> None:
    done = []

    def command(console: object) -> None:
        with held():
            tell()
            tell()
            done.append("started")

    assert guarded(command) == Interrupted.exit_code
    assert not done


def test_the_gateway_to_java_logs_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])

    def command(console: object) -> None:
        try:
            tell()
        except KeyboardInterrupt:
            logging.getLogger("py4j.java_gateway").exception("KeyboardInterrupt while sending command.")
            raise

    guarded(command)
    assert "Traceback" not in capsys.readouterr().err

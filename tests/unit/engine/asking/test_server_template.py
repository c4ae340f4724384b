"""What a run finds out of a server's chat template: refusals, and trouble that passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from triplelake.codes import Code
from triplelake.engine.asking.open_pool import server_template
from triplelake.errors import PoolError
from triplelake.pool.client import LlamaServer
from triplelake.pool.failures import ServerFailure
from triplelake.prompt.profile import ModelProfile

CHAT = ModelProfile("chat", "server", examples="turns")
Messages = Sequence[Mapping[str, str]]


class Templated:
    """A server whose template is a function; `asked` counts."""

    def __init__(self, template: Callable[[Messages], str]) -> None:
        self._template = template
        self.asked = 0

    def apply_template(self, messages: Messages, _: Mapping[str, object]) -> str:
        self.asked += 1
        return self._template(messages)


def read(template: Callable[[Messages], str], profile: ModelProfile = CHAT) -> Any:
    return server_template(cast(LlamaServer, Templated(template)), profile)


def chatml(messages: Messages) -> str:
    return "".join(f"<{m['role']}>{m['content']}</>" for m in messages) + "<assistant>"


def refuses_system(code: Code, message: str) -> Callable[[Messages], str]:
    def template(messages: Messages) -> str:
        if messages[0]["role"] == "system":
            raise ServerFailure(code, message, endpoint="http://a")
        return chatml(messages)

    return template


def test_instructions_are_the_system_message() -> None:
    found = read(chatml)
    assert found.turns.prefix("I", [("q", "a")]) == "<system>I</><user>q</><assistant>a</><user>"
    assert (found.before, found.after, found.turns.asked) == ("<user>", "</><assistant>", "</><assistant>")
    assert read(chatml, ModelProfile("chat", "server")).turns is None


@pytest.mark.parametrize(
    ("code", "message"), [(Code.BAD_REQUEST, "HTTP 400: no system"), (Code.HTTP_500, "HTTP 500: no system")]
)
def test_without_a_system_message_they_begin_the_first_question(code: Code, message: str) -> None:
    found = read(refuses_system(code, message))
    assert found.turns.prefix("I", [("q", "a")]) == "<user>I\n\nq</><assistant>a</><user>"


def test_trouble_that_passes_is_no_refusal() -> None:
    failed: list[Messages] = []

    def template(messages: Messages) -> str:
        if messages[0]["role"] == "system" and len(failed) < 2:
            failed.append(messages)
            raise ServerFailure(Code.HTTP_500, "/apply-template: HTTP 500: out of memory", endpoint="http://a")
        return chatml(messages)

    assert read(template).turns == read(chatml).turns


@pytest.mark.parametrize("message", ["/apply-template: HTTP 502: Bad Gateway", "/apply-template: HTTP 504: late"])
def test_what_a_gateway_says_is_no_refusal(message: str) -> None:
    with pytest.raises(ServerFailure):
        read(refuses_system(Code.HTTP_500, message))


def test_a_template_that_knows_single_messages_only() -> None:
    def template(messages: Messages) -> str:
        if len(messages) > 1:
            raise ServerFailure(Code.BAD_REQUEST, "HTTP 400: one message", endpoint="http://a")
        return chatml(messages)

    found = read(template)
    assert (found.before, found.turns) == ("<user>", None)


def test_thoughts_that_only_a_system_message_opens() -> None:
    def template(messages: Messages) -> str:
        return chatml(messages) + ("<think>" if messages[0]["role"] == "system" else "")

    with pytest.raises(PoolError, match="thoughts"):
        read(template)

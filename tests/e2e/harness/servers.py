"""A llama-server for the job to ask: the real one behind a counter, or a scripted one that answers at once."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import regex
import requests

from harness.deadline import DEADLINE_S
from triplelake.pool.endpoints import Endpoint
from triplelake.prompt.ontology import Ontology
from triplelake.prompt.ontology_file import load_ontology
from triplelake.prompt.profile import ModelProfile
from triplelake.prompt.prompts import Labels, load_prompts
from triplelake.prompt.render import Renderer
from triplelake.types import LANGS, Lang, Request

API_KEY = "a key of the tests"
_PAIR = regex.compile(r"\p{Han}{2}|[\p{Lu}][\p{L}]+")


class Backend(Protocol):
    """What stands behind the counter."""

    def reply(self, method: str, path: str, body: bytes, key: str) -> tuple[int, bytes]:
        """Status and body."""


class Counted:
    """A server on a free port of 127.0.0.1 that knows what it was asked and can hold its answers back.

    Attributes:
        asked: the questions that came to `/completion`, in order: each is a prompt without the fixed prefix.
            Probes of a grammar are not among them.
        answered: those that have their answer, whether or not anybody still waited for it.
        waiting: how many are asked and not answered.
        peak: the most that it was at a time.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._changed = threading.Condition()
        self._held: Callable[[str], bool] = lambda _: False
        self._lines: set[socket.socket] = set()
        self.asked: list[str] = []
        self.answered: list[str] = []
        self.waiting = 0
        self.peak = 0
        self._http = self._listen(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def hold(self, held: Callable[[str], bool] = lambda _: True) -> None:
        """From now on answer no question of which `held` is true, until it is not or `release` is called."""
        with self._changed:
            self._held = held
            self._changed.notify_all()

    def release(self) -> None:
        """Answer everything."""
        self.hold(lambda _: False)

    def forget(self) -> None:
        """Count from zero."""
        with self._changed:
            self.asked.clear()
            self.answered.clear()
            self.peak = self.waiting

    def wait_until(self, seen: Callable[[], bool], what: str) -> None:
        """Wait until the server has seen something."""
        with self._changed:
            assert self._changed.wait_for(seen, DEADLINE_S), f"waited {DEADLINE_S:g} s for {what}"

    def die(self) -> None:
        """Stop as a server does that is killed: the port is closed, and every connection is cut."""
        self._http.shutdown()
        self._http.server_close()
        with self._changed:
            for line in self._lines:
                line.shutdown(socket.SHUT_RDWR)

    def revive(self) -> None:
        """Listen again, on the same port."""
        self._http = self._listen(self._port)

    def _listen(self, port: int) -> ThreadingHTTPServer:
        server = _Http(("127.0.0.1", port), partial(_Handler, self))
        self._port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def serve(self, handler: _Handler, body: bytes) -> tuple[int, bytes] | None:
        """The answer to a request; None if the client went away while it was held back."""
        key = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        text = own_text(json.loads(body)["prompt"]) if handler.path == "/completion" else None
        if text is None:
            return self._backend.reply(handler.command, handler.path, body, key)
        with self._in_hand(text):
            if not self._pass(text, handler.connection):
                return None
            reply = self._backend.reply(handler.command, handler.path, body, key)
            self.answered.append(text)
            return reply

    @contextmanager
    def _in_hand(self, text: str) -> Iterator[None]:
        with self._changed:
            self.asked.append(text)
            self.waiting += 1
            self.peak = max(self.peak, self.waiting)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.waiting -= 1
                self._changed.notify_all()

    def _pass(self, text: str, line: socket.socket) -> bool:
        with self._changed:
            while self._held(text):
                # Woken early by `hold`; else it looks whether anybody still wants the answer.
                self._changed.wait(0.05)
                if _is_cut(line):
                    return False
        return True

    @contextmanager
    def connected(self, line: socket.socket) -> Iterator[None]:
        """Keep a connection in mind as long as it is served."""
        with self._changed:
            self._lines.add(line)
        try:
            yield
        finally:
            with self._changed:
                self._lines.discard(line)


class Forwarded:
    """Every request goes on to a real llama-server."""

    def __init__(self, upstream: Endpoint) -> None:
        self._upstream = upstream

    def reply(self, method: str, path: str, body: bytes, key: str) -> tuple[int, bytes]:
        response = requests.request(
            method,
            self._upstream.url + path,
            data=body or None,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=DEADLINE_S,
        )
        return response.status_code, response.content


class Scripted:
    """Answers as a llama-server with llguidance would, at once and always the same.

    An answer relates the first pair of Chinese characters, or word with a capital, of the question's text to the next
    two; a text with fewer than two gives `[]`. With `around` the first such word of the title and the last one of the
    context are related to the first one of the text, too, where they do not stand in it.

    Args:
        slots: that it declares.
        refused: questions that get HTTP 400, so that they fail.
        logprob: of a character of an answer; each is a token of its own.
        look: of the “yes” to a prompt that asks about one triple.
        around: whether title and context are read.

    Attributes:
        key: the one that it takes.
    """

    def __init__(
        self,
        *,
        slots: int = 2,
        refused: Callable[[str], bool] = lambda _: False,
        logprob: Callable[[str], float] = lambda _: -0.1,
        look: Callable[[str], float] = lambda _: -0.1,
        around: bool = False,
    ) -> None:
        self._slots = slots
        self.refused = refused
        self.logprob = logprob
        self.look = look
        self.around = around
        self.key = API_KEY

    def reply(self, method: str, path: str, body: bytes, key: str) -> tuple[int, bytes]:
        if path == "/health":
            return _json({"status": "ok"})
        if key != self.key:
            return _json({"error": {"message": "Invalid API Key", "type": "authentication_error"}}, 401)
        match path:
            case "/props":
                settings = {"n_ctx": 8192}
                return _json(
                    {"total_slots": self._slots, "default_generation_settings": settings, "model_alias": _ALIAS}
                )
            case "/v1/models":
                meta = {"ftype": "Q8_0", "n_params": 1000, "n_vocab": 500, "n_ctx_train": 8192, "size": 1}
                return _json({"data": [{"id": _ALIAS, "meta": meta}]})
            case "/tokenize":
                return _json({"tokens": list(range(len(json.loads(body)["content"]) // 2))})
            case "/completion":
                return self._complete(json.loads(body))
        return _json({"error": {"message": f"no {method} {path}"}}, 404)

    def _complete(self, body: Mapping[str, Any]) -> tuple[int, bytes]:
        question = own_text(body["prompt"])
        only = _ONE_TEXT.fullmatch(body.get("grammar", ""))
        if only:
            content = only.group(1)  # of a probe, or of a look
        else:
            assert question is not None, "a prompt without the fixed prefix is a probe, and a probe has one answer"
            if self.refused(question):
                return _json({"error": {"message": "refused by the test", "type": "invalid_request_error"}}, 400)
            content = scripted_answer(question, around=self.around)
        logprobs = [*map(self.logprob, content)]
        if only and question is not None:
            logprobs[0] = self.look(body["prompt"])
        entries = [
            {"logprob": each, "bytes": list(char.encode())} for each, char in zip(logprobs, content, strict=True)
        ]
        return _json(
            {
                **({"completion_probabilities": entries} if body.get("n_probs") else {}),
                "content": content,
                "model": _ALIAS,
                "truncated": False,
                "stop_type": "eos",
                "tokens_evaluated": 10,
                "tokens_predicted": 5,
                "timings/cache_n": 8,
            }
        )


_ONE_TEXT = regex.compile(r'(?:%llguidance \{\}\s*start:|root ::=) "([^"]*)"\s*')
"""A grammar that admits one text."""
_ALIAS = "gemma-3-270m-scripted"
_BASE = ModelProfile("base", "plain")


def own_text(prompt: object) -> str | None:
    """A prompt without the fixed prefix; None for a prompt that has none: a probe."""
    if not isinstance(prompt, str):
        raise AssertionError(f"a prompt with token ids: no text of the tests asks for it: {prompt!r}")
    _, gap, own = prompt.rpartition("\n\n")
    return own if gap else None


def question(request: Request) -> str:
    """The question that a request is asked with, as `Counted` notes it."""
    renderer = _renderer()
    return renderer.render(request).text.removeprefix(renderer.prefix(request.lang))


def scripted_answer(question: str, *, around: bool = False) -> str:
    """What `Scripted` answers."""
    # Labels differ between languages in the answer's; the text's is the same in both scripts of Chinese.
    lang, labels = next((lang, labels) for lang, labels in _labels().items() if question.endswith(labels.answer))
    text = question[question.index(labels.text) + len(labels.text) : -len(labels.answer)]
    subject, *objects = [*dict.fromkeys(_PAIR.findall(text))][:3] or [""]
    triples = [[subject, _predicate(lang), object] for object in objects]
    if around:
        triples += [[other, _predicate(lang), subject] for other in _around(question, labels, text) if subject]
    return json.dumps(triples, ensure_ascii=False, separators=(",", ":"))


def _around(question: str, labels: Labels, text: str) -> list[str]:
    """The first name of the title and the last one of the context, those that the text does not hold."""
    before = question[: question.index(labels.text)]
    title, _, context = before.partition(labels.context)
    names = [*_PAIR.findall(title.removeprefix(labels.title))][:1] + [*_PAIR.findall(context)][-1:]
    return [name for name in dict.fromkeys(names) if name not in text]


@cache
def general_ontology() -> Ontology:
    """The ontology that the job takes by default."""
    ontology = load_ontology("ontologies/general.yaml")
    assert ontology is not None
    return ontology


@cache
def _renderer() -> Renderer:
    return Renderer(load_prompts(Path("prompts")), general_ontology(), _BASE)


@cache
def _labels() -> Mapping[Lang, Labels]:
    prompts = load_prompts(Path("prompts"))
    return {lang: prompts[lang].labels for lang in LANGS}


@cache
def _predicate(lang: Lang) -> str:
    return next(relation.names[lang] for relation in general_ontology().relations if relation.object_pattern is None)


def _json(body: object, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps(body).encode()


def _is_cut(line: socket.socket) -> bool:
    try:
        readable, _, _ = select.select([line], [], [], 0)
        return bool(readable) and line.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, counted: Counted, *args: Any) -> None:
        self._counted = counted
        super().__init__(*args)

    def handle(self) -> None:
        with self._counted.connected(self.connection):
            super().handle()

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        reply = self._counted.serve(self, body)
        if reply is None:
            self.close_connection = True
            return
        status, content = reply
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The tests look at `Counted`, not at a log."""

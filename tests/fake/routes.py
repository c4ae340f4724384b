"""What a server does with a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from fake import bodies, completion, stream
from fake.answers import Question, question_asked
from fake.bodies import Refusal
from fake.engine import Failed
from fake.faults import SERVER_FAULTS, Fault
from fake.lines import IDLE_S, MAX_REQUESTS, Line
from fake.work import Job

if TYPE_CHECKING:
    from fake.server import FakeServer

_HEADERS = {"Server": "llama.cpp", "Access-Control-Allow-Origin": "", "Content-Type": "application/json; charset=utf-8"}
_STREAMED = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
_KEPT = {"Keep-Alive": f"timeout={IDLE_S:g}, max={MAX_REQUESTS}"}
_OPEN = frozenset({"/health", "/v1/health", "/"})
_AT_ONCE = {
    "loading": bodies.LOADING,
    "unavailable": bodies.NO_SLOT,
    "error": Refusal(500, "Compute error.", "server_error"),
    "bad_request": bodies.bad("refused by the script"),
    "all_slots": bodies.LOST,
}


async def respond(server: FakeServer, request: web.BaseRequest, line: Line) -> web.StreamResponse:
    """The answer, and whether its connection is kept."""
    line.requests += 1
    try:
        raw = await request.content.read()
    except ConnectionResetError:
        # A client that was killed while it sent: nobody reads this.
        return web.Response(status=400)
    try:
        response = await _route(server, request, line, raw)
    except Refusal as refusal:
        response = _json(refusal.body, refusal.status, refusal.headers)
    except Failed:
        response = _json(bodies.LOST.body, 500)
    # Before it is written: a client that has its answer may ask at once, and is not to be counted twice.
    line.end(server.counts, str(response.status))
    if response.prepared:
        return response
    if line.requests >= MAX_REQUESTS or response.status >= 400:
        response.force_close()
    else:
        response.headers.update(_KEPT)
    return response


async def _route(server: FakeServer, request: web.BaseRequest, line: Line, raw: bytes) -> web.StreamResponse:
    if server.state == "loading":
        raise bodies.LOADING
    if request.path not in _OPEN and not _admitted(server.settings.api_key, request.headers):
        raise bodies.UNAUTHORIZED
    if request.method == "GET" and request.path in ("/health", "/v1/health"):
        return _json({"status": "ok"})
    if request.method == "POST" and request.path in ("/completion", "/completions"):
        return await _complete(server, request, line, bodies.read_object(raw))
    await server.runs.wait()
    match request.method, request.path:
        case "POST", "/tokenize":
            return _json(bodies.tokens(bodies.read_object(raw)))
        case "POST", "/apply-template":
            return _json(bodies.template(bodies.read_object(raw)))
        case "POST", "/props":
            raise bodies.NO_PROPS
        case "GET", "/props":
            return _json(bodies.props(server.settings, server.alias))
        case "GET", "/v1/models" | "/models":
            return _json(bodies.models(server.settings, server.alias))
        case "GET", "/slots":
            if request.query.get("fail_on_no_slot") and server.engine.processing == server.settings.slots:
                raise bodies.NO_SLOT
            return _json(bodies.slots(server.settings, server.engine))
        case "GET", "/lora-adapters":
            return _json(bodies.lora_adapters(server.settings))
        case "GET", "/metrics":
            text = bodies.metrics(server.engine)
            return web.Response(body=text.encode(), headers={**_HEADERS, "Content-Type": "text/plain; version=0.0.4"})
    raise bodies.NOT_FOUND


async def _complete(
    server: FakeServer, request: web.BaseRequest, line: Line, body: Mapping[str, Any]
) -> web.StreamResponse:
    if "prompt" not in body:
        raise bodies.bad("[json.exception.out_of_range.403] key 'prompt' not found")
    prompts = completion.read_prompts(body["prompt"])
    question = question_asked(prompts[0].text, server.settings.labels, server.settings.labels_above)
    fault = _receive(server, line, question.text if question else None, sum(prompt.tokens for prompt in prompts))
    await server.runs.wait()
    if fault:
        await _strike(server, fault)
    answers = [_prepare(server, body, prompt, question, fault) for prompt in prompts]
    line.jobs = [job for _, job in answers]
    if body.get("stream") is True and len(answers) == 1:
        response = web.StreamResponse(headers={**_HEADERS, **_STREAMED, **_KEPT})
        if line.requests >= MAX_REQUESTS:
            response.force_close()
        said, job = answers[0]
        drops = fault is not None and fault.kind == "drop"
        return await stream.send(server, request, line, response, body, prompts[0], said, job, drops=drops)
    await asyncio.gather(*(server.engine.run(job) for job in line.jobs))
    step_s = 1 / server.settings.speed.decode_tokens_s
    written = [
        completion.write(body, prompt, said, job, server.alias, step_s=step_s)
        for prompt, (said, job) in zip(prompts, answers, strict=True)
    ]
    response = _json(written[0] if len(written) == 1 else written)
    return await _half(server, request, line, response) if fault and fault.kind == "drop" else response


def _receive(server: FakeServer, line: Line, text: str | None, prompt_tokens: int) -> Fault | None:
    if text is None:
        server.counts.note("probes")
        return None
    line.question = text
    nth_time = server.counts.receive(text, prompt_tokens, line.port)
    fault = server.script.meet(text, nth_time)
    if fault:
        server.counts.faults[fault.kind] += 1
    return fault


async def _strike(server: FakeServer, fault: Fault) -> None:
    """Let a fault come that needs no answer."""
    if fault.kind in SERVER_FAULTS - {"loading"}:
        server.begin(fault)
        await server.runs.wait()
    elif fault.kind == "too_many":
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        raise Refusal(429, "Too many requests", "rate_limit_error", headers=headers)
    elif fault.kind == "overflow":
        raise bodies.overflow(server.settings.n_ctx + 1, server.settings.n_ctx)
    elif fault.kind in _AT_ONCE:
        if fault.kind == "all_slots":
            server.engine.fail_all()
        raise _AT_ONCE[fault.kind]


def _prepare(
    server: FakeServer,
    body: Mapping[str, Any],
    prompt: completion.Prompt,
    question: Question | None,
    fault: Fault | None,
) -> tuple[completion.Said, Job]:
    completion.check(body, prompt, server.settings)
    said = completion.decode(body, prompt, question, server.settings, fault)
    slowness = 1.0
    if fault and fault.kind in ("slow", "stuck"):
        slowness = fault.factor if fault.kind == "slow" else float("inf")
    server.tasks += 1
    job = Job(
        prompt.text,
        prompt.tokens,
        said.predicted,
        n_predict=int(body.get("n_predict", -1)),
        number=server.tasks,
        may_reuse=body.get("cache_prompt", True) is not False,
        slowness=slowness,
        streamed=body.get("stream") is True,
    )
    return said, job


async def _half(server: FakeServer, request: web.BaseRequest, line: Line, whole: web.Response) -> web.StreamResponse:
    """Send a part of an answer and hang up."""
    assert isinstance(whole.body, bytes)
    response = web.StreamResponse(headers={**_HEADERS, "Content-Length": str(len(whole.body))})
    await response.prepare(request)
    await response.write(whole.body[: len(whole.body) // 2])
    line.end(server.counts, "dropped")
    line.hang_up()
    return response


def _admitted(api_key: str | None, headers: Mapping[str, str]) -> bool:
    given = headers.get("Authorization", "").removeprefix("Bearer ") or headers.get("X-Api-Key", "")
    return api_key is None or given == api_key


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=text, status=status, headers={**_HEADERS, **(headers or {})})

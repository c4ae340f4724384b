"""An answer sent token by token, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from fake import bodies
from fake.completion import Prompt, Said, entries, write
from fake.engine import Failed
from fake.lines import Line
from fake.tokens import piece, tokenize
from fake.work import Job

if TYPE_CHECKING:
    from fake.server import FakeServer

_PARTS = 8
"""Times at most that a request is looked at while it is decoded: a timer for each token would be the work itself."""


async def send(
    server: FakeServer,
    request: web.BaseRequest,
    line: Line,
    response: web.StreamResponse,
    body: Mapping[str, Any],
    prompt: Prompt,
    said: Said,
    job: Job,
    *,
    drops: bool,
) -> web.StreamResponse:
    """Decode and send.

    Args:
        drops: hang up in the middle.

    Raises:
        Failed: the server lost the request before it had begun to decode it.
    """
    events = [*_events(body, prompt, said)]
    sent = 0
    running = asyncio.ensure_future(server.engine.run(job))
    speed = server.settings.speed
    part_s = said.predicted / speed.decode_tokens_s / speed.time_scale / _PARTS if speed.latency_s is None else None
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=part_s)
            decoded = 0 if running.done() else min(len(events), server.engine.decoded(job))
            if decoded and not response.prepared:
                await response.prepare(request)
                await response.write(_progress(body, prompt, job))
            if decoded > sent:
                await response.write(b"".join(events[sent:decoded]))
                sent = decoded
        running.result()
    except Failed:
        if job.slot < 0:
            raise
        if not response.prepared:
            await response.prepare(request)
        line.end(server.counts, "500")
        await response.write(_data(bodies.LOST.body))
        await response.write_eof()
        line.hang_up()
        return response
    except ConnectionResetError:
        # The client has what it wants and is gone; `left` tells the engine.
        return response
    finally:
        running.cancel()
    left = events[sent:]
    if not response.prepared:
        await response.prepare(request)
        left.insert(0, _progress(body, prompt, job))
    if drops:
        await response.write(b"".join(left)[: sum(map(len, left)) // 2])
        line.end(server.counts, "dropped")
        line.hang_up()
        return response
    step_s = 1 / speed.decode_tokens_s
    whole = write({**body, "n_probs": 0}, prompt, said, job, server.alias, step_s=step_s)
    # Before it is written: a client that has its answer may ask at once, and is not to be counted twice.
    line.end(server.counts, "200")
    await response.write(b"".join(left) + _data({**whole, "content": ""}))
    await response.write_eof()
    # The connection ends here, though the headers say that it is kept.
    line.hang_up()
    return response


def _events(body: Mapping[str, Any], prompt: Prompt, said: Said) -> Iterator[bytes]:
    pieces = [piece(number) for number in tokenize(said.content, special=False)]
    for number, text in enumerate(pieces, start=1):
        event = {
            "index": 0,
            "content": text,
            "tokens": [1],
            "stop": False,
            "id_slot": -1,
            "tokens_predicted": number,
            "tokens_evaluated": prompt.tokens,
        }
        if body.get("n_probs"):
            event["completion_probabilities"] = entries([text])
        yield _data(event)


def _progress(body: Mapping[str, Any], prompt: Prompt, job: Job) -> bytes:
    if not body.get("return_progress"):
        return b""
    progress = {"total": prompt.tokens, "cache": job.cached, "processed": prompt.tokens, "time_ms": 0}
    event = {"index": 0, "content": "", "tokens": [0], "stop": False, "id_slot": -1, "tokens_predicted": 0}
    return _data({**event, "tokens_evaluated": prompt.tokens, "prompt_progress": progress})


def _data(body: object) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"

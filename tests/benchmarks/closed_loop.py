"""A bare client in a closed loop: so many questions in flight at every server until none is left, and nothing else.

It is what a job can be measured against: the questions are made before the clock starts, and an answer is counted and
thrown away. It is asyncio, so that a thousand questions in flight cost no thread.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import aiohttp

from triplelake.pool.completions import read_completion
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.shares import capacity

Body = Mapping[str, Any]
"""A question, as `/completion` takes it."""


@dataclass(frozen=True, slots=True)
class Loop:
    """What a loop took.

    Args:
        answers: good ones.
        seconds: from the first question to the last answer.
    """

    answers: int
    seconds: float


def ask_all(endpoints: Sequence[Endpoint], bodies: Sequence[Body], *, in_flight: int | None = None) -> Loop:
    """Put all questions; an answer that was cut is asked for again with twice the limit, as a run does once.

    Args:
        in_flight: at most, over all servers; else `capacity` of each, as a run has it.

    Raises:
        aiohttp.ClientError: a server did not answer with 200.
    """
    return asyncio.run(_ask_all(endpoints, bodies, in_flight))


async def _ask_all(endpoints: Sequence[Endpoint], bodies: Sequence[Body], in_flight: int | None) -> Loop:
    if in_flight is None:
        places = [endpoint for endpoint in endpoints for _ in range(capacity(endpoint))]
    else:
        places = list(islice(cycle(endpoints), in_flight))
    left = iter(bodies)
    answers = 0

    async def work(endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
        nonlocal answers
        for body in left:
            first = await _post(session, endpoint, body)
            if read_completion(first, endpoint=endpoint.url, latency_ms=0).truncated:
                await _post(session, endpoint, {**body, "n_predict": 2 * body["n_predict"]})
            answers += 1

    # Shorter than a llama-server keeps a connection that is idle.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=3.0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, raise_for_status=True) as session:
        began = time.monotonic()
        await asyncio.gather(*(work(endpoint, session) for endpoint in places))
    return Loop(answers, time.monotonic() - began)


async def _post(session: aiohttp.ClientSession, endpoint: Endpoint, body: Body) -> bytes:
    headers = {"Authorization": f"Bearer {endpoint.api_key}", "Content-Type": "application/json"}
    async with session.post(f"{endpoint.url}/completion", data=json.dumps(body), headers=headers) as response:
        return await response.read()

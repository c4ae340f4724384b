"""The process of the fake servers: `python -m fake.main CONFIG.json`, started by `pool.FakePool`.

It prints one line of JSON when all of them listen: `urls`, one per server, and `control`. It ends on SIGTERM, and
when its standard input ends, which it does when the parent dies.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import signal
import sys
from pathlib import Path

from aiohttp import web

from fake.control import Control
from fake.counts import Watch
from fake.lines import bound
from fake.server import FakeServer
from fake.settings import ServerSettings


async def serve(config: Path) -> None:
    """Serve until told to end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            ended.set()

    loop.add_reader(sys.stdin.fileno(), read)
    watch = Watch()
    settings = [ServerSettings.from_json(each) for each in json.loads(config.read_text(encoding="utf-8"))]
    servers = [FakeServer(each, watch) for each in settings]
    for server in servers:
        await server.listen()
    orders = web.Server(Control(servers, watch).handle)
    listener = await loop.create_server(orders, sock=bound(0))
    control = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    print(json.dumps({"urls": [server.url for server in servers], "control": control}), flush=True)
    # What is there now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    await ended.wait()


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serve(Path(sys.argv[1])))


if __name__ == "__main__":
    main()

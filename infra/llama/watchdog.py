"""Find a llama-server that hangs, wait for the work it has, and start it again.

    watchdog.py [--url URL] … -- RESTART COMMAND…

The server says by `/health` that it is well even when its main loop hangs, so its counters are watched: it has work,
and for a while nothing is decoded; or `/metrics` itself does not answer. An idle server shows neither, so it is given
a question of one token now and then; a busy one never is, since that would wait in its queue like any other.

A server that is down or loads its model is left to whoever supervises it. Runs on the hosts: Python 3.10, no packages.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

# A busy server can stall when it is asked more often (llama.cpp #29104).
LEAST_EVERY_S = 5.0

State = Literal["up", "silent", "away"]


@dataclass(frozen=True)
class Sample:
    """What a look at the server gave.

    Args:
        state: `silent`: connected and not answered in time; `away`: down, or loading its model.
        work: requests in slots and in the queue.
        decoded: how often it has called the decoder since its start.
    """

    state: State
    work: int = 0
    decoded: int = 0


@dataclass
class Judge:
    """Says of a row of samples whether the server is wedged.

    Args:
        stall_s: how long it may show no progress.
    """

    stall_s: float
    _last: Sample | None = None
    _since: float = 0.0

    def judge(self, sample: Sample, now: float) -> str | None:
        """Take in a sample; why the server is wedged, or None."""
        if self._last is None or self._moved(self._last, sample):
            self._since = now
        self._last = sample
        stuck_s = now - self._since
        if stuck_s < self.stall_s:
            return None
        if sample.state == "silent":
            return f"/metrics has not answered for {stuck_s:.0f} s"
        return f"{sample.work} requests in hand, and nothing decoded for {stuck_s:.0f} s"

    def forget(self) -> None:
        """Begin anew, as with a server that was started again."""
        self._last = None

    @staticmethod
    def _moved(last: Sample, sample: Sample) -> bool:
        if sample.state == "up" and last.state == "up":
            return not sample.work or sample.decoded != last.decoded
        # A server that says nothing may be in one long step; that it said something before does not count for it.
        return sample.state != "silent" or last.state != "silent"


class Server:
    """The server that is watched."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        context = ssl.create_default_context(cafile=options.ca_file or None)
        # It is asked by its address, whatever name stands in its certificate.
        context.check_hostname = False
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def look(self) -> Sample:
        """One look at `/metrics`."""
        try:
            text = self._ask("/metrics", None, self._options.timeout)
        except TimeoutError:
            return Sample("silent")
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.SERVICE_UNAVAILABLE:
                remedy = "Start the server with --metrics, and give the watchdog a key that it knows."
                sys.exit(f"error: {self._options.url}/metrics: answers {error.code} {error.reason}\n  {remedy}")
            return Sample("away")
        except (OSError, http.client.HTTPException):
            return Sample("away")
        values = {name: int(float(value)) for name, value in re.findall(r"^llamacpp:(\w+) (\S+)$", text, re.MULTILINE)}
        work = values["requests_processing"] + values["requests_deferred"]
        return Sample("up", work, values["n_decode_total"])

    def answers(self) -> bool:
        """Whether it decodes one token."""
        body = b'{"prompt": "1", "n_predict": 1, "cache_prompt": false, "response_fields": ["content"]}'
        try:
            self._ask("/completion", body, self._options.canary_timeout)
        except (OSError, http.client.HTTPException):
            return False
        return True

    def _ask(self, path: str, body: bytes | None, timeout_s: float) -> str:
        request = urllib.request.Request(self._options.url + path, body, self._headers())
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                text: str = answer.read().decode("utf-8", "replace")
                return text
        except urllib.error.URLError as error:
            # A time-out while connecting comes wrapped, one while reading does not.
            if isinstance(error.reason, TimeoutError):
                raise error.reason from None
            raise

    def _headers(self) -> dict[str, str]:
        if not self._options.key_file:
            return {}
        with open(self._options.key_file, encoding="utf-8") as file:
            key = next((line.strip() for line in file if line.strip() and not line.startswith("#")), "")
        return {"Authorization": f"Bearer {key}"}


class Watchdog:
    """Watches one server.

    Args:
        restart: starts the server again.
    """

    def __init__(self, server: Server, options: argparse.Namespace, restart: Callable[[], None]) -> None:
        self._server = server
        self._options = options
        self._restart = restart
        self._judge = Judge(options.stall)
        self._canary_at = time.monotonic() + options.canary_every

    def watch(self) -> None:
        """Watch for ever."""
        while True:
            began = time.monotonic()
            if reason := self.round():
                say(f"wedged: {reason}")
                if self.drained():
                    self._restart()
                self._judge.forget()
            time.sleep(max(0.0, began + self._options.every - time.monotonic()))

    def round(self) -> str | None:
        """One look, and a question if it is time and the server idle; why it is wedged, or None."""
        sample = self._server.look()
        if reason := self._judge.judge(sample, time.monotonic()):
            return reason
        if sample.state == "up" and not sample.work and time.monotonic() >= self._canary_at:
            self._canary_at = time.monotonic() + self._options.canary_every
            if not self._server.answers():
                after = self._server.look()
                # Work may have come meanwhile, and the question waits its turn; then the counter moves.
                if after.state == "up" and after.decoded == sample.decoded:
                    return f"idle, and one token not decoded within {self._options.canary_timeout:g} s"
        return None

    def drained(self) -> bool:
        """Wait until no work is in hand, or the limit; False if the server has come back to life meanwhile."""
        first = self._server.look()
        deadline = time.monotonic() + self._options.drain
        sample = first
        while sample.state == "silent" or (sample.state == "up" and sample.work):
            if time.monotonic() >= deadline:
                say(f"not drained within {self._options.drain:g} s: what is in hand is lost")
                return True
            time.sleep(self._options.every)
            sample = self._server.look()
            if sample.state == "up" and first.state == "up" and sample.decoded != first.decoded:
                say("it decodes again: left alone")
                return False
            if sample.state == "up" and first.state == "silent":
                first = sample
        return True


def parse(argv: list[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The command line; what it lacks of the server comes from the settings that the server itself was started with."""
    get = environment.get
    scheme = "https" if get("SERVE_TLS_CERT") else "http"
    host = get("SERVE_HOST", "127.0.0.1")
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{get('SERVE_PORT', '8080')}"
    parser = argparse.ArgumentParser(
        prog="watchdog.py",
        description="Find a llama-server that hangs, wait for the work it has, and start it again.",
        epilog="--url, --key-file and --ca-file default to the server's own settings, the variables SERVE_*.",
    )
    add = parser.add_argument
    add("--url", default=url, help="of the server (%(default)s)")
    add("--key-file", default=get("SERVE_API_KEY_FILE", ""), metavar="FILE", help="file with a key of the server")
    add("--ca-file", default=get("SERVE_TLS_CERT", ""), metavar="FILE", help="certificate to trust")
    add("--every", type=float, default=10.0, metavar="S", help="seconds between two looks, at least 5 (%(default)g)")
    add("--timeout", type=float, default=15.0, metavar="S", help="seconds that /metrics may take (%(default)g)")
    add(
        "--stall",
        type=float,
        default=120.0,
        metavar="S",
        help="seconds without progress that make a wedge (%(default)g)",
    )
    add("--drain", type=float, default=60.0, metavar="S", help="seconds to wait for the work in hand (%(default)g)")
    add(
        "--canary-every",
        type=float,
        default=300.0,
        metavar="S",
        help="between questions to an idle server (%(default)g)",
    )
    add("--canary-timeout", type=float, default=60.0, metavar="S", help="seconds that one may take (%(default)g)")
    add("--dry-run", action="store_true", help="look once, say what was seen, start nothing again")
    add("restart", nargs="+", metavar="COMMAND", help="what starts the server again, after --")
    options = parser.parse_args(argv)
    if options.every < LEAST_EVERY_S:
        parser.error(f"--every {options.every:g}: a busy server can stall when it is asked more often than every 5 s")
    return options


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    options = parse(sys.argv[1:], os.environ)
    server = Server(options)
    if options.dry_run:
        say(f"{options.url}: {server.look()}; would start a wedged server again with: {' '.join(options.restart)}")
        return 0

    def restart() -> None:
        say(f"starting it again: {' '.join(options.restart)}")
        code = subprocess.run(options.restart, check=False).returncode
        say("started again" if code == 0 else f"error: {options.restart[0]}: ended with {code}\n  Look at its log.")

    Watchdog(server, options, restart).watch()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

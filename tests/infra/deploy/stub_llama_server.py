#!/usr/bin/env python3
"""Stands in for llama-server where none was built: answers like it, slowly, and ends on SIGTERM. Standard library only,
because it runs as a service user that sees no environment of ours.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_TOKEN_S = 0.02


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__((options.host, options.port), Handler)
        self.options = options
        self.slots = threading.Semaphore(options.parallel)
        self.lock = threading.Lock()
        names = ("requests_processing", "requests_deferred", "n_decode_total", "tokens_predicted_total")
        self.counts = dict.fromkeys(names, 0)

    def add(self, **changes: int) -> None:
        with self.lock:
            for name, change in changes.items():
                self.counts[name] += change


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        options = self.server.options
        meta = {"ftype": "Q4_K", "n_params": 1, "n_vocab": 2, "n_ctx_train": 3, "size": 4}
        props = {
            "total_slots": options.parallel,
            "default_generation_settings": {"n_ctx": options.ctx_size // options.parallel},
            "model_alias": options.alias,
            "build_info": "stub",
        }
        answers = {
            "/health": {"status": "ok"},
            "/props": props,
            "/v1/models": {"data": [{"id": options.alias, "meta": meta}]},
        }
        if self.path == "/metrics" and self._admitted():
            self._send(200, "".join(f"llamacpp:{name} {value}\n" for name, value in self.server.counts.items()))
        elif self._admitted():
            self._send(200 if self.path in answers else 404, json.dumps(answers.get(self.path)))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._admitted():
            return
        self.server.add(requests_deferred=1)
        with self.server.slots:
            self.server.add(requests_deferred=-1, requests_processing=1)
            for _ in range(body["n_predict"]):
                time.sleep(_TOKEN_S)
                self.server.add(n_decode_total=1, tokens_predicted_total=1)
            self.server.add(requests_processing=-1)
        answer = {"content": "x", "tokens_evaluated": 1, "tokens_predicted": body["n_predict"], "timings/cache_n": 0}
        self._send(200, json.dumps({**answer, "model": self.server.options.alias, "stop_type": "eos"}))

    def _admitted(self) -> bool:
        file = self.server.options.api_key_file
        if not file or self.path == "/health":
            return True
        with open(file, encoding="utf-8") as keys:
            known = {f"Bearer {line.strip()}" for line in keys}
        if self.headers.get("Authorization") not in known:
            self._send(401, '{"error": {"message": "Invalid API Key"}}')
            return False
        return True

    def _send(self, status: int, text: str) -> None:
        raw = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--parallel", type=int)
    parser.add_argument("--ctx-size", type=int)
    parser.add_argument("--alias")
    parser.add_argument("--api-key-file")
    options, _ = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(options).serve_forever()


if __name__ == "__main__":
    main()

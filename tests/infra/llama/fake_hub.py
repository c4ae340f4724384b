"""A model hub on this machine: as much of its interface as huggingface_hub needs to fetch a model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = ".safetensors"


class FakeHub:
    """Serves `files` as the one commit of one repository. What a test sets, it does wrong."""

    def __init__(self, repository: str, files: dict[str, bytes], commit: str) -> None:
        self.repository = repository
        self.commit = commit
        self.files = files
        self.cut_after: int | None = None  # bytes after which the connection breaks, once
        self.damaged: str | None = None  # a file that arrives with other bytes
        self.fetched: list[tuple[str, str]] = []  # (file, its Range header)

    def info(self) -> bytes:
        siblings = []
        for name, content in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            sibling = {"rfilename": name, "size": len(content), "blobId": blob}
            if name.endswith(LARGE):
                sha256 = hashlib.sha256(content).hexdigest()
                sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
            siblings.append(sibling)
        return json.dumps({"id": self.repository, "sha": self.commit, "siblings": siblings}).encode()

    @contextmanager
    def serving(self) -> Iterator[str]:
        with ThreadingHTTPServer(("127.0.0.1", 0), _handler(self)) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).strip("/").split("/")
            match path:
                case ["api", "models", *name, "revision", revision] if "/".join(name) == hub.repository:
                    if revision in ("main", hub.commit):
                        self.reply(200, hub.info())
                    else:
                        self.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
                case [*name, "resolve", revision, file] if "/".join(name) == hub.repository and revision == hub.commit:
                    self.send_file(file)
                case _:
                    self.reply(404, b"", {"X-Error-Code": "RepoNotFound"})

        def send_file(self, name: str) -> None:
            content = hub.files[name]
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": hub.commit}
            if self.command == "HEAD":
                self.reply(200, content, headers)
                return
            wanted = self.headers.get("Range", "")
            hub.fetched.append((name, wanted))
            if name == hub.damaged:
                content = bytes(len(content))
            start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            if hub.cut_after is not None and len(content) > hub.cut_after:
                cut, hub.cut_after = hub.cut_after, None
                self.reply(200, content, headers, sent=cut)
                self.close_connection = True
                return
            self.reply(206 if start else 200, content[start:], headers)

        def reply(
            self, status: int, body: bytes, headers: dict[str, str] | None = None, sent: int | None = None
        ) -> None:
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[:sent])

        def log_message(self, *_: object) -> None:
            pass

    return Handler

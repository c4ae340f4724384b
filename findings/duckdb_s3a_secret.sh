#!/bin/sh
# DuckDB's extension `delta` (PyPI duckdb-extension-delta 1.5.5, the newest there in November 2026) takes a secret for
# s3:// and not for s3a://.
#
# CREATE SECRET (TYPE s3) without a scope is for s3://, s3n:// and s3a://, as duckdb_secrets() says.
# delta_scan uses it for s3:// alone: of s3a:// it looks for keys and an endpoint elsewhere (the environment, then the
# address where Amazon's machines find theirs), as if there were no secret, and the error speaks of that address. So a
# program that writes a script for DuckDB names Hadoop's s3a:// as s3://.
# A server of the script's own on loopback stands for S3; it counts who asks it. Prints:
#     scope: ['s3://', 's3n://', 's3a://']
#     s3:// asked the secret's endpoint: True, s3a://: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.5 duckdb-extensions==1.5.5 \
    duckdb-extension-delta==1.5.5 duckdb-extension-httpfs==1.5.5
# Amazon's own address is then one where nothing listens: the test leaves this machine alone.
export AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x AWS_REGION=us-east-1 AWS_ENDPOINT_URL=http://127.0.0.1:9
export no_proxy=127.0.0.1 http_proxy='' https_proxy=http://127.0.0.1:9
timeout 120 "$folder/env/bin/python" - <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import duckdb
from duckdb_extensions import import_extension

asked = []


class Refuses(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_PUT = do_GET

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Refuses)
threading.Thread(target=server.serve_forever, daemon=True).start()
connection = duckdb.connect()
for extension in ("httpfs", "delta"):
    import_extension(extension)
    connection.execute(f"LOAD {extension}")
connection.execute(
    f"CREATE SECRET (TYPE s3, KEY_ID 'k', SECRET 's', REGION 'us-east-1', URL_STYLE 'path', USE_SSL false, "
    f"ENDPOINT '127.0.0.1:{server.server_address[1]}')"
)
print(f"scope: {connection.execute('SELECT scope FROM duckdb_secrets()').fetchone()[0]}")
seen = {}
for scheme in ("s3", "s3a"):
    asked.clear()
    try:
        connection.execute(f"SELECT * FROM delta_scan('{scheme}://bucket/table')")
    except duckdb.Error:
        pass
    seen[scheme] = bool(asked)
print(f"s3:// asked the secret's endpoint: {seen['s3']}, s3a://: {seen['s3a']}")
assert seen == {"s3": True, "s3a": False}, "DuckDB has changed: its secrets count for s3a:// too"
PYTHON

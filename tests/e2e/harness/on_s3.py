"""What `test_s3.py` does with the job's commands in one session of Spark: `spark-submit on_s3.py BUCKET POOL REPORT`.

A session that reaches S3 has other JARs than that of the tests, so it is a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError

from triplelake.cli.evaluate import evaluate_command
from triplelake.cli.export import export_command
from triplelake.cli.extract import extract_command
from triplelake.cli.maintain import maintain_command
from triplelake.cli.report import report_command
from triplelake.errors import OutputError
from triplelake.spark import open_session
from triplelake.tables.lease import LEASE_S, Lease
from triplelake.tables.process import Process
from triplelake.tables.records import FileRecords, HadoopFiles, Holder, records_of
from triplelake.tables.store import Store

_ELSEWHERE = Process("elsewhere", 1, "another boot", "1")


def main(bucket: str, pool: str, report: str) -> None:
    """Do all of it, and write what came of each step."""
    corpus, output = f"s3a://{bucket}/语料 库", f"s3://{bucket}/知识 图谱.v2"
    again = output.replace("s3://", "s3a://")
    extract = ["--pool", pool, "--id-column", "id", "--output"]
    found: dict[str, Any] = {
        "first": _told(extract_command, [*extract, output, "--input", corpus]),
        "again": _told(extract_command, [*extract, again, "--input", corpus]),
        "no bucket": _told(extract_command, [*extract, f"s3://{bucket}-none/kg", "--input", corpus, "--dry-run"]),
        "export": _told(export_command, ["--output", again, "--to", f"s3a://{bucket}/出 口/facts.jsonl"]),
        "report": _told(report_command, ["--output", output, "--to", f"s3://{bucket}/出 口/报告.html"]),
        "gold": _told(evaluate_command, ["--output", output, "--gold", f"{corpus}/gold.jsonl"]),
        "maintain": _told(maintain_command, ["--output", output]),
        **_of_the_lease(Store(open_session("s3"), again)),
    }
    Path(report).write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


def _told(command: Callable[[Sequence[str]], int], words: Sequence[str]) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = command(words)
    return code, said.getvalue()


def _of_the_lease(store: Store) -> dict[str, Any]:
    records = records_of(store)
    assert isinstance(records, FileRecords) and isinstance(records._files, HadoopFiles)
    files = records._files
    path = files._path("000000001000.json")
    # Both have looked, and found nothing there.
    streams = [files.stream(path), files.stream(path)]
    refused = []
    for number, stream in enumerate(streams):
        stream.write(bytearray(str(number).encode()))
        try:
            stream.close()
        except Py4JJavaError as error:
            refused.append(str(error.java_exception.toString()))
    made = _content(files)
    files.create("000000001000.json", b"2")  # says nothing, and changes nothing
    stayed = _content(files)
    records.create(Holder(2000, "dead", _ELSEWHERE))
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def lease(run_id: str) -> Lease:
        return Lease(store, run_id, lambda holder: None, lambda: now, sleep)

    with lease("next") as following:
        following.take()
        waited = now
        try:
            lease("third").take()
            in_use = ""
        except OutputError as error:
            in_use = str(error)
        following.check()
    left = records.newest()[0]
    return {
        "made once": [made, stayed, refused],
        "waited": waited >= LEASE_S,
        "refused": in_use,
        "left": [left.run_id, left.ended] if left else None,
    }


def _content(files: HadoopFiles) -> str:
    content = files.read("000000001000.json")
    assert content is not None
    return content.decode()


if __name__ == "__main__":
    main(*sys.argv[1:])

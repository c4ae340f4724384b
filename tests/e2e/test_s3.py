"""Input, tables, exports and the lease on a real S3 server: moto, on loopback, and Hadoop's own S3A."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from harness.jobs import ROOT, run_job
from harness.servers import Counted

pytestmark = [pytest.mark.infra, pytest.mark.spark]

_BUCKET = "lake"
_TEXTS = ["林若兰生于临川城，在云梦书院教书。", "陳若蘭生於臨川城。", "Edda Lund was born in Harrow."]
_JARS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triplelake-infra" / "s3-jars"


@pytest.fixture(scope="module")
def jars() -> str:
    """The class path of Hadoop's S3A, fetched once."""
    spec = importlib.util.spec_from_file_location("setup_env", ROOT / "infra" / "setup_env.py")
    assert spec and spec.loader
    setup_env = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup_env)
    _JARS.mkdir(parents=True, exist_ok=True)
    maven = os.environ.get("MAVEN_URL", setup_env.MAVEN_CENTRAL)
    setup_env.fetch_listed(ROOT / "tests" / "e2e" / "harness" / "s3_jars.txt", _JARS, maven)
    return f"{_JARS}/*"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """The server's URL, and a client; Arrow and the job find it by Amazon's own variables."""
    # Here, since every collection of the tests would wait for them.
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
    client.create_bucket(Bucket=_BUCKET)
    yield url, client
    server.stop()


def test_all_of_it_on_s3(s3: tuple[str, Any], jars: str, scripted: Counted, tmp_path: Path) -> None:
    url, client = s3
    lines = [json.dumps({"id": f"文 {n}", "text": text}, ensure_ascii=False) for n, text in enumerate(_TEXTS)]
    client.put_object(Bucket=_BUCKET, Key="语料 库/第 一.jsonl", Body="\n".join(lines).encode())
    properties = {
        "spark.driver.extraClassPath": jars,
        "spark.hadoop.fs.s3a.endpoint": url,
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }
    report = tmp_path / "report.json"
    script = "tests/e2e/harness/on_s3.py"
    ended = run_job(
        [script, _BUCKET, scripted.url, report], tmp_path, spark=[f"{k}={v}" for k, v in properties.items()]
    )
    assert ended.code == 0, ended.text
    found = json.loads(report.read_text(encoding="utf-8"))

    code, said = found["first"]
    assert code == 0 and "3 published" in said, said
    assert len(scripted.asked) == len(_TEXTS)
    code, said = found["again"]
    assert code == 0 and "nothing new" in said, said
    assert found["no bucket"][0] == 6 and "cannot be reached" in found["no bucket"][1]
    assert "bucket does not exist" in found["no bucket"][1] and "\tat " not in found["no bucket"][1]
    assert found["gold"][0] == 2 and "lies in a store" in found["gold"][1]
    for step in ("export", "report", "maintain"):
        assert found[step][0] == 0, found[step][1]
    keys = {each["Key"] for each in client.list_objects_v2(Bucket=_BUCKET)["Contents"]}
    assert {"出 口/facts.jsonl", "出 口/报告.html", "知识 图谱.v2/sql/duckdb.sql"} <= keys
    facts = client.get_object(Bucket=_BUCKET, Key="出 口/facts.jsonl")["Body"].read().decode().splitlines()
    assert {json.loads(fact)["subject"] for fact in facts} == {"林若", "陳若", "Edda"}
    for_duckdb = client.get_object(Bucket=_BUCKET, Key="知识 图谱.v2/sql/duckdb.sql")["Body"].read().decode()
    assert f"delta_scan('s3://{_BUCKET}/知识 图谱.v2/triples')" in for_duckdb
    options = {"AWS_ALLOW_HTTP": "true"}
    table = DeltaTable(f"s3://{_BUCKET}/知识 图谱.v2/triples", storage_options=options).to_pyarrow_table()
    assert set(table["subject"].to_pylist()) == {"林若", "陳若", "Edda"}

    # Of two that have both seen nothing there one makes the object, and nobody overwrites it.
    made, stayed, refused = found["made once"]
    assert made == stayed == "0" and len(refused) == 1 and "412" in refused[0]
    assert found["waited"] is True  # a dead holder of another machine is waited for, and then not any more
    assert "in use by run next" in found["refused"] and "stop it" in found["refused"]
    assert found["left"] == ["next", True]

"""Output to `catalog.schema`: what one session writes another one queries, on an embedded Hive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness.jobs import run_job
from harness.servers import Counted

from triplelake.tables.schemas import TABLES
from triplelake.tables.views import VIEWS

pytestmark = pytest.mark.spark

_OUTPUT = "spark_catalog.kg"
_HIVE = ["spark.sql.catalogImplementation=hive"]
_TEXTS = ["林若兰生于临川城，在云梦书院教书。", "陳若蘭生於臨川城。", "Edda Lund was born in Harrow."]


@pytest.mark.infra  # takes a minute or two
def test_two_sessions_share_a_catalog(scripted: Counted, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in _TEXTS), encoding="utf-8")
    words = ["jobs/extract.py", "--input", file, "--output", _OUTPUT, "--pool", scripted.url]
    ended = run_job(words, tmp_path, spark=_HIVE)
    assert ended.code == 0, ended.text
    assert "Traceback" not in ended.text
    assert len(scripted.asked) == len(_TEXTS)

    # Tables and views stand in the catalog itself, for every other tool: a query that names a missing one fails.
    stored = [*(table.name for table in TABLES), *VIEWS]
    facts = f"SELECT concat_ws('|', subject, predicate, object) FROM {_OUTPUT}.facts"
    each = [f"(SELECT '' FROM {_OUTPUT}.{name} LIMIT 0)" for name in stored]
    ended = run_job(["jobs/sql.py", "--output", _OUTPUT, " UNION ALL ".join([facts, *each])], tmp_path, spark=_HIVE)
    assert ended.code == 0, ended.text
    for fact in ("林若|born_in|兰生", "陳若|born_in|蘭生", "Edda|born_in|Lund"):
        assert fact in ended.stdout

    ended = run_job(["jobs/maintain.py", "--output", _OUTPUT], tmp_path, spark=_HIVE)
    assert ended.code == 0, ended.text
    assert "3 rows of 1 finished plan dropped" in ended.stdout
    assert "Traceback" not in ended.text

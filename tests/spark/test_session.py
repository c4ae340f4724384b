"""What ends Spark's work: all of it that was said to be cancellable, whatever queries ran within it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from triplelake.spark import cancel_all, cancellable

pytestmark = pytest.mark.spark


def test_a_write_that_reads_a_table_is_cancelled(spark: SparkSession, tmp_path: Path) -> None:
    table, begun, go_on = str(tmp_path / "table"), tmp_path / "begun", tmp_path / "go-on"
    spark.range(1).write.format("delta").save(table)

    def wait(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import time

        for batch in batches:
            begun.touch()
            while not go_on.exists():
                time.sleep(0.1)
            yield batch

    raised: list[BaseException] = []

    def append() -> None:
        try:
            with cancellable(spark):
                rows = spark.read.format("delta").load(table).where("id < 9").mapInArrow(wait, "id long")
                rows.write.format("delta").mode("append").save(table)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    while thread.is_alive() and not begun.exists():
        thread.join(0.1)
    cancel_all(spark)
    thread.join(120)
    ended = not thread.is_alive()
    go_on.touch()
    thread.join()
    assert ended
    assert [type(error) for error in raised] and "cancelled" in str(raised[0])
    assert spark.read.format("delta").load(table).count() == 1

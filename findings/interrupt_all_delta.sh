#!/bin/sh
# SparkSession.interruptAll (PySpark 4.1.1, delta-spark 4.4.0) does not end a Delta write that reads a Delta table.
#
# A session's jobs are found by a tag of the session. Delta looks at its log by queries of its own while it plans the
# read; at the end of such a query within a query Spark takes the tag off the thread, so that the job of the write, which
# comes after it, has none. interruptAll returns an empty list, raises nothing, and the write goes on. A plain write
# is ended. SparkContext.addJobTag and cancelJobsWithTag find both. Prints:
#     plain write: interrupted [...], ended
#     write that reads a table: interrupted [], goes on
#     with a tag of its own: ended
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check pyspark==4.1.1 delta-spark==4.4.0 pyarrow==25.0.1 pandas
cd "$folder"
PYSPARK_PYTHON="$folder/env/bin/python" "$folder/env/bin/python" - <<'PYTHON'
import threading
import time
from pathlib import Path

from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession

builder = (
    SparkSession.builder.master("local[2]")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false")
)
spark = configure_spark_with_delta_pip(builder).getOrCreate()
spark.sparkContext.setLogLevel("OFF")
here = Path.cwd()
table = str(here / "table")
spark.range(1).write.format("delta").save(table)


def attempt(name, rows, tag=None):
    begun, go_on = here / f"{name} begun", here / f"{name} go on"

    def wait(batches):
        for batch in batches:
            begun.touch()
            while not go_on.exists():
                time.sleep(0.1)
            yield batch

    def write():
        if tag:
            spark.sparkContext.addJobTag(tag)
        try:
            rows.mapInArrow(wait, "id long").write.format("delta").mode("append").save(table)
        except Exception as error:
            assert "cancelled" in str(error), error

    thread = threading.Thread(target=write)
    thread.start()
    while not begun.exists():
        assert thread.is_alive()
        time.sleep(0.1)
    found = spark.sparkContext.cancelJobsWithTag(tag) if tag else spark.interruptAll()
    thread.join(30)
    ended = not thread.is_alive()
    go_on.touch()
    thread.join()
    return found, ended


read = spark.read.format("delta").load(table).where("id < 9")
found, ended = attempt("plain", spark.range(1))
print(f"plain write: interrupted {found}, {'ended' if ended else 'goes on'}")
assert found and ended
found, ended = attempt("reading", read)
print(f"write that reads a table: interrupted {found}, {'ended' if ended else 'goes on'}")
assert not found and not ended, "Spark has changed: interruptAll ends it"
_, ended = attempt("tagged", read, tag="mine")
print(f"with a tag of its own: {'ended' if ended else 'goes on'}")
assert ended
PYTHON

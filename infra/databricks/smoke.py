# Databricks notebook source
# MAGIC %md
# MAGIC # Can this workspace run triplelake?
# MAGIC
# MAGIC **This notebook was not run where it was written: there was no workspace.**
# MAGIC
# MAGIC It takes ten minutes, most of them for the cluster to start, and asks the servers about six sentences:
# MAGIC `databricks bundle run smoke --target dev`. It writes to a schema of its own, which you may drop afterwards.

# COMMAND ----------

from databricks.sdk.runtime import dbutils, spark

dbutils.widgets.text("output", "")
dbutils.widgets.text("pool", "")
output, pool = dbutils.widgets.get("output"), dbutils.widgets.get("pool")
corpus = f"{output}.smoke_corpus"
assert output.endswith("_smoke"), f"{output}: what this notebook writes to is to be told by its name"

# COMMAND ----------

# MAGIC %md ## 1. The runtime: Spark 4.1, a classic cluster, Python 3.11 or newer

# COMMAND ----------

import sys

assert spark.version.startswith("4.1"), spark.version
assert sys.version_info >= (3, 11), sys.version
assert spark.sparkContext.defaultParallelism >= 1  # serverless and shared compute have no sparkContext

# COMMAND ----------

# MAGIC %md ## 2. The servers, reached from the driver and from every executor

# COMMAND ----------

from collections.abc import Iterator

import pandas as pd

from triplelake.pool.endpoints import load_pool

urls = [endpoint.url for endpoint in load_pool(pool, "")]


def reach(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    import requests

    for batch in batches:
        states = [requests.get(f"{url}/health", timeout=10).status_code for url in batch["url"]]
        yield pd.DataFrame({"url": batch["url"], "status": states})


tasks = 2 * spark.sparkContext.defaultParallelism
asked = spark.createDataFrame([(url,) for url in urls for _ in range(tasks)], "url string").repartition(tasks)
seen = asked.mapInPandas(reach, "url string, status int").distinct().collect()
assert {row["status"] for row in seen} == {200}, seen

# COMMAND ----------

# MAGIC %md ## 3. A run over six sentences, and the same command again, which asks nothing

# COMMAND ----------

spark.sql(f"CREATE SCHEMA IF NOT EXISTS {output}")
sentences = [
    ("zh-1", "鲁迅1881年生于绍兴，著有《呐喊》。"),
    ("zh-2", "屠呦呦毕业于北京医学院，2015年获诺贝尔生理学或医学奖。"),
    ("zh-3", "魯迅原名周樹人，是《吶喊》的作者。"),
    ("zh-4", "云岭科技有限公司的总部设在贵阳。"),
    ("en-1", "Ada Lovelace was born in London in 1815."),
    ("en-2", "Jorge Luis Borges wrote Ficciones and died in Geneva in 1986."),
]
spark.createDataFrame(sentences, "id string, text string").write.mode("overwrite").saveAsTable(corpus)

from triplelake.cli.extract import extract_command

command = ["--input", corpus, "--format", "table", "--id-column", "id", "--output", output, "--pool", pool]
assert extract_command(command) == 0
assert extract_command(command) == 0
runs = spark.table(f"{output}.runs").where("command = 'extract'").orderBy("started_at").collect()
assert runs[-1]["answered"] == 0, "the second run asked again what the first had committed"
spark.table(f"{output}.facts").select("subject", "predicate", "object", "example").display()

# COMMAND ----------

# MAGIC %md ## 4. Maintenance, and what other engines need of the tables

# COMMAND ----------

from triplelake.cli.maintain import maintain_command
from triplelake.tables.schemas import TABLES

assert maintain_command(["--output", output]) == 0
for table in TABLES:
    rows = spark.sql(f"SHOW TBLPROPERTIES {output}.{table.name}").collect()
    properties = {row["key"]: row["value"] for row in rows}
    assert properties["delta.minReaderVersion"] == "1", (table.name, properties)
    assert properties["delta.enableDeletionVectors"] == "false", (table.name, properties)

print(f"All is well. DROP SCHEMA {output} CASCADE removes what this notebook made.")

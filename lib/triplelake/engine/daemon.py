"""The process from which Spark forks its Python workers, with all that a task needs imported once.

`spark.python.daemon.module` in `conf/spark-defaults.conf` names it. Without it each worker imports by itself, and a
wave over a large pool begins with dozens of them.
"""

from __future__ import annotations

import runpy

import triplelake.engine.cutting
import triplelake.engine.source
import triplelake.engine.worker
import triplelake.tables.publish  # noqa: F401

if __name__ == "__main__":
    runpy.run_module("pyspark.daemon", run_name="__main__")

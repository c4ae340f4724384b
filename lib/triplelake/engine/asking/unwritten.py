"""Failed tries that stand in no row, from the tasks of a wave to the driver."""

from __future__ import annotations

from collections import Counter

from pyspark.accumulators import Accumulator, AccumulatorParam
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from triplelake.engine.asking.task import Tries


class _Sum(AccumulatorParam[Tries]):
    def zero(self, value: Tries) -> Tries:
        return Counter()

    def addInPlace(self, value1: Tries, value2: Tries) -> Tries:
        value1.update(value2)
        return value1


def accumulator(spark: SparkSession) -> Accumulator[Tries] | None:
    """What the tasks of a wave add to, be there a desk or not; None over Spark Connect, which has nothing of the kind.

    A task that is lost takes along what it has counted, as it does its rows.
    """
    try:
        context = spark.sparkContext
    except PySparkException:
        return None
    return context.accumulator(Counter(), _Sum())

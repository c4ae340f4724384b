"""The buckets of a plan: runs of requests of one language, the unit that waves are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F

from triplelake.tables.schemas import ATTEMPTS, REQUESTS
from triplelake.tables.store import Store
from triplelake.types import Lang


@dataclass(frozen=True, slots=True)
class Bucket:
    """The open requests of one bucket, all of one language.

    Args:
        open: how many they are.
        partial: others of the bucket are answered.
        cut: still others are open, and a wave leaves them alone.
    """

    bucket: int
    lang: Lang
    open: int
    partial: bool
    cut: bool = False


def new_buckets(store: Store, plan_id: str) -> list[Bucket]:
    """All buckets of a plan of which nothing is answered yet, in order."""
    work = store.read(REQUESTS).where(F.col("plan_id") == plan_id)
    rows = work.groupBy("bucket", "lang").agg(F.count(F.lit(1)).alias("open")).orderBy("bucket").collect()
    return [Bucket(row["bucket"], row["lang"], row["open"], partial=False) for row in rows]


def open_buckets(store: Store, plan_id: str, among: Sequence[Bucket] = ()) -> list[Bucket]:
    """The plan's buckets that still hold unanswered requests, in order: all, or those `among` some."""
    work = store.read(REQUESTS).where(F.col("plan_id") == plan_id)
    if among:
        work = work.where(F.col("bucket").isin([bucket.bucket for bucket in among]))
    done = store.read(ATTEMPTS).where(F.col("plan_id") == plan_id).select("request_id").distinct()
    rows = (
        work.join(done.withColumn("_done", F.lit(1)), "request_id", "left")
        .groupBy("bucket", "lang")
        .agg(F.count(F.when(F.col("_done").isNull(), 1)).alias("open"), F.count("_done").alias("done"))
        .where("open > 0")
        .orderBy("bucket")
        .collect()
    )
    return [Bucket(row["bucket"], row["lang"], row["open"], row["done"] > 0) for row in rows]

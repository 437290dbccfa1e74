"""Train, valid and test, by time or by the hash of a playlist's id.

By time: the rule of `recsys.splits.time.boundaries`, for all data or within each owner's own time. Cuts fall on
midnight UTC. A session that straddles a cut belongs to the later part, so training holds nothing from after it.
"""

from __future__ import annotations

from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from recsys.dataset import Protocol


def split(
    sequences: DataFrame, days: DataFrame, protocol: Protocol, valid_share: float, test_share: float
) -> DataFrame:
    """``sequences`` (columns SEQUENCE of features.jobs.sessions) with `split`. days: owner_id, day, plays."""
    if protocol == "leave_one_out":
        return sequences.withColumn("split", F.lit("train"))
    if protocol == "playlist_hash":
        bucket = F.crc32(F.col("sequence_id").cast("binary")) / 2**32
        return sequences.withColumn("split", _named(bucket < test_share, bucket < test_share + valid_share))
    labels = day_splits(days, "owner" if protocol == "owner_time" else "all", valid_share, test_share)
    keys = ["owner_id", "day"] if protocol == "owner_time" else ["day"]
    return sequences.withColumn("day", F.to_date("end_ts")).join(labels, keys).drop("day")


def day_splits(days: DataFrame, scope: Literal["all", "owner"], valid_share: float, test_share: float) -> DataFrame:
    """The part of each day: day, split, and owner_id where every owner has cuts of its own.

    An owner with plays on fewer than three days is training only.
    """
    key = ["owner_id"] if scope == "owner" else ["scope"]
    days = days.withColumn("scope", F.lit("all")).groupBy(*key, "day").agg(F.sum("plays").alias("plays"))
    all_days = Window.partitionBy(*key)
    later = F.sum("plays").over(all_days.orderBy(F.desc("day")))
    number = F.row_number().over(all_days.orderBy("day")) - 1
    counted = days.select(
        *key, "day", later.alias("later"), number.alias("number"), F.count(F.lit(1)).over(all_days).alias("n"),
        F.sum("plays").over(all_days).alias("total"),
    )  # fmt: skip

    def cut(share: float, low: int, high: Column) -> Column:
        """The number of the latest day from which on there is enough, within low..high."""
        enough = F.col("later") >= share * F.col("total") - 1e-9 * F.col("total")
        return F.least(F.greatest(F.sum(F.when(enough, 1).otherwise(0)).over(all_days) - 1, F.lit(low)), high)

    test = cut(test_share, 2, F.col("n") - 1)
    valid = cut(valid_share + test_share, 1, F.col("test") - 1)
    cuts = counted.withColumn("test", test).withColumn("valid", valid)
    enough_days = F.col("n") >= 3
    named = _named(enough_days & (F.col("number") >= F.col("test")), enough_days & (F.col("number") >= F.col("valid")))
    return cuts.select(*(k for k in key if scope == "owner"), "day", named.alias("split"))


def _named(is_test: Column, is_valid: Column) -> Column:
    return F.when(is_test, "test").when(is_valid, "valid").otherwise("train")

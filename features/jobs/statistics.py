"""What was known of a track or a listener at the start of a day: nothing of that day or later enters.

The tables are change logs: a row for each day on which a figure changes, which is the day after a day with plays, and
the days on which that day leaves the windows of 7 and 28 days. So the newest row at or before a day (an as-of join, as
a feature store makes it) holds the exact plays, windows and distinct counts of that day; to `days_since_last` of the
row the days since the row are added.

Every figure is a running sum of daily differences. Distinct listeners (or tracks) are counted where they occur first,
so nothing is exploded or collected, and windows run over days, not over plays.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from features.jobs.sessions import PLAY
from recsys import schema

WINDOWS = (7, 28)


def track_statistics(plays: DataFrame) -> DataFrame:
    """TRACK_STATISTICS of recsys.schema from the dated plays among ``plays`` (columns PLAY)."""
    changes = _changes(plays, "track_id", "owner_id").withColumnRenamed("distinct", "listeners")
    return changes.select(*schema.TRACK_STATISTICS.names)


def listener_statistics(plays: DataFrame) -> DataFrame:
    """LISTENER_STATISTICS of recsys.schema from the dated plays among ``plays`` (columns PLAY)."""
    changes = _changes(plays, "owner_id", "track_id").withColumnsRenamed({"owner_id": "user_id", "distinct": "tracks"})
    repeat_share = (1 - F.col("tracks") / F.col("plays")).cast("float")
    return changes.withColumn("repeat_share", repeat_share).select(*schema.LISTENER_STATISTICS.names)


def _changes(plays: DataFrame, subject: str, other: str) -> DataFrame:
    """day, ``subject``, plays, plays_7d, plays_28d, distinct (values of ``other``), days_since_last."""
    dated = plays.select(*PLAY).filter((F.col("action") == "play") & F.col("ts").isNotNull())
    dated = dated.select(subject, other, F.to_date("ts").alias("day"))
    daily = dated.groupBy(subject, "day").agg(F.count(F.lit(1)).alias("n"))
    first = dated.groupBy(subject, other).agg(F.min("day").alias("day"))
    newcomers = first.groupBy(subject, "day").agg(F.count(F.lit(1)).alias("newcomers"))
    daily = daily.join(newcomers, [subject, "day"], "left").fillna(0, ["newcomers"])

    enters = F.struct(
        F.date_add("day", 1).alias("day"),
        F.col("n").alias("plays"),
        *(F.col("n").alias(f"plays_{w}d") for w in WINDOWS),
        F.col("newcomers").alias("distinct"),
        F.col("day").alias("last"),
    )
    leaves = [
        F.struct(
            F.date_add("day", window + 1).alias("day"),
            F.lit(0).cast("long").alias("plays"),
            *(F.when(F.lit(w == window), -F.col("n")).otherwise(F.lit(0)).alias(f"plays_{w}d") for w in WINDOWS),
            F.lit(0).cast("long").alias("distinct"),
            F.lit(None).cast("date").alias("last"),
        )
        for window in WINDOWS
    ]
    differences = daily.select(subject, F.inline(F.array(enters, *leaves)))
    figures = ["plays", *(f"plays_{w}d" for w in WINDOWS), "distinct"]
    by_day = differences.groupBy(subject, "day").agg(*(F.sum(f).alias(f) for f in figures), F.max("last").alias("last"))
    so_far = Window.partitionBy(subject).orderBy("day").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return by_day.select(
        "day",
        subject,
        *(F.sum(f).over(so_far).alias(f) for f in figures),
        F.datediff("day", F.max("last").over(so_far)).alias("days_since_last"),
    )

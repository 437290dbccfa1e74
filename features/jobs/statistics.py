"""What was known of a track or a listener at the start of a day: nothing of that day or later enters.

The tables are change logs: a row for each day on which a figure changes, which is the day after a day with plays, and
the days on which that day leaves the windows of 7 and 28 days. So the newest row at or before a day (an as-of join, as
a feature store makes it) holds the exact plays, windows and distinct counts of that day; to `days_since_last` of the
row the days since the row are added.

Every figure is a running sum of daily differences. Distinct listeners (or tracks) are counted where they occur first,
so nothing is exploded or collected, and windows run over days, not over plays.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from recsys import schema

WINDOWS = (7, 28)


def first_plays(plays: DataFrame) -> DataFrame:
    """owner_id, track, day: the first day on which this owner played that track.

    plays: owner_id, track, day, like (see features.jobs.sessions); likes are no plays.
    """
    return _played(plays).groupBy("owner_id", "track").agg(F.min("day").alias("day"))


def track_statistics(plays: DataFrame, first: DataFrame) -> DataFrame:
    """TRACK_STATISTICS of recsys.schema, with `track` (its number), from ``plays`` and their `first_plays`."""
    changes = _changes(plays, first, "track").withColumnRenamed("distinct", "listeners")
    return changes.select("track", *(name for name in schema.TRACK_STATISTICS.names if name != "track_id"))


def listener_statistics(plays: DataFrame, first: DataFrame) -> DataFrame:
    """LISTENER_STATISTICS of recsys.schema from ``plays`` and their `first_plays`."""
    changes = _changes(plays, first, "owner_id").withColumnsRenamed({"owner_id": "user_id", "distinct": "tracks"})
    repeat_share = (1 - F.col("tracks") / F.col("plays")).cast("float")
    return changes.withColumn("repeat_share", repeat_share).select(*schema.LISTENER_STATISTICS.names)


def _played(plays: DataFrame) -> DataFrame:
    return plays.filter(~F.col("like") & F.col("day").isNotNull())


def _changes(plays: DataFrame, first: DataFrame, subject: str) -> DataFrame:
    """day, ``subject``, plays, plays_7d, plays_28d, distinct tracks (owners), days_since_last."""

    def change(after: int, total: Column, in_window: list[Column], distinct: Column, last: Column) -> Column:
        windows = [figure.alias(f"plays_{w}d") for w, figure in zip(WINDOWS, in_window, strict=True)]
        day = F.date_add("day", after).alias("day")
        return F.struct(day, total.alias("plays"), *windows, distinct.alias("distinct"), last.alias("last"))

    n, zero, never = F.col("n"), F.lit(0).cast("long"), F.lit(None).cast("date")
    enters = change(1, n, [n] * len(WINDOWS), zero, F.col("day"))
    leaves = [change(w + 1, zero, [-n if w == v else zero for v in WINDOWS], zero, never) for w in WINDOWS]
    newcomer = change(1, zero, [zero] * len(WINDOWS), n, never)

    def counted(rows: DataFrame, *changes: Column) -> DataFrame:
        daily = rows.groupBy(subject, "day").agg(F.count(F.lit(1)).alias("n"))
        return daily.select(subject, F.inline(F.array(*changes)))

    differences = counted(_played(plays), enters, *leaves).unionByName(counted(first, newcomer))
    figures = ["plays", *(f"plays_{w}d" for w in WINDOWS), "distinct"]
    by_day = differences.groupBy(subject, "day").agg(*(F.sum(f).alias(f) for f in figures), F.max("last").alias("last"))
    so_far = Window.partitionBy(subject).orderBy("day").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return by_day.select(
        "day",
        subject,
        *(F.sum(f).over(so_far).alias(f) for f in figures),
        F.datediff("day", F.max("last").over(so_far)).alias("days_since_last"),
    )


def in_order(statistics: DataFrame, subject: str, days: tuple[date, date], parts: int) -> DataFrame:
    """Sorted by day and ``subject``. days: the first and the last of the plays.

    A stretch of days to a part: Spark's own orderBy would make everything twice, once to find where to cut.
    """
    first, last = days
    span = (last - first).days + max(WINDOWS) + 2
    part = F.floor(F.datediff("day", F.lit(first)) * parts / span).cast("int")
    return statistics.repartitionById(parts, part).sortWithinPartitions("day", subject)

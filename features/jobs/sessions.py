"""Events -> sessions.

A session that the source itself knows (a show, a programme) is kept. Where it knows none, a pause of more than the gap
starts a new one. Without times all events of an owner are one sequence, in the order of their positions.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

PLAY = ("sequence_id", "owner_id", "track_id", "ts", "position", "event_id", "action")


def plays(events: DataFrame, gap_minutes: int) -> DataFrame:
    """Events (`features.jobs.clean.unique_events`) with the session that each belongs to: the columns PLAY."""
    by_gap = F.col("session_id").isNull() & F.col("ts").isNotNull()
    known = events.filter(~by_gap).withColumn("sequence_id", _known_session())
    found = _by_gap(events.filter(by_gap), gap_minutes)
    both = known.unionByName(found, allowMissingColumns=True).withColumnRenamed("user_id", "owner_id")
    return both.select(*PLAY)


def _known_session() -> Column:
    """`<user>/<session>`, or the session alone where it names its user; the user where there is no session."""
    named = F.col("session_id").startswith(F.col("user_id"))
    return F.when(named, F.col("session_id")).otherwise(F.concat_ws("/", "user_id", "session_id"))


def _by_gap(events: DataFrame, gap_minutes: int) -> DataFrame:
    """Sessions `<user>@<start>` by pauses.

    No window runs over a listener's whole history: one runs over each listener's days, which are few, and one over the
    events of a day, so that a listener with half of all events is spread over as many tasks as days.
    """
    events = events.withColumn("day", F.to_date("ts"))
    through_days = Window.partitionBy("user_id").orderBy("day")
    last_before = F.lag("last").over(through_days)
    days = events.groupBy("user_id", "day").agg(F.max("ts").alias("last"))
    days = days.select("user_id", "day", last_before.alias("last_before"))

    through_day = Window.partitionBy("user_id", "day").orderBy("ts", "position", "event_id")
    before = F.coalesce(F.lag("ts").over(through_day), F.col("last_before"))
    pause = F.unix_micros("ts") - F.unix_micros(before)
    starts = F.when(before.isNull() | (pause > gap_minutes * 60_000_000), F.col("ts"))
    marked = events.join(days, ["user_id", "day"]).withColumn("start", starts)

    # The start of a session that began on a day before.
    so_far = through_days.rowsBetween(Window.unboundedPreceding, -1)
    carried = marked.groupBy("user_id", "day").agg(F.max("start").alias("start"))
    carried = carried.select("user_id", "day", F.max("start").over(so_far).alias("carried"))
    today = F.max("start").over(through_day.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    start = F.coalesce(today, F.col("carried"))
    name = F.concat("user_id", F.lit("@"), F.date_format(start, "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"))
    return marked.join(carried, ["user_id", "day"]).withColumn("sequence_id", name).drop("day", "start", "carried")

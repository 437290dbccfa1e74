"""Events -> sequences: one row each, its plays in an array.

A session that the source itself knows (a show, a programme) is kept. Where it knows none, a pause of more than the gap
starts a new one, and one that never pauses is cut every so many minutes after its start. Without times all events of an
owner are one sequence, in the order of their positions.

No window runs over a listener's whole history: a listener with half of all events is spread over as many tasks as days.
So a session comes in `pieces`, one a day, and `joined` puts them together.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from features.jobs.clean import is_skip

PIECE = ("owner_id", "sequence_id", "day")
PLAY = ("nth", "ts", "track", "skip", "like", "context")
"""Fields of a play: `nth` orders the plays of a piece, `context` is the hash of the event's."""
SEQUENCE = ("sequence_id", "owner_id", "start_ts", "end_ts", "plays", "listened")
"""`plays`: how many; `listened`: the array of PLAY in order, skips among them. start_ts, end_ts: of plays."""


def numbered(events: DataFrame, tracks: DataFrame) -> DataFrame:
    """``events`` (`features.jobs.clean.unique_events`) in narrow columns: no shuffle carries more than it needs.

    tracks: track_id, track (its number); a vocabulary fits into one process, so it is sent to each.
    """
    known = F.col("session_id").isNotNull() | F.col("ts").isNull()
    return events.join(F.broadcast(tracks), "track_id").select(
        F.col("user_id").alias("owner_id"),
        F.when(known, _known_session()).alias("sequence_id"),
        "event_id",
        "ts",
        "position",
        "track",
        is_skip().alias("skip"),
        (F.col("action") == "like").alias("like"),
        F.when(F.col("context").isNotNull(), F.xxhash64("context")).alias("context"),
    )


def _known_session() -> Column:
    """`<user>/<session>`, or the session alone where it names its user; the user where there is no session."""
    named = F.col("session_id").startswith(F.col("user_id"))
    return F.when(named, F.col("session_id")).otherwise(F.concat_ws("/", "user_id", "session_id"))


def pieces(events: DataFrame, gap_minutes: int) -> DataFrame:
    """Columns PIECE, start, listened: known sessions whole (no day, no start), others by the day.

    ``events``: see `numbered`. A play that follows itself counts once, at its first place: A A B A -> A B A. An event
    shortly before midnight is also seen, not kept, on the day after: so a day knows whether it goes on with a session
    of the day before, and what was played last. Such a piece has no start yet. A skip belongs to the session of the
    play before it; where that is further back than the gap, to none.
    """
    own_day, last_day = F.to_date("ts"), F.to_date(F.col("ts") + F.expr(f"INTERVAL {gap_minutes} MINUTES"))
    days = F.when(own_day == last_day, F.array(own_day)).otherwise(F.sequence(own_day, last_day))
    by_gap = F.col("sequence_id").isNull()
    seen = events.withColumn("day", F.explode(F.when(by_gap, days).otherwise(F.array(F.lit(None).cast("date")))))

    in_order = Window.partitionBy(*PIECE).orderBy("ts", "position", "event_id")
    before = in_order.rowsBetween(Window.unboundedPreceding, -1)
    played = ~F.col("skip")
    seen = seen.select(
        "*",
        F.row_number().over(in_order).alias("nth"),
        F.last(F.when(played, F.col("ts")), ignorenulls=True).over(before).alias("ts_before"),
        F.last(F.when(played, F.col("track")), ignorenulls=True).over(before).alias("track_before"),
    )
    own = ~by_gap | (own_day == F.col("day"))
    pause = F.unix_micros("ts") - F.unix_micros("ts_before")
    apart = by_gap & (F.col("ts_before").isNull() | (pause > gap_minutes * 60_000_000))
    starts = F.when(own & played & apart, F.col("ts"))
    again = played & ~apart & F.col("track").eqNullSafe(F.col("track_before"))
    so_far = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    kept = seen.withColumn("start", F.max(starts).over(so_far)).filter(own & ~again & (played | ~apart))
    listened = F.sort_array(F.collect_list(F.struct(*PLAY))).alias("listened")
    return kept.groupBy(*PIECE, "start").agg(listened)


def joined(pieces: DataFrame, max_minutes: int) -> DataFrame:
    """The columns SEQUENCE. A session by pauses is named `<owner>@<start>`.

    One that lasts ``max_minutes`` or more is cut each time they have passed since its start: where an event goes
    depends on nothing after it, and no row is longer than that time.
    """
    known = pieces.filter(F.col("sequence_id").isNotNull()).select("sequence_id", "owner_id", "listened")
    found = _continued(pieces.filter(F.col("sequence_id").isNull()))

    def part(ts: Column) -> Column:
        return F.floor((F.unix_micros(ts) - F.unix_micros("start")) / (max_minutes * 60_000_000))

    first, last = part(F.col("listened")[0]["ts"]), part(F.element_at("listened", -1)["ts"])
    cut = found.withColumn("part", F.explode(F.sequence(first, last)))
    of_part = F.filter("listened", lambda play: part(play["ts"]) == F.col("part"))
    cut = cut.withColumn("listened", F.when(first == last, F.col("listened")).otherwise(of_part))
    by_day = F.sort_array(F.collect_list(F.struct("day", "listened")))
    whole = cut.groupBy("owner_id", "start", "part").agg(F.flatten(by_day["listened"]).alias("listened"))
    begin = F.timestamp_micros(F.unix_micros("start") + F.col("part") * max_minutes * 60_000_000)
    name = F.concat("owner_id", F.lit("@"), F.date_format(begin, "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"))
    return measured(known.unionByName(whole.select(name.alias("sequence_id"), "owner_id", "listened")))


def _continued(pieces: DataFrame) -> DataFrame:
    """``pieces`` with the start of a session that began on a day before: the latest start of the days before."""
    days = pieces.groupBy("owner_id", "day").agg(F.max("start").alias("start"))
    before = Window.partitionBy("owner_id").orderBy("day").rowsBetween(Window.unboundedPreceding, -1)
    carried = days.select("owner_id", "day", F.last("start", ignorenulls=True).over(before).alias("carried"))
    start = F.coalesce("start", "carried")
    return pieces.join(carried, ["owner_id", "day"]).withColumn("start", start).drop("carried")


def measured(sequences: DataFrame) -> DataFrame:
    """sequence_id, owner_id, listened -> the columns SEQUENCE; without those of skips alone."""
    plays = F.filter("listened", lambda play: ~play["skip"])
    found = sequences.withColumn("plays", plays).filter(F.size("plays") > 0)
    return found.select(
        "sequence_id",
        "owner_id",
        F.array_min("plays.ts").alias("start_ts"),
        F.array_max("plays.ts").alias("end_ts"),
        F.size("plays").cast("long").alias("plays"),
        "listened",
    )


def timed(sequences: DataFrame) -> DataFrame:
    """``sequences`` without the plays that have no time."""
    dated = F.filter("listened", lambda play: play["ts"].isNotNull())
    return measured(sequences.select("sequence_id", "owner_id", dated.alias("listened")))


def plays(sequences: DataFrame) -> DataFrame:
    """One row a play: owner_id, track, day (null: no time), like."""
    each = sequences.select("owner_id", F.explode("listened").alias("play")).filter(~F.col("play.skip"))
    return each.select("owner_id", "play.track", F.to_date("play.ts").alias("day"), "play.like")

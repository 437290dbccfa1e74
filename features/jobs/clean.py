"""What stands more than once is told once."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

EVENT = ("user_id", "track_id", "ts", "position", "action", "session_id")
"""What an event says. `event_id` names it; how it came to be known (source, request_id, ...) is not needed here."""

PLAYED = ("play", "like")
"""Actions that enter a sequence."""


def unique_events(events: DataFrame) -> DataFrame:
    """One row an event: rows that say the same are one event, and so are rows with one event_id (the earliest counts).

    Returns event_id and the columns EVENT.
    """
    said_once = events.groupBy(*EVENT).agg(F.min("event_id").alias("event_id"))
    first = said_once.groupBy("event_id").agg(F.min(F.struct("ts", *(c for c in EVENT if c != "ts"))).alias("event"))
    return first.select("event_id", *(F.col("event")[c].alias(c) for c in EVENT))


def fold_lists(events: DataFrame) -> DataFrame:
    """A list that a show holds k times over becomes the list once: A B C A B C -> A B C.

    Only what carries one and the same time, or none, counts as a list (a radio log that knows the day alone). With a
    time for each play, a loop is a listener who pressed repeat, and stays. What comes later can so never change what
    was before. Returns the columns of `unique_events`.
    """
    rest = [c for c in events.columns if c not in ("user_id", "session_id", "ts", "position", "event_id")]
    lists = events.groupBy("user_id", "session_id", "ts").agg(
        F.sort_array(F.collect_list(F.struct("position", "event_id", *rest))).alias("plays")
    )
    once = F.slice("plays", F.lit(1), _period(F.col("plays.track_id")))
    return lists.select("user_id", "session_id", "ts", F.inline(once)).select(*events.columns)


def _period(tracks: Column) -> Column:
    """The shortest p that divides the length and after which the list starts again; the length itself if none."""
    n = F.size(tracks)

    def starts_again(p: Column) -> Column:
        return (n % p == 0) & (F.slice(tracks, p + 1, n - p) == F.slice(tracks, F.lit(1), n - p))

    return F.filter(F.sequence(F.lit(1), n), starts_again)[0]


def fold_repeats(plays: DataFrame) -> DataFrame:
    """A track that follows itself within a sequence counts once, at its first place: A A B A -> A B A."""
    in_order = Window.partitionBy("sequence_id", "owner_id").orderBy("ts", "position", "event_id")
    before = F.lag("track_id").over(in_order)
    return plays.withColumn("before", before).filter(~F.col("track_id").eqNullSafe(F.col("before"))).drop("before")


def playlist_plays(playlist_tracks: DataFrame) -> DataFrame:
    """Playlists as sequences: each track once, at its first place.

    The order is by position, where there is none by the day it was added, then by track_id. Returns the columns of
    `features.jobs.sessions.plays`, without times.
    """
    place = F.struct(F.col("position").isNull(), "position", F.col("added_at").isNull(), "added_at")
    once = playlist_tracks.groupBy("playlist_id", "track_id").agg(F.min(place).alias("place"))
    in_order = Window.partitionBy("playlist_id").orderBy("place", "track_id")
    return once.select(
        F.col("playlist_id").alias("sequence_id"),
        F.col("playlist_id").alias("owner_id"),
        "track_id",
        F.lit(None).cast("timestamp").alias("ts"),
        F.row_number().over(in_order).cast("long").alias("position"),
        F.col("track_id").alias("event_id"),
        F.lit("play").alias("action"),
    )

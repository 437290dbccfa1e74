"""What stands more than once is told once.

Hardly any event does, so none is sorted to find those that do: `repeats` counts 64-bit hashes, and only what shares one
(`suspects`) is compared in full by `unique_events` and `fold_lists`. Two different events that share a hash by chance
are compared too, and both stay.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

EVENT = ("user_id", "track_id", "ts", "position", "action", "session_id")
"""What an event says. `event_id` names it; how it came to be known (source, request_id, ...) is not needed here."""

PLAYED = ("play", "like")
"""Actions that enter a sequence."""
SKIPPED = "skip"
"""Never an item of a sequence, but kept beside it; so a skip is compared with skips alone."""

_LIST = ("user_id", "session_id", "ts")


def is_skip() -> Column:
    return F.col("action") == SKIPPED


def repeats(events: DataFrame) -> DataFrame:
    """`hash`: those of the event ids, and of the places (a track in a list), that occur more than once."""
    hashes = events.select(F.explode(F.array(_id_hash(), _place_hash())).alias("hash"))
    return hashes.groupBy("hash").count().filter(F.col("count") > 1).select("hash")


def suspects(events: DataFrame, repeats: DataFrame) -> DataFrame:
    """``events`` with `suspect`: its id is told again, or it stands in a list that holds a track twice.

    Events that say the same are in one list, so whatever `unique_events` or `fold_lists` may fold is suspect.
    """
    marked = events.withColumns({"id_hash": _id_hash(), "list_hash": F.xxhash64(*_LIST)})
    in_lists = events.select(_place_hash().alias("hash"), F.xxhash64(*_LIST).alias("list_hash"))
    lists = in_lists.join(repeats, "hash", "left_semi").select("list_hash").distinct()
    by_id = repeats.select(F.col("hash").alias("id_hash"), F.lit(True).alias("same_id"))
    by_list = lists.withColumn("same_list", F.lit(True))
    found = marked.join(by_id, "id_hash", "left").join(by_list, "list_hash", "left")
    return found.select(*events.columns, F.coalesce("same_id", "same_list", F.lit(False)).alias("suspect"))


def _id_hash() -> Column:
    return F.xxhash64("event_id", is_skip())


def _place_hash() -> Column:
    return F.xxhash64(*_LIST, "track_id")


def unique_events(events: DataFrame) -> DataFrame:
    """One row an event: rows that say the same are one event, and so are rows with one event_id (the earliest counts).

    Returns event_id, the columns EVENT, and context.
    """
    said_once = events.groupBy(*EVENT).agg(F.min("event_id").alias("event_id"), F.min("context").alias("context"))
    said = [*(c for c in EVENT if c != "ts"), "context"]
    first = said_once.groupBy("event_id", is_skip()).agg(F.min(F.struct("ts", *said)).alias("event"))
    return first.select("event_id", *(F.col("event")[c].alias(c) for c in (*EVENT, "context")))


def fold_lists(events: DataFrame) -> DataFrame:
    """A list that a show holds k times over becomes the list once: A B C A B C -> A B C.

    Only what carries one and the same time, or none, counts as a list (a radio log that knows the day alone). With a
    time for each play, a loop is a listener who pressed repeat, and stays. What comes later can so never change what
    was before. Returns the columns of `unique_events`.
    """
    rest = [c for c in events.columns if c not in (*_LIST, "position", "event_id")]
    lists = events.groupBy(*_LIST, is_skip()).agg(
        F.sort_array(F.collect_list(F.struct("position", "event_id", *rest))).alias("plays")
    )
    once = F.when(F.col("plays")[0]["action"] != SKIPPED, F.slice("plays", F.lit(1), _period(F.col("plays.track_id"))))
    return lists.select(*_LIST, F.inline(F.coalesce(once, "plays"))).select(*events.columns)


def _period(tracks: Column) -> Column:
    """The shortest p that divides the length and after which the list starts again; the length itself if none."""
    n = F.size(tracks)

    def starts_again(p: Column) -> Column:
        return (n % p == 0) & (F.slice(tracks, p + 1, n - p) == F.slice(tracks, F.lit(1), n - p))

    return F.filter(F.sequence(F.lit(1), n), starts_again)[0]


def playlist_plays(playlist_tracks: DataFrame) -> DataFrame:
    """Playlists as events: each track once, at its first place.

    The order is by position, where there is none by the day it was added, then by track_id. Returns the columns of
    `unique_events`, a playlist being a listener of its own, without times.
    """
    place = F.struct(F.col("position").isNull(), "position", F.col("added_at").isNull(), "added_at")
    once = playlist_tracks.groupBy("playlist_id", "track_id").agg(F.min(place).alias("place"))
    in_order = Window.partitionBy("playlist_id").orderBy("place", "track_id")
    return once.select(
        F.col("track_id").alias("event_id"),
        F.col("playlist_id").alias("user_id"),
        "track_id",
        F.lit(None).cast("timestamp").alias("ts"),
        F.row_number().over(in_order).cast("long").alias("position"),
        F.lit("play").alias("action"),
        F.lit(None).cast("string").alias("session_id"),
        F.lit(None).cast("string").alias("context"),
    )

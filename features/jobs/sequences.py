"""What the sequences of a data set are made of: its tracks, their descriptions, its contexts; and their order."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recsys import schema


def track_counts(sequences: DataFrame, *, leave_one_out: bool = False) -> DataFrame:
    """Every track that is played: track (its number), count, train_count.

    sequences: columns SEQUENCE of features.jobs.sessions, and split. Under leave-one-out the training split is what
    `recsys.splits.leave_one_out` leaves of each sequence: no held-out track is counted.
    """
    tracks = F.transform(F.filter("listened", lambda play: ~play["skip"]), lambda play: play["track"])
    distinct = F.array_distinct(tracks)
    held_out = F.when(F.size(distinct) < 3, 0).otherwise(2)
    left = F.slice(distinct, F.lit(1), F.size(distinct) - held_out) if leave_one_out else tracks
    trains = sequences.filter(F.col("split") == "train").select(F.explode(left).alias("track"))
    counts = sequences.select(F.explode(tracks).alias("track")).groupBy("track").agg(F.count(F.lit(1)).alias("count"))
    in_train = trains.groupBy("track").agg(F.count(F.lit(1)).alias("train_count"))
    return counts.join(in_train, "track", "left").fillna(0, ["train_count"])


def described(counts: DataFrame, tracks: DataFrame) -> DataFrame:
    """``counts`` (with track_id) with what the catalogue knows of each track; one it does not know is named by its id.

    Where imports describe a track more than once, one description is taken whole, always the same one.
    """
    known = [name for name in schema.TRACKS.names if name not in ("track_id", "markets", "isrc", "licence")]
    ours = tracks.join(counts, "track_id", "left_semi")
    one = ours.groupBy("track_id").agg(F.max(F.struct(*known)).alias("track"))
    one = one.select("track_id", *(F.col("track")[name].alias(name) for name in known))
    unknown = {"title": F.col("track_id"), "artist_id": F.col("track_id"), "artist_name": F.lit("")}
    return counts.join(one, "track_id", "left").withColumns(
        {name: F.coalesce(name, value) for name, value in unknown.items()}
    )


def contexts(sequences: DataFrame, events: DataFrame, most: int) -> DataFrame:
    """hash, context, count: those of most plays in training, at most ``most``; what comes later changes none of it."""
    train = sequences.filter(F.col("split") == "train").select(F.explode("listened").alias("play"))
    hashes = train.filter(~F.col("play.skip") & F.col("play.context").isNotNull()).groupBy(
        F.col("play.context").alias("hash")
    )
    counts = hashes.agg(F.count(F.lit(1)).alias("count")).orderBy(F.desc("count"), "hash").limit(most)
    named = events.select("context", F.xxhash64("context").alias("hash")).join(F.broadcast(counts), "hash")
    return named.groupBy("hash", "count").agg(F.min("context").alias("context"))


def in_order(sequences: DataFrame) -> DataFrame:
    """Sorted as SEQUENCES of recsys.schema is."""
    columns = "sequence_id", "owner_id", "split", "start_ts", "listened"
    return sequences.select(*columns).orderBy("start_ts", "sequence_id", "owner_id")

"""The vocabulary of a data set, and its sequences as rows of vocabulary indices."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from recsys import schema

_SEQUENCE = ["sequence_id", "owner_id"]


def track_counts(plays: DataFrame, sequences: DataFrame, *, leave_one_out: bool = False) -> DataFrame:
    """Every track of the sequences: track_id, count, train_count.

    plays: columns PLAY of features.jobs.sessions; sequences: sequence_id, owner_id, split. Under leave-one-out the
    training split is what `recsys.splits.leave_one_out` leaves of each sequence: no held-out track is counted.
    """
    parts = plays.join(sequences.select(*_SEQUENCE, "split"), _SEQUENCE)
    trains = _not_held_out(parts) if leave_one_out else parts.withColumn("trains", F.col("split") == "train")
    return trains.groupBy("track_id").agg(
        F.count(F.lit(1)).alias("count"), F.sum(F.col("trains").cast("long")).alias("train_count")
    )


def _not_held_out(plays: DataFrame) -> DataFrame:
    """`trains`: first places, but for the last two tracks of a sequence of three distinct tracks or more."""
    whole = Window.partitionBy(*_SEQUENCE)
    order = F.struct("ts", "position", "event_id")
    nth_time = F.row_number().over(Window.partitionBy(*_SEQUENCE, "track_id").orderBy(order))
    first = (F.col("nth_time") == 1).cast("int")
    to_end = F.sum(first).over(whole.orderBy(order.desc()).rowsBetween(Window.unboundedPreceding, Window.currentRow))
    counted = plays.withColumn("nth_time", nth_time)
    counted = counted.withColumn("to_end", to_end).withColumn("distinct", F.sum(first).over(whole))
    return counted.withColumn("trains", (first == 1) & ((F.col("to_end") > 2) | (F.col("distinct") < 3)))


def described(counts: DataFrame, tracks: DataFrame) -> DataFrame:
    """``counts`` with what the catalogue knows of each track; a track that it does not know is named by its id.

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


def rows(plays: DataFrame, sequences: DataFrame, vocabulary: DataFrame) -> DataFrame:
    """SEQUENCES of recsys.schema, sorted. vocabulary: index, track_id; sequences: with split and start_ts.

    A session is one row, a listener's history never is (but where there are no times, and a listener is a sequence).
    """
    indexed = plays.join(sequences.select(*_SEQUENCE, "split", "start_ts"), _SEQUENCE).join(vocabulary, "track_id")
    in_order = F.sort_array(F.collect_list(F.struct("ts", "position", "event_id", "index"))).alias("plays")
    return (
        indexed.groupBy(*_SEQUENCE, "split", "start_ts")
        .agg(in_order)
        .withColumn("items", F.col("plays.index"))
        .withColumn("ts", F.when(F.col("start_ts").isNotNull(), F.col("plays.ts")))
        .select(*schema.SEQUENCES.names)
        .orderBy("start_ts", "sequence_id", "owner_id")
    )

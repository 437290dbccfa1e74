"""The content join: what any source knows of a track, brought to the tracks of a data set.

A value belongs to a track by its id; else by its `name_key`, the normalised artist and title, which two sources share
where they mean one song; tags also come by the artist. Whatever is nearest counts.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def audio(items: DataFrame, tracks: DataFrame, audio_features: DataFrame) -> DataFrame:
    """index, name, value: one row an item and feature; the median where sources disagree.

    items: index, track_id, name_key; tracks and audio_features of recsys.schema, all sources.
    """
    found = audio_features.join(_alike(items, tracks), "track_id")
    agreed = found.groupBy("index", "name", "distance").agg(F.median("value").alias("value"))
    return agreed.groupBy("index", "name").agg(F.min_by("value", "distance").cast("float").alias("value"))


def embeddings(items: DataFrame, tracks: DataFrame, embeddings: DataFrame, encoder: str) -> DataFrame:
    """index, vector: by ``encoder``, one row an item that has one.

    items: index, track_id, name_key; tracks and embeddings of recsys.schema, all sources.
    """
    found = embeddings.filter(F.col("encoder") == encoder).join(_alike(items, tracks), "track_id")
    return found.groupBy("index").agg(F.min_by("vector", F.struct("distance", "track_id", "vector")).alias("vector"))


def tags(items: DataFrame, tracks: DataFrame, tags: DataFrame) -> DataFrame:
    """index, tag, distance, weight: one row an item and tag; distance 0 by id, 1 by name, 2 by artist.

    items: index, track_id, name_key, artist_id; tracks and tags of recsys.schema, all sources.
    """
    of_tracks = _alike(items, tracks).withColumnRenamed("track_id", "subject_id")
    of_artists = items.select(F.col("artist_id").alias("subject_id"), "index", F.lit(2).alias("distance"))
    subjects = of_tracks.withColumn("subject_type", F.lit("track")).unionByName(
        of_artists.withColumn("subject_type", F.lit("artist"))
    )
    words = tags.withColumn("tag", F.lower(F.trim("tag"))).filter(F.col("tag") != "")
    found = words.join(subjects, ["subject_id", "subject_type"])
    nearest = F.min(F.struct("distance", (-F.col("weight")).alias("minus_weight"))).alias("nearest")
    return (
        found.groupBy("index", "tag")
        .agg(nearest)
        .select("index", "tag", F.col("nearest.distance"), (-F.col("nearest.minus_weight")).alias("weight"))
    )


def _alike(items: DataFrame, tracks: DataFrame) -> DataFrame:
    """track_id, index, distance: what is said of this track holds for that item; 0: it is the item, 1: it has its name.

    A key without an artist or without a title names nothing.
    """
    speaks = ~(F.col("name_key").startswith("|") | F.col("name_key").endswith("|"))
    itself = items.select("track_id", "index", F.lit(0).alias("distance"))
    named = tracks.filter(speaks).select("track_id", "name_key").join(items.select("index", "name_key"), "name_key")
    both = itself.unionByName(named.select("track_id", "index", F.lit(1).alias("distance")))
    return both.groupBy("track_id", "index").agg(F.min("distance").alias("distance"))

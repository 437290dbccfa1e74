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
    by_id = audio_features.join(items.select("index", "track_id"), "track_id").withColumn("distance", F.lit(0))
    by_name = _by_name(audio_features, items, tracks).withColumn("distance", F.lit(1))
    columns = ["index", "name", "value", "distance"]
    both = by_id.select(*columns).unionByName(by_name.select(*columns))
    agreed = both.groupBy("index", "name", "distance").agg(F.median("value").alias("value"))
    return agreed.groupBy("index", "name").agg(F.min_by("value", "distance").cast("float").alias("value"))


def tags(items: DataFrame, tracks: DataFrame, tags: DataFrame) -> DataFrame:
    """index, tag, distance, weight: one row an item and tag; distance 0 by id, 1 by name, 2 by artist.

    items: index, track_id, name_key, artist_id; tracks and tags of recsys.schema, all sources.
    """
    tags = tags.withColumn("tag", F.lower(F.trim("tag"))).filter(F.col("tag") != "")
    of_tracks = tags.filter(F.col("subject_type") == "track").withColumnRenamed("subject_id", "track_id")
    of_artists = tags.filter(F.col("subject_type") == "artist").withColumnRenamed("subject_id", "artist_id")
    found = [
        of_tracks.join(items.select("index", "track_id"), "track_id"),
        _by_name(of_tracks, items, tracks),
        of_artists.join(items.select("index", "artist_id"), "artist_id"),
    ]
    columns = ["index", "tag", "weight"]
    every = [frame.select(*columns, F.lit(distance).alias("distance")) for distance, frame in enumerate(found)]
    nearest = F.min(F.struct("distance", (-F.col("weight")).alias("minus_weight"))).alias("nearest")
    union = every[0].unionByName(every[1]).unionByName(every[2])
    return (
        union.groupBy("index", "tag")
        .agg(nearest)
        .select("index", "tag", F.col("nearest.distance"), (-F.col("nearest.minus_weight")).alias("weight"))
    )


def _by_name(values: DataFrame, items: DataFrame, tracks: DataFrame) -> DataFrame:
    """``values`` (by track_id) of all tracks with the name of an item: `index` beside the columns of ``values``.

    A key without an artist or without a title names nothing.
    """
    speaks = ~(F.col("name_key").startswith("|") | F.col("name_key").endswith("|"))
    names = tracks.select("track_id", "name_key").filter(speaks).distinct()
    return values.join(names, "track_id").join(items.select("index", "name_key"), "name_key")

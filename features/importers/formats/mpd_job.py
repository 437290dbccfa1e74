"""The Spark job behind `segue import mpd`: slice files of pretty-printed JSON -> Parquet in the columns of the schema.

A slice (33 MB, 1,000 playlists) is one task. Python only cuts its text into playlists, so that a file which breaks off
gives all playlists before the break and every one has its line; the JVM parses them by an explicit schema. What a task
holds is a few times the text of one file, whatever the number of files.

Measured on generated slices of the published layout and size: 4 slices took 44 s of CPU, 20 took 68 s, so 1.5 s a slice
and 40 s to start. For all 1,000 that would be 25 minutes of CPU and 4 GB under $TMPDIR; peak memory was 4.7 GB with the
default heap of 4 GB, of which Python had .8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_CUT = "slice int, file string, index int, line bigint, text string, fault string"
_PLAYLIST = """
    pid bigint, name string, description string, modified_at bigint, num_followers bigint, broken string,
    tracks array<struct<track_uri string, track_name string, artist_name string, album_uri string, album_name string,
                        duration_ms bigint>>
"""
_TRACK_URI = "^spotify:track:([0-9A-Za-z]+)$"
_CHUNK = 200
_SPACE = re.compile(r"\s*")


def cut(text: str, key: str = "playlists") -> Iterator[tuple[int, str, str | None]]:
    """(1-based line, text, fault) of each element of the array under ``key`` of a JSON object.

    JSON that breaks cannot be taken up again further on: the last element then carries the fault.

    >>> list(cut('{"info": {},\\n"playlists": [{"pid": 1},\\n{"pid": 2}]}'))
    [(2, '{"pid": 1}', None), (3, '{"pid": 2}', None)]
    >>> [fault for _, _, fault in cut('{"playlists": [{"pid": 1}, {"pid"')]
    [None, "broken JSON, the rest of the file is lost: Expecting ':' delimiter at line 1, column 34"]
    """
    decoder = json.JSONDecoder(strict=False)
    at, counted, line = 0, 0, 1

    def expect(*tokens: str) -> str:
        nonlocal at
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # matches the empty string too
        if not text.startswith(tokens, at):
            raise json.JSONDecodeError(f"Expecting {' or '.join(map(repr, tokens))}", text, at)
        at += 1
        return text[at - 1]

    def value() -> object:
        nonlocal at
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        found, at = decoder.raw_decode(text, at)
        return found

    try:
        expect("{")
        while value() != key:
            expect(":")
            value()
            if expect(",", "}") == "}":
                raise json.JSONDecodeError(f"No {key!r} in the object", text, at)
        expect(":")
        expect("[")
        while True:
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
            if text.startswith("]", at):
                return
            begin = at
            line, counted = line + text.count("\n", counted, begin), begin
            value()
            yield line, text[begin:at], None
            if expect(",", "]") == "]":
                return
    except json.JSONDecodeError as error:
        place = f"{error.msg} at line {error.lineno}, column {error.colno}"
        line += text.count("\n", counted, at)
        yield line, text[at : at + 500], f"broken JSON, the rest of the file is lost: {place}"


def _cut_files(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number, path in zip(*batch.to_pydict().values(), strict=True):
            file = Path(path)
            rows: list[tuple[int, str, int, int, str, str | None]] = []
            for index, (line, text, fault) in enumerate(cut(file.read_text("utf-8-sig", errors="replace"))):
                rows.append((number, file.name, index, line, text, fault))
                if len(rows) == _CHUNK:
                    yield _record_batch(rows)
                    rows = []
            yield _record_batch(rows)


def _record_batch(rows: list[tuple[int, str, int, int, str, str | None]]) -> pa.RecordBatch:
    types = (pa.int32(), pa.string(), pa.int32(), pa.int64(), pa.string(), pa.string())
    columns = zip(*rows, strict=True) if rows else ([] for _ in types)
    names = [field.split()[0] for field in _CUT.split(", ")]
    return pa.record_batch([pa.array(c, t) for c, t in zip(columns, types, strict=True)], names=names)


def run(spark: SparkSession, files: Sequence[Path], source: str, out: Path, *, empty_allowed: bool) -> None:
    """Write ``out``/tracks, playlists, playlist_tracks (Parquet), with the provenance columns of a Batch.

    empty_allowed: a playlist without tracks is a task of the challenge (continue from the title alone), not a fault.
    """
    from pyspark.sql import functions as F

    paths = [(number, str(path.absolute())) for number, path in enumerate(files)]
    each = spark.createDataFrame(spark.sparkContext.parallelize(paths, len(paths)), "number int, path string")
    playlist = F.from_json("text", _PLAYLIST, {"columnNameOfCorruptRecord": "broken"}).alias("playlist")
    texts = each.mapInArrow(_cut_files, _CUT)
    staged = texts.select("slice", "file", "index", "line", "fault", "text", playlist)
    staged = staged.withColumn("fault", _fault(empty_allowed)).withColumn(
        "text", F.when(F.col("fault").isNotNull(), F.substring("text", 1, 500))
    )
    staged.write.parquet(str(out / "slices"))

    slices = _without_repeated_pids(spark.read.parquet(str(out / "slices")))
    provenance = [F.col("file").alias("_file"), F.col("line").alias("_line")]
    playlist_id = F.concat(F.lit(f"{source}:"), F.col("playlist.pid")).alias("playlist_id")
    slices.select(
        playlist_id,
        "playlist.name",
        "playlist.description",
        F.col("playlist.num_followers").alias("followers"),
        F.timestamp_seconds("playlist.modified_at").alias("modified_at"),
        *provenance,
        F.col("text").alias("_row"),
        F.col("fault").alias("_reason"),
    ).write.parquet(str(out / "playlists"))

    entries = (
        slices.where("fault is null")
        .select("slice", "index", playlist_id, *provenance, F.posexplode("playlist.tracks").alias("position", "track"))
        .withColumn("track_id", F.nullif(F.regexp_extract("track.track_uri", _TRACK_URI, 1), F.lit("")))
    )
    no_track = F.col("track_id").isNull()
    entries.select(
        "playlist_id",
        F.col("position").cast("bigint").alias("position"),
        "track_id",
        *("_file", "_line"),
        F.when(no_track, F.to_json("track")).alias("_row"),
        F.when(no_track, F.format_string("tracks[%d]: no track_uri of the form spotify:track:ID", "position")).alias(
            "_reason"
        ),
    ).write.parquet(str(out / "playlist_tracks"))
    _distinct_tracks(entries).write.parquet(str(out / "tracks"))


def _fault(empty_allowed: bool) -> Column:
    from pyspark.sql import functions as F

    tracks = F.col("playlist.tracks")
    without_tracks = tracks.isNull() if empty_allowed else tracks.isNull() | (F.size(tracks) == 0)
    reasons = {
        "a field of the wrong type": F.col("playlist.broken").isNotNull(),
        "no pid": F.col("playlist.pid").isNull(),
        "a playlist without tracks": without_tracks,
    }
    return F.coalesce("fault", *(F.when(fault, F.lit(reason)) for reason, fault in reasons.items()))


def _without_repeated_pids(slices: DataFrame) -> DataFrame:
    """The first playlist of a pid stays. The repeats are few, so that only their pids travel, never the tracks."""
    from pyspark.sql import functions as F

    place = F.struct("slice", "index", "file", "line")
    repeated = (
        slices.where("fault is null")
        .groupBy(F.col("playlist.pid").alias("pid"))
        .agg(F.min(place).alias("first"), F.count("*").alias("times"))
        .where("times > 1")
        .select("pid", "first")
    )
    joined = slices.join(F.broadcast(repeated), slices["playlist.pid"] == repeated["pid"], "left")
    again = joined["first"].isNotNull() & (F.struct("slice", "index") > F.struct("first.slice", "first.index"))
    reason = F.format_string("pid %d stands already at %s:%d", "pid", "first.file", "first.line")
    return joined.withColumn("fault", F.coalesce("fault", F.when(again, reason))).drop("pid", "first")


def _distinct_tracks(entries: DataFrame) -> DataFrame:
    """One row a track, as described where it first appears, in that order."""
    from pyspark.sql import functions as F

    album_id = F.regexp_extract("track.album_uri", "^spotify:album:(.+)$", 1)
    description = F.struct(
        "slice", "index", "position", "_file", "_line",
        F.col("track.track_name").alias("title"),
        F.col("track.artist_name").alias("artist_name"),
        F.nullif(album_id, F.lit("")).alias("album_id"),
        F.col("track.album_name").alias("album_title"),
        F.col("track.duration_ms").alias("duration_ms"),
    )  # fmt: skip
    named = entries.where("track_id is not null and track.track_name is not null and track.artist_name is not null")
    first = named.groupBy("track_id").agg(F.min(description).alias("first"))
    return first.select("track_id", "first.*").orderBy("slice", "index", "position").drop("slice", "index", "position")

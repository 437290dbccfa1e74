"""triple j: every track played on the Australian youth station, February 2012 to September 2014.

The publisher says to use `date` and `time`, not `timestamp`, and that the server changed its time zone. It did so once:
until 3 November 2012 the clock keeps standard time (UTC+10) all year, which shows in `timestamp` being 10 hours behind
it and in programmes that begin an hour early in summer; after that it is Sydney wall time, and `timestamp` equals it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, expected_files, name_id
from features.importers.reading import flagged, good, read_delimited

COLUMNS = ["timestamp", "date", "time", "trackname", "artist", "album", "duration", "seconds", "program", "day"]
STANDARD_TIME = pl.duration(hours=10)
ZONE = "Australia/Sydney"


@dataclass(frozen=True)
class TripleJ(PublishedSet):
    """Format `triplej`: events with their second; the listener is the station, the session is a programme of a day."""

    namespace: ClassVar[str] = "triplej"

    @classmethod
    def open(cls, request: Request) -> Self:
        files = expected_files(request.path, "playlist_20140929.csv", form="triplej")
        return cls(files, request.source or "triplej")

    def batches(self) -> Iterator[Batch]:
        for rows in read_delimited(self.files[0], COLUMNS):
            clock = pl.concat_str(["date", "time"], separator=" ").str.to_datetime("%d/%m/%Y %H:%M:%S", strict=False)
            seconds = pl.col("seconds").cast(pl.Int64, strict=False)
            plays = rows.with_columns(
                artist_name=pl.col("artist").str.strip_chars(),
                title=pl.col("trackname").str.strip_chars(),
                album_title=pl.col("album").str.strip_chars(),
                duration_ms=pl.when(seconds > 0).then(seconds * 1000),
                clock=clock,
            ).with_columns(
                track_id=name_id(pl.col("artist_name"), pl.col("title")),
                ts=_utc(pl.col("clock"), pl.col("timestamp").cast(pl.Int64, strict=False)),
                user_id=pl.lit("triplej"),
                session_id=pl.format("triplej:{}:{}", pl.col("clock").dt.date(), pl.col("program")),
                context=pl.col("program"),
                position=pl.col("_line"),
                action=pl.lit("play"),
            )
            plays = flagged(
                plays,
                {
                    "empty row": pl.all_horizontal(pl.col(COLUMNS).is_null()),
                    "no artist": pl.col("artist_name").is_null(),
                    "no title": pl.col("title").is_null(),
                    "malformed date or time": pl.col("clock").is_null(),
                    "a time that the change to summer time skips": pl.col("ts").is_null(),
                },
            )
            tracks = good(plays).unique("track_id", keep="first", maintain_order=True)
            yield Batch("tracks", tracks.with_columns(name_key="track_id"), read=0)
            yield Batch("events", plays)


def _utc(clock: pl.Expr, timestamp: pl.Expr) -> pl.Expr:
    """The hour that the change to winter time repeats is taken as its first pass."""
    standard = clock - pl.from_epoch(timestamp) == STANDARD_TIME
    wall = clock.dt.replace_time_zone(ZONE, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
    return pl.when(standard).then((clock - STANDARD_TIME).dt.replace_time_zone("UTC")).otherwise(wall)

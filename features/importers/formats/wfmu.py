"""WFMU: playlists of a free-form radio station, 1987 to 2025 (scraped by A. Steinmetz and others).

A tab-separated file with quotes: DJ, AirDate (day), Artist, Title, src, pos (place in the show). A show is a DJ's day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, expected_files, name_id
from features.importers.reading import flagged, gathered, good, read_delimited

COLUMNS = ["DJ", "AirDate", "Artist", "Title", "src", "pos"]
SCRAPE_FAILED = "FAIL"
UNKNOWN = r"(?i)^(?:unknown(?: artist| title)?|various(?: artists)?|[?.*_\s-]+)$"


@dataclass(frozen=True)
class Wfmu(PublishedSet):
    """Format `wfmu`: events with the air day as their time; the listener is the DJ, the session is the show."""

    namespace: ClassVar[str] = "wfmu"

    @classmethod
    def open(cls, request: Request) -> Self:
        return cls(expected_files(request.path, "wfmu_plays.tsv", form="wfmu"), request.source or "wfmu")

    def batches(self) -> Iterator[Batch]:
        titles = self._titles()
        for rows in self._rows():
            plays = rows.join(titles, on="artist_key", how="left", maintain_order="left").with_columns(
                track_id=name_id(pl.col("artist_name"), pl.col("title")),
                ts=pl.col("AirDate").str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us", "UTC")),
                user_id=pl.format("wfmu:{}", pl.col("DJ")),
                session_id=pl.format("wfmu:{}:{}", pl.col("DJ"), pl.col("AirDate")),
                position=pl.col("pos"),
                action=pl.lit("play"),
            )
            alike = pl.col("artist_key") == pl.col("title_key")
            plays = flagged(
                plays,
                {
                    "the scrape failed (FAIL)": pl.col("Artist") == SCRAPE_FAILED,
                    "music behind the DJ, without an artist": pl.col("Artist").is_not_null()
                    & pl.col("artist_name").is_null(),
                    "no artist": pl.col("artist_name").is_null(),
                    "no title": pl.col("title").is_null(),
                    "the artist is unknown or various": pl.col("artist_name").str.contains(UNKNOWN),
                    "the title is unknown": pl.col("title").str.contains(UNKNOWN),
                    "an announcement: artist and title alike, no other title": alike & (pl.col("titles") == 1),
                    "malformed date": pl.col("ts").is_null(),
                },
            )
            tracks = good(plays).unique("track_id", keep="first", maintain_order=True)
            yield Batch("tracks", tracks.with_columns(name_key="track_id"), read=0)
            yield Batch("events", plays)

    def _rows(self) -> Iterator[pl.DataFrame]:
        """With artist_name and title as they are meant, and both in lower case."""
        for rows in read_delimited(self.files[0], COLUMNS, separator="\t"):
            artist = pl.col("Artist").str.replace(r"(?i)^music behind dj:", "").str.strip_chars()
            title = pl.col("Title").str.replace(r"(?s)\s*\(Listen:.*$", "").str.strip_chars()
            named = rows.with_columns(
                artist_name=pl.when(artist != "").then(artist), title=pl.when(title != "").then(title)
            )
            yield named.with_columns(
                artist_key=pl.col("artist_name").str.to_lowercase(), title_key=pl.col("title").str.to_lowercase()
            )

    def _titles(self) -> pl.DataFrame:
        """artist_key, titles: how many different titles an artist has.

        DJs log announcements ("Station Happenings") as artist and title alike. That there is no other title tells them
        from self-titled songs ("Black Sabbath").
        """
        pairs = gathered(self._rows(), ["artist_key", "title_key"])
        return pairs.drop_nulls().unique().group_by("artist_key").agg(titles=pl.col("title_key").n_unique())

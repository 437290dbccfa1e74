"""Spotify playlist archive: cumulative contents of 320 playlists, 2019 to 2021 (M. Ward, and a fork of his archive).

A row says that a track was in a playlist from `added` to `removed`. The rows of a playlist are in alphabetical order: a
set, not a sequence, so `position` is null. Fifteen playlists are in two snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, expected_files
from features.importers.reading import flagged, good, read_plain, without_entities
from features.importers.seen import Seen

PLAYLISTS = ["snapshot", "playlist_id", "name", "description", "rows"]
TRACKS = [
    "snapshot", "playlist_id", "track_id", "title", "artists", "artist_ids", "album", "album_id", "length", "added",
    "removed",
]  # fmt: skip
ALL = 1_000_000
"""Playlists to a batch, which are all: the newest snapshot of each is looked for among them."""


@dataclass(frozen=True)
class SpotifyArchive(PublishedSet):
    """Format `spotify-archive`: playlists with names, and all tracks that were ever in them."""

    namespace: ClassVar[str] = "spotify"

    @classmethod
    def open(cls, request: Request) -> Self:
        files = expected_files(request.path, "playlists.tsv", "cumulative_tracks.tsv", form="spotify-archive")
        return cls(files, request.source or "spotify-archive")

    def batches(self) -> Iterator[Batch]:
        playlists, tracks = self.files
        for listed in read_plain(playlists, PLAYLISTS, batch_rows=ALL):
            rows = listed.with_columns(
                playlist_id=_playlist_id(),
                description=without_entities(pl.col("description")),
                modified_at=pl.col("snapshot")
                .str.extract(r"(\d{4}-\d\d-\d\d)$")
                .str.to_datetime("%F", time_zone="UTC", strict=False),
            )
            newest = pl.col("modified_at") == pl.col("modified_at").max().over("playlist_id")
            yield Batch("playlists", flagged(rows, {"a later snapshot has this playlist too": ~newest}))

        seen = Seen("playlist_id", "track_id")
        for rows in read_plain(tracks, TRACKS):
            rows = rows.with_columns(
                playlist_id=_playlist_id(),
                artist_name=pl.col("artists").str.split("; ").list.first(),
                album_title=pl.col("album"),
                duration_ms=_milliseconds(pl.col("length")),
                added_at=pl.col("added").str.to_datetime("%F", time_zone="UTC", strict=False),
            )
            rows = flagged(
                rows,
                {
                    "no artist": pl.col("artists").is_null(),
                    "title is <MISSING>": pl.col("title") == "<MISSING>",
                    "length is not m:ss": pl.col("length").is_not_null() & pl.col("duration_ms").is_null(),
                    "malformed date": pl.col("added_at").is_null(),
                },
            )
            rows = flagged(rows, {"the playlist has this track already": ~seen.first(rows)})
            yield Batch("tracks", good(rows), read=0)
            yield Batch("playlist_tracks", rows)


def _playlist_id() -> pl.Expr:
    return pl.format("spotify:{}", pl.col("playlist_id"))


def _milliseconds(length: pl.Expr) -> pl.Expr:
    """`m:ss`"""
    parts = length.str.extract_groups(r"^(\d+):(\d\d)$")
    minutes, seconds = (parts.struct.field(str(i)).cast(pl.Int64) for i in (1, 2))
    return (minutes * 60 + seconds) * 1000

"""Spotify songs: 28,356 tracks of 471 named playlists in six genres, with Spotify's audio features (2020)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, audio_features, expected_files, track_tags
from features.importers.reading import flagged, good, read_delimited
from features.importers.seen import Seen
from features.importers.values import whole

AUDIO = [
    "danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness", "liveness",
    "valence", "tempo",
]  # fmt: skip
COLUMNS = [
    "track_id", "track_name", "track_artist", "track_popularity", "track_album_id", "track_album_name",
    "track_album_release_date", "playlist_name", "playlist_id", "playlist_genre", "playlist_subgenre", *AUDIO,
    "duration_ms",
]  # fmt: skip


@dataclass(frozen=True)
class SpotifySongs(PublishedSet):
    """Format `spotify-songs`: tracks, audio features, playlists as sets, and their genres as tags of the tracks."""

    namespace: ClassVar[str] = "spotify"

    @classmethod
    def open(cls, request: Request) -> Self:
        files = expected_files(request.path, "spotify_songs.csv", form="spotify-songs")
        return cls(files, request.source or "spotify-songs")

    def batches(self) -> Iterator[Batch]:
        pairs, playlists, tracks, tags = (
            Seen("playlist_id", "track_id"), Seen("playlist_id"), Seen("track_id"), Seen("subject_id", "tag"),
        )  # fmt: skip
        for raw in read_delimited(self.files[0], COLUMNS):
            rows = raw.rename({"track_name": "title", "track_artist": "artist_name"})
            rows = rows.with_columns(
                playlist_id=pl.format("spotify:{}", pl.col("playlist_id")),
                album_id=pl.col("track_album_id"),
                album_title=pl.col("track_album_name"),
                release_date=_date(pl.col("track_album_release_date")),
                duration_ms=whole(pl.col("duration_ms")),
            )
            rows = flagged(rows, {"no artist": pl.col("artist_name").is_null(), "no title": pl.col("title").is_null()})
            rows = flagged(rows, {"the playlist has this track already, under another genre": ~pairs.first(rows)})
            sound = good(rows)
            fresh = sound.filter(tracks.first(sound))
            yield Batch("tracks", fresh, read=0)
            yield Batch("audio_features", audio_features(fresh, AUDIO), read=0)
            lists = sound.filter(playlists.first(sound)).rename({"playlist_name": "name"})
            yield Batch("playlists", lists, read=0)
            yield Batch("playlist_tracks", rows)
            genres = track_tags(sound, pl.concat_list("playlist_genre", "playlist_subgenre"), self.source)
            yield Batch("tags", genres.filter(tags.first(genres)), read=0)


def _date(text: pl.Expr) -> pl.Expr:
    """A year or a month stands for its first day."""
    whole = pl.when(text.str.len_chars() == 4).then(text + "-01-01").when(text.str.len_chars() == 7)
    return whole.then(text + "-01").otherwise(text).str.to_date("%F", strict=False)

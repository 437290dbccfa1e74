"""Music4All (Pegoraro Santana et al., IWSSIP 2020): 109,269 tracks with tags and audio features, and plays.

All files are tab-separated, whatever their ending. `id_information.csv` has the tracks; the others are read where they
are there: `id_metadata.csv` (Spotify id, year, length, audio features), `id_genres.csv`, `id_tags.csv`, `id_lang.csv`
(of the lyrics) and `listening_history.csv`. The folders `lyrics` and `audios` are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from features.importers.base import (
    Batch,
    PublishedSet,
    Request,
    audio_features,
    bare_name,
    expected_files,
    track_tags,
)
from features.importers.reading import flagged, gathered, good, read_delimited, read_plain
from features.importers.seen import Seen
from features.importers.values import INSTANT, typed, whole

SOUND = ["danceability", "energy", "key", "mode", "valence", "tempo"]
LAYOUT = {
    "id_information.csv": ["id", "artist", "song", "album_name"],
    "id_metadata.csv": ["id", "spotify_id", "popularity", "release", *SOUND, "duration_ms"],
    "id_genres.csv": ["id", "genres"],
    "id_tags.csv": ["id", "tags"],
    "id_lang.csv": ["id", "lang"],
    "listening_history.csv": ["user", "song", "timestamp"],
}
NO_LANGUAGE = "zxx"
"""ISO 639: no linguistic content. The publisher writes INTRUMENTAL."""


@dataclass(frozen=True)
class Music4All(PublishedSet):
    """Format `music4all`: tracks, audio features, tags, languages of lyrics, events; Spotify ids as aliases."""

    namespace: ClassVar[str] = "music4all"

    @classmethod
    def open(cls, request: Request) -> Self:
        needed, *others = LAYOUT
        files = expected_files(request.path, needed, optional=others, form="music4all")
        return cls(files, request.source or "music4all")

    def batches(self) -> Iterator[Batch]:
        metadata = [path for path in self.files if bare_name(path) == "id_metadata.csv"]
        yield from self._tracks(self.files[0], metadata[0] if metadata else None)
        parts = {
            "id_metadata.csv": self._sound,
            "id_genres.csv": self._tags,
            "id_tags.csv": self._tags,
            "id_lang.csv": self._languages,
            "listening_history.csv": self._plays,
        }
        for path in self.files[1:]:
            yield from parts[bare_name(path)](path)

    def _tracks(self, path: Path, metadata: Path | None) -> Iterator[Batch]:
        more = gathered(_rows(metadata) if metadata else [], ["id", "release", "duration_ms"]).unique(
            "id", keep="first"
        )
        ids = Seen("id")
        for raw in _rows(path):
            rows = raw.join(more, on="id", how="left", maintain_order="left").with_columns(
                track_id="id",
                title="song",
                artist_name="artist",
                album_title="album_name",
                release_date=typed(pl.col("release"), pl.String(), pl.Date()),
                duration_ms=whole(pl.col("duration_ms")),
            )
            yield Batch("tracks", flagged(rows, {"an earlier row has this track": ~ids.first(rows)}))

    def _sound(self, path: Path) -> Iterator[Batch]:
        ids = Seen("spotify_id")
        for rows in _rows(path):
            yield Batch("audio_features", audio_features(rows.rename({"id": "track_id"}), SOUND))
            known = good(rows).drop_nulls("spotify_id")
            aliases = known.with_columns(
                track_id="id",
                source=pl.lit("spotify"),
                source_id="spotify_id",
                method=pl.lit("id"),
                confidence=pl.lit(1.0),
            )
            twice = {"the Spotify id is another track's already": ~ids.first(aliases)}
            yield Batch("track_aliases", flagged(aliases, twice), read=0)

    def _tags(self, path: Path) -> Iterator[Batch]:
        """Genres and tags have commas between them."""
        column = LAYOUT[bare_name(path)][1]
        for rows in _rows(path):
            words = pl.col(column).str.split(",").list.eval(pl.element().str.strip_chars())
            words = words.list.filter(pl.element() != "").list.unique(maintain_order=True)
            yield Batch("tags", rows.filter(pl.col("_reason").is_not_null()), read=len(rows))
            yield Batch("tags", track_tags(good(rows).rename({"id": "track_id"}), words, self.source), read=0)

    def _languages(self, path: Path) -> Iterator[Batch]:
        """`has_lyrics` is 1, in the language of the text, or 0."""
        for rows in _rows(path):
            instrumental = pl.col("lang").str.to_uppercase().str.contains("^INS?TRUMENTAL$")
            rows = rows.with_columns(
                track_id="id",
                language=pl.when(instrumental).then(pl.lit(NO_LANGUAGE)).otherwise(pl.col("lang").str.to_lowercase()),
                name=pl.lit("has_lyrics"),
                value=pl.when(instrumental).then(0.0).otherwise(1.0),
            )
            no_code = ~pl.col("language").str.contains("^[a-z]{2,3}(-[a-z]{2,4})?$")
            yield Batch("lyrics", flagged(rows, {"lang is no language code": no_code}))

    def _plays(self, path: Path) -> Iterator[Batch]:
        for rows in read_plain(path, LAYOUT[bare_name(path)]):
            ts = typed(pl.col("timestamp"), pl.String(), INSTANT)
            events = rows.with_columns(
                user_id=pl.format("music4all:{}", pl.col("user")),
                track_id="song",
                ts=ts,
                position="_line",
                action=pl.lit("play"),
            )
            yield Batch("events", flagged(events, {"timestamp is no time": pl.col("ts").is_null()}))


def _rows(path: Path) -> Iterator[pl.DataFrame]:
    """A file of another name is that of the tracks, which PATH may name itself."""
    return read_delimited(path, LAYOUT.get(bare_name(path), LAYOUT["id_information.csv"]), separator="\t")

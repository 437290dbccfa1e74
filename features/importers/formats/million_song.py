"""The Million Song Dataset (Bertin-Mahieux et al., ISMIR 2011; millionsongdataset.com): its lists of songs, and tags.

A *track* (TR..) is a recording that was analysed, a *song* (SO..) what listeners play; 1,000,000 tracks are 999,056
songs. The song is the track of the catalogue, since listening names songs. Song ids are the namespace `msd`. A track
id is an alias of its song under `msd-track`, a namespace of its own because a song may have several. So `deezer-mood`
and `msd-taste-profile` (songs) and `musixmatch` (tracks) join this set by id.

One of two files of the publisher's AdditionalFiles has the songs: `track_metadata.db` (SQLite), which knows album, year
and length too, else `unique_tracks.txt`. Beside them are read, where they are: `artist_term.db` (tags of artists) and
`lastfm_tags.db` of the Last.fm set (tags of tracks, weight 0 to 100). The HDF5 files are not read. The 10,000-song
subset has the same files, named `subset_...`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, artist_id, bare_name, found_file
from features.importers.reading import flagged, good, read_plain
from features.importers.seen import Seen
from features.importers.sqlite import read_sqlite
from features.importers.values import milliseconds
from recsys.errors import InputError

METADATA, UNIQUE, TERMS, LASTFM = "track_metadata.db", "unique_tracks.txt", "artist_term.db", "lastfm_tags.db"
TRACK_NAMESPACE = "msd-track"

_SONGS = "SELECT track_id, song_id, artist_name, title, release, duration, year FROM songs"
_ARTISTS = "SELECT artist_id, artist_name FROM songs GROUP BY 1, 2 ORDER BY count(*) DESC, artist_name"
_TERMS = "SELECT artist_id, term FROM artist_term UNION SELECT artist_id, mbtag FROM artist_mbtag"
_TAGS = (
    "SELECT tids.tid, tags.tag, tid_tag.val FROM tid_tag"
    " JOIN tids ON tids.ROWID = tid_tag.tid JOIN tags ON tags.ROWID = tid_tag.tag"
)


@dataclass(frozen=True)
class MillionSong(PublishedSet):
    """Format `million-song`: songs as tracks, track ids as aliases, tags. Files: the list of songs first."""

    namespace: ClassVar[str] = "msd"

    @classmethod
    def open(cls, request: Request) -> Self:
        path, source = request.path, request.source or "million-song"
        if path.is_file():
            return cls((path,), source)
        if not path.is_dir():
            raise InputError(f"{path}: no such file or folder; million-song expects {METADATA} or {UNIQUE}")
        songs = _found(path, METADATA) or _found(path, UNIQUE)
        if not songs:
            raise InputError(f"{path}: million-song expects {METADATA} or {UNIQUE}; neither is there")
        terms = _found(path, TERMS)
        if terms and not bare_name(songs[0]).endswith(".db"):
            raise InputError(f"{path}: {METADATA} missing; {TERMS} has ids of artists, and their names are there")
        return cls(songs + terms + _found(path, LASTFM), source)

    def batches(self) -> Iterator[Batch]:
        songs = self.files[0]
        tracks, pairs = Seen("track"), [pl.DataFrame(schema=dict.fromkeys(["track", "track_id"], pl.String))]
        for raw in _songs(songs):
            rows = flagged(
                raw,
                {
                    "track id is not TR.. or song id not SO..": ~pl.col("track").str.contains("^TR[A-Z0-9]+$")
                    | ~pl.col("track_id").str.contains("^SO[A-Z0-9]+$"),
                    "an earlier row has this track": ~tracks.first(raw),
                },
            )
            yield Batch("tracks", rows)
            named = good(rows).drop_nulls(["track", "track_id", "artist_name", "title"])
            pairs.append(named.select("track", "track_id"))
            yield Batch(
                "track_aliases",
                named.with_columns(
                    source=pl.lit(TRACK_NAMESPACE), source_id="track", method=pl.lit("id"), confidence=pl.lit(1.0)
                ),
                read=0,
            )
        for path in self.files[1:]:
            tags = (
                self._lastfm(path, pl.concat(pairs)) if bare_name(path).endswith(LASTFM) else self._terms(path, songs)
            )
            yield from tags

    def _terms(self, path: Path, songs: Path) -> Iterator[Batch]:
        """An artist id may stand with several names (`A`, `A feat. B`): the most frequent one is the artist's."""
        schema = dict.fromkeys(["artist", "name"], pl.String)
        parts = [rows.select(*schema) for rows in read_sqlite(songs, _ARTISTS, list(schema))]
        named = pl.concat([pl.DataFrame(schema=schema), *parts]).unique("artist", keep="first")
        names = named.select("artist", subject_id=artist_id(pl.col("name")))
        for raw in read_sqlite(path, _TERMS, ["artist", "tag"]):
            rows = raw.join(names, on="artist", how="left", maintain_order="left").with_columns(weight=pl.lit(1.0))
            unknown = {"the artist has no song in the set": pl.col("subject_id").is_null()}
            yield self._tagged(flagged(rows, unknown), "artist")

    def _lastfm(self, path: Path, pairs: pl.DataFrame) -> Iterator[Batch]:
        songs = pairs.rename({"track_id": "subject_id"})
        for raw in read_sqlite(path, _TAGS, ["track", "tag", "weight"], batch_rows=200_000):
            rows = raw.join(songs, on="track", how="left", maintain_order="left")
            yield self._tagged(flagged(rows, {"the track is not in the set": pl.col("subject_id").is_null()}), "track")

    def _tagged(self, rows: pl.DataFrame, kind: str) -> Batch:
        return Batch("tags", rows.with_columns(subject_type=pl.lit(kind), source=pl.lit(self.source)))


def _found(folder: Path, name: str) -> tuple[Path, ...]:
    """The file of the whole set, else that of the subset; empty where there is none."""
    return tuple(path for path in (found_file(folder, name), found_file(folder, f"subset_{name}")) if path)[:1]


def _songs(path: Path) -> Iterator[pl.DataFrame]:
    """track, track_id (the song's), artist_name, title; of the database album_title, release_date, duration_ms too."""
    columns = ["track", "track_id", "artist_name", "title"]
    if not bare_name(path).endswith(".db"):
        yield from read_plain(path, columns, separator="<SEP>", header=False)
        return
    for rows in read_sqlite(path, _SONGS, [*columns, "album_title", "seconds", "year"]):
        year = pl.col("year").cast(pl.Int32, strict=False)
        length = milliseconds(pl.col("seconds"))
        yield rows.with_columns(
            release_date=pl.when(year > 0).then(pl.date(year, 1, 1)),  # 0: unknown, of half the songs
            duration_ms=pl.when(length > 0).then(length),
        )

"""yes-radio: playlists of US radio stations, December 2010 to May 2011, with Last.fm tags (Chen et al., KDD 2012).

Songs are numbered from 0 by line. `train.txt` holds on line 1 the station service's own ids of the songs, on line 2
their counts, then a playlist a line. Two parts are read: `yes_big` (playlists, songs, tags) as format `yes`, and
`yes_complete` (more songs and more tags, no playlists) as format `yes-complete`, which joins by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, expected_files
from features.importers.reading import first_line, flagged, gathered, read_lines, read_plain, without_entities
from recsys.errors import InputError

NO_TAGS = "#"
UNTITLED = "(untitled)"
"""Two songs that are played have a blank title; their plays are real."""


@dataclass(frozen=True)
class Yes(PublishedSet):
    """Format `yes`: playlists in order, their songs, and tags. Source ids are those of the station service."""

    namespace: ClassVar[str] = "yes"

    @classmethod
    def open(cls, request: Request) -> Self:
        names = ("yes_big__train.txt", "yes_big__song_hash.txt", "yes_big__tag_hash.txt", "yes_big__tags.txt")
        return cls(expected_files(request.path, *names, form="yes"), request.source or "yes")

    def batches(self) -> Iterator[Batch]:
        train, songs, tag_names, tags = self.files
        ids = self._song_ids(train)
        for rows in _songs(songs):
            named = rows.join(ids, on="song", how="left", maintain_order="left")
            named = flagged(named, {"song has no id on line 1 of train.txt": pl.col("track_id").is_null()})
            yield Batch("tracks", named.with_columns(pl.col("title").fill_null(UNTITLED)))
        for rows in _tags(tags, tag_names, self.source):
            named = rows.join(ids, on="song", how="left", maintain_order="left")
            yield Batch("tags", named.rename({"track_id": "subject_id"}), read=0)
        for rows in read_lines(train, skip=2, batch_rows=5_000):
            numbered = rows.with_columns(playlist_id=pl.format("yes:{}", pl.col("_line") - 3))
            yield Batch("playlists", numbered, read=len(numbered))
            yield Batch("playlist_tracks", _plays(numbered).join(ids, on="song", how="left", maintain_order="left"))

    def _song_ids(self, train: Path) -> pl.DataFrame:
        """song (its number), track_id"""
        ids = pl.Series("track_id", first_line(train)[0].split(), dtype=pl.String)
        if not len(ids) or ids.n_unique() < len(ids):
            raise InputError(f"{train}:1: must hold the ids of the songs, each once, with a space between")
        return ids.to_frame().with_row_index("song").with_columns(pl.col("song").cast(pl.Int64))


@dataclass(frozen=True)
class YesComplete(PublishedSet):
    """Format `yes-complete`: the titles and tags of all songs, for content. Source ids are the numbers of the songs."""

    namespace: ClassVar[str] = "yes-complete"

    @classmethod
    def open(cls, request: Request) -> Self:
        names = ("yes_complete__song_hash.txt", "yes_complete__tag_hash.txt", "yes_complete__tags.txt")
        return cls(expected_files(request.path, *names, form="yes-complete"), request.source or "yes-complete")

    def batches(self) -> Iterator[Batch]:
        songs, tag_names, tags = self.files
        for rows in _songs(songs):
            yield Batch("tracks", rows.with_columns(track_id=pl.col("song").cast(pl.String)))
        for rows in _tags(tags, tag_names, self.source):
            yield Batch("tags", rows.with_columns(subject_id=pl.col("song").cast(pl.String)), read=0)


def _songs(path: Path) -> Iterator[pl.DataFrame]:
    """song, title, artist_name; null where blank."""
    for rows in read_plain(path, ["song", "title", "artist_name"], header=False):
        number = pl.col("song").str.strip_chars().cast(pl.Int64, strict=False)
        names = (_unescaped(pl.col(name)).alias(name) for name in ("title", "artist_name"))
        yield flagged(rows.with_columns(number.alias("song"), *names), {"song is no number": pl.col("song").is_null()})


def _unescaped(text: pl.Expr) -> pl.Expr:
    r"""Without the JSON and HTML escapes that were left in (`w\/ Drake`, `&amp;`)."""
    plain = text.str.replace_all(r"\\t", " ").str.replace_all(r"\\(.)", "${1}").str.replace(r"\\$", '"')
    plain = without_entities(plain).str.strip_chars()
    return pl.when(plain != "").then(plain)


def _tags(path: Path, names: Path, source: str) -> Iterator[pl.DataFrame]:
    """A row a (song, tag). Line n of the file belongs to song n - 1."""
    tags = gathered(read_lines(names), ["_row"]).select(
        number=pl.col("_row").str.extract(r"^(\d+),").cast(pl.Int64, strict=False),
        tag=pl.col("_row").str.extract(r"^\d+,\s*(.+)$"),
    )
    for rows in read_lines(path):
        tagged = rows.with_columns(
            song=pl.col("_line") - 1,
            number=pl.col("_row").str.strip_chars().str.split(" "),
            subject_type=pl.lit("track"),
            weight=pl.lit(1.0),
            source=pl.lit(source),
        )
        one = tagged.filter(pl.col("_row").str.strip_chars() != NO_TAGS).explode("number")
        one = one.with_columns(pl.col("number").cast(pl.Int64, strict=False))
        yield one.join(tags, on="number", how="left", maintain_order="left")


def _plays(lines: pl.DataFrame) -> pl.DataFrame:
    """A row a song of a playlist, with its position from 0."""
    songs = lines.with_columns(song=pl.col("_row").str.strip_chars().str.split(" ")).explode("song")
    return songs.with_columns(
        pl.col("song").cast(pl.Int64, strict=False), position=pl.int_range(pl.len()).over("playlist_id")
    )

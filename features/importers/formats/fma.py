"""FMA, the Free Music Archive (Defferrard et al., ISMIR 2017; github.com/mdeff/fma): metadata of 106,574 tracks.

Of `fma_metadata.zip` are read `tracks.csv` (its header is three lines), `genres.csv` (the names of genres) and, where
it is there, `echonest.csv` (audio features of 13,129 tracks; its header is four lines). Not read: `features.csv` (518
statistics of the signal, made by librosa), the splits and subsets, and what people wrote about artists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, audio_features, expected_files, track_tags
from features.importers.reading import flagged, gathered, good, read_delimited
from features.importers.seen import Seen
from features.importers.values import milliseconds, typed

GENRES = ["genre_id", "#tracks", "parent", "title", "top_level"]
TRACKS = {
    "title": "track.title",
    "artist_name": "artist.name",
    "album": "album.id",
    "album_title": "album.title",
    "released": "album.date_released",
    "seconds": "track.duration",
    "licence": "track.license",
    "genres": "track.genres_all",
    "tags": "track.tags",
}
SOUND = "echonest.audio_features."
BATCH_ROWS = 10_000
"""Rows are long: they hold biographies."""


@dataclass(frozen=True)
class Fma(PublishedSet):
    """Format `fma`: tracks, their genres and tags, Echonest's audio features."""

    namespace: ClassVar[str] = "fma"

    @classmethod
    def open(cls, request: Request) -> Self:
        files = expected_files(request.path, "tracks.csv", "genres.csv", optional=["echonest.csv"], form="fma")
        return cls(files, request.source or "fma")

    def batches(self) -> Iterator[Batch]:
        genres = gathered(read_delimited(self.files[1], GENRES), GENRES)
        names = genres.unique("genre_id", keep="first").select(genre="genre_id", name="title")
        ids = Seen("track_id")
        for raw in _wide(self.files[0], 3, ["track_id", *TRACKS.values()]):
            rows = raw.rename({column: field for field, column in TRACKS.items()}).with_columns(
                album_id=pl.format("fma:{}", pl.col("album")),
                release_date=typed(pl.col("released").str.slice(0, 10), pl.String(), pl.Date()),
                duration_ms=milliseconds(pl.col("seconds")),
            )
            rows = flagged(
                rows,
                {
                    "track_id is no number": ~pl.col("track_id").str.contains(r"^\d+$"),
                    "an earlier row has this track": ~ids.first(rows),
                },
            )
            yield Batch("tracks", rows)
            named = good(rows).drop_nulls(["title", "artist_name"])
            tagged = named.with_columns(genre=pl.col("genres").str.extract_all(r"\d+")).explode("genre")
            tagged = tagged.join(names, on="genre", how="left", maintain_order="left")
            yield Batch("tags", track_tags(tagged, pl.concat_list("name"), self.source), read=0)
            yield Batch("tags", track_tags(named, _words(pl.col("tags")), self.source), read=0)
        for path in self.files[2:]:
            for rows in _wide(path, 4, ["track_id"]):
                sound = {column: column.removeprefix(SOUND) for column in rows.columns if column.startswith(SOUND)}
                yield Batch("audio_features", audio_features(rows.rename(sound), list(sound.values())))


def _wide(path: Path, header_lines: int, needed: list[str]) -> Iterator[pl.DataFrame]:
    return read_delimited(path, header_lines=header_lines, needed=needed, batch_rows=BATCH_ROWS)


def _words(text: pl.Expr) -> pl.Expr:
    """The items of a Python list as it is printed.

    >>> pl.select(_words(pl.lit("['lo-fi', \\"rock'n'roll\\"]"))).to_series().to_list()
    [['lo-fi', "rock'n'roll"]]
    """
    return text.str.extract_all(r"'[^']*'|\"[^\"]*\"").list.eval(pl.element().str.slice(1).str.head(-1))

"""KKBOX, WSDM Cup 2018: first listens to songs, and whether the listener came back to the song within a month.

Layout, and terms: kaggle.com/c/kkbox-music-recommendation-challenge. `members.csv` (city, age, gender) is not read:
nothing here needs to know who listens. Nor is `test.csv`, which has no outcomes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, expected_files, quarantined, track_tags
from features.importers.formats.logs import context
from features.importers.reading import flagged, gathered, good, read_delimited, read_plain
from recsys.errors import InputError

SONGS = ["song_id", "song_length", "genre_ids", "artist_name", "composer", "lyricist", "language"]
NAMES = ["song_id", "name", "isrc"]
LISTENS = ["msno", "song_id", "source_system_tab", "source_screen_name", "source_type", "target"]


@dataclass(frozen=True)
class KkBox(PublishedSet):
    """Format `kkbox`: events without times, in the order of the file; tracks with ISRC; genres and languages as tags.

    Every row is a play, the first that was seen of this listener and song. Its outcome, whether they came back within a
    month, is `again` in `context`: true of the future, and so never to be used as a feature of that play.
    """

    namespace: ClassVar[str] = "kkbox"

    @classmethod
    def open(cls, request: Request) -> Self:
        names = ("songs.csv", "song_extra_info.csv", "train.csv")
        if packed := [f.name for f in request.path.glob("*.csv.7z") if not (request.path / f.stem).is_file()]:
            raise InputError(f"{request.path}: kkbox expects {', '.join(names)}; unpack {', '.join(sorted(packed))}")
        return cls(expected_files(request.path, *names, form="kkbox"), request.source or "kkbox")

    def batches(self) -> Iterator[Batch]:
        songs, names, listens = self.files
        for rows in read_delimited(names, NAMES):
            yield quarantined(rows, read=len(rows))
        titles = gathered(read_delimited(names, NAMES), NAMES).unique("song_id", keep="first")
        yield from self._tracks(songs, titles)
        for rows in read_plain(listens, LISTENS, separator=",", batch_rows=100_000):
            events = rows.with_columns(
                user_id=pl.format("kkbox:{}", pl.col("msno")),
                track_id=pl.col("song_id"),
                position=pl.col("_line") - 2,
                action=pl.lit("play"),
                context=context(
                    tab=pl.col("source_system_tab"),
                    screen=pl.col("source_screen_name"),
                    type=pl.col("source_type"),
                    again=pl.col("target") == "1",
                ),
            )
            known = pl.col("target").is_in(["0", "1"]).fill_null(False)
            yield Batch("events", flagged(events, {"target is neither 0 nor 1": ~known}))

    def _tracks(self, songs: Path, titles: pl.DataFrame) -> Iterator[Batch]:
        """A song without a name is called by its id; of several artists the first counts."""
        for raw in read_delimited(songs, SONGS):
            rows = raw.join(titles, on="song_id", how="left", maintain_order="left")
            length = pl.col("song_length").cast(pl.Int64, strict=False)
            rows = rows.with_columns(
                track_id=pl.col("song_id"),
                title=pl.coalesce("name", "song_id"),
                artist_name=pl.coalesce(pl.col("artist_name").str.split("|").list.first().str.strip_chars(), "song_id"),
                duration_ms=pl.when(length > 0).then(length),
            )
            yield Batch("tracks", rows)
            language = pl.col("language").cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
            genres = pl.col("genre_ids").str.split("|").fill_null([])
            tags = pl.concat_list(
                genres.list.eval(pl.format("genre {}", pl.element().str.strip_chars())),
                pl.when(language >= 0).then(pl.format("language {}", language)),
            )
            yield Batch("tags", track_tags(good(rows), tags, self.source), read=0)

"""The musiXmatch set of the Million Song Dataset (millionsongdataset.com/musixmatch): 237,662 lyrics as bags of words.

What the publisher distributes, for academic research, is counts of the 5,000 most frequent word stems, never a text;
the order of the words is gone. The counts land in `lyrics` as `word:<stem>` (some 19 million rows, all told), with
`n_words` and `n_distinct` over them; the rarer words of a song are in none. No library at hand tells the language of a
bag of stems honestly: it is `und` (undetermined).

Lyrics name recordings (TR..) only, so the set needs the import of `million-song` (`Format.after`), which has their
names and the songs that they belong to. Of several recordings of a song the musiXmatch team skipped most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, expected_files
from features.importers.formats.million_song import TRACK_NAMESPACE
from features.importers.reading import flagged, good, read_lines
from features.importers.seen import Seen
from recsys.errors import InputError

BATCH_LINES = 2_000
"""A line has 80 words or so."""


@dataclass(frozen=True)
class MusiXmatch(PublishedSet):
    """Format `musixmatch`: `lyrics`, one row a track and word, and two a track that sum them up."""

    namespace: ClassVar[str] = TRACK_NAMESPACE

    @classmethod
    def open(cls, request: Request) -> Self:
        files = expected_files(request.path, "mxm_dataset_train.txt", "mxm_dataset_test.txt", form="musixmatch")
        return cls(files, request.source or "musixmatch")

    def batches(self) -> Iterator[Batch]:
        tracks = Seen("track_id")
        for path in self.files:
            words = _words(path)
            for lines in read_lines(path, batch_rows=BATCH_LINES):
                rows = lines.filter(~pl.col("_row").str.starts_with("#"), ~pl.col("_row").str.starts_with("%"))
                fields = pl.col("_row").str.split(",")
                rows = rows.with_columns(track_id=fields.list.first(), pairs=fields.list.slice(2))
                form = pl.col("_row").str.contains(r"^TR\w+,\d+(,\d+:\d+)+$")
                last = (
                    pl.col("pairs")
                    .list.eval(pl.element().str.extract(r"^(\d+)").cast(pl.Int64, strict=False))
                    .list.max()
                )
                rows = flagged(rows, {"not TRACK,MXM,word:count,...": ~form})
                rows = flagged(rows, {"no such word in the list of words": (last > len(words)) | (last < 1)})
                rows = flagged(rows, {"an earlier line has this track": ~tracks.first(rows)})
                yield Batch("lyrics", rows.filter(pl.col("_reason").is_not_null()))
                counted = _counted(good(rows), words)
                yield Batch("lyrics", counted)
                yield Batch("lyrics", _summed(counted), read=0)


def _words(path: Path) -> pl.Series:
    """The line that starts with %: the words by number, from 1."""
    first = next(read_lines(path, batch_rows=1_000), pl.DataFrame({"_row": []}, schema={"_row": pl.String}))
    line = first.filter(pl.col("_row").str.starts_with("%"))["_row"]
    if line.is_empty():
        raise InputError(f"{path}: no line starts with %; musixmatch expects one with the words: %i,the,you,...")
    return line[0:1].str.slice(1).str.split(",").explode().alias("word")


def _counted(rows: pl.DataFrame, words: pl.Series) -> pl.DataFrame:
    """A row a track and word."""
    pairs = rows.explode("pairs").with_columns(pl.col("pairs").str.split_exact(":", 1).struct.unnest())
    return pairs.select(
        "track_id",
        *("_file", "_line", "_row"),
        language=pl.lit("und"),
        name="word:" + pl.lit(words).gather(pl.col("field_0").cast(pl.Int64, strict=False) - 1),
        value=pl.col("field_1").cast(pl.Float32),
    )


def _summed(counted: pl.DataFrame) -> pl.DataFrame:
    """`n_words` and `n_distinct` of each track."""
    by_track = counted.group_by("track_id", "language", "_file", "_line", "_row", maintain_order=True).agg(
        n_words=pl.col("value").sum(), n_distinct=pl.len().cast(pl.Float32)
    )
    return by_track.unpivot(
        on=["n_words", "n_distinct"],
        index=["track_id", "language", "_file", "_line", "_row"],
        variable_name="name",
        value_name="value",
    )

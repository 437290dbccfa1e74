"""MTG-Jamendo: genre, mood and instrument tags of 55,525 tracks (Bogdanov et al., 2019; CC BY-NC-SA 4.0).

Tracks have ids but neither titles nor artist names: the ids stand for them, and nothing joins by name. Carriage returns
that were left inside the tag column make two of many a tag; they are taken off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl

from features.importers.base import Batch, Request, expected_files, track_tags
from features.importers.reading import flagged, good, read_plain

COLUMNS = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]


@dataclass(frozen=True)
class MtgJamendo:
    """Format `mtg-jamendo`: tracks with their length, and tags without their category (`genre---rock` is `rock`)."""

    files: tuple[Path, ...]
    source: str
    namespace: ClassVar[str] = "jamendo"
    version: ClassVar[int] = 1
    options: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def open(cls, request: Request) -> Self:
        files = expected_files(request.path, "jamendo_tags_union.tsv", form="mtg-jamendo")
        return cls(files, request.source or "mtg-jamendo")

    def batches(self) -> Iterator[Batch]:
        for raw in read_plain(self.files[0], COLUMNS):
            rows = raw.rename({"TRACK_ID": "track_id", "ALBUM_ID": "album_id"}).with_columns(
                title=pl.col("track_id"),
                artist_name=pl.col("ARTIST_ID"),
                artist_id=pl.format("jamendo:{}", pl.col("ARTIST_ID")),
                duration_ms=(pl.col("DURATION").cast(pl.Float64, strict=False) * 1000).round().cast(pl.Int64),
            )
            rows = flagged(rows, {"DURATION is no number": pl.col("duration_ms").is_null()})
            yield Batch("tracks", rows)
            names = pl.col("TAGS").str.replace_all("\r", "").str.split(",")
            names = names.list.eval(pl.element().str.replace("^.*---", "").str.strip_chars()).list.unique(
                maintain_order=True
            )
            yield Batch("tags", track_tags(good(rows), names, self.source), read=0)

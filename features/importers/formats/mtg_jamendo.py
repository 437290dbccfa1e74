"""MTG-Jamendo: genre, mood and instrument tags of some 55,000 tracks (Bogdanov et al., 2019; CC BY-NC-SA 4.0).

The publisher's `data/` holds one set in several states (github.com/MTG/mtg-jamendo-dataset); of a folder the first of
`TAG_FILES` is read. A row ends in its tags, with tabs between them; in `jamendo_tags_union.tsv` with commas. The names
of tracks, artists and albums are in `*.meta.tsv`; where that is missing the ids stand for them, and nothing joins by
name. Carriage returns that were left inside the tag column make two of many a tag; they are taken off. Two rows of
`raw.meta.tsv` have an empty field too many after the title.
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
    artist_id,
    found_file,
    quarantined,
    real_files,
    track_tags,
)
from features.importers.reading import first_line, flagged, good, read_lines, shown
from features.importers.values import milliseconds, typed
from recsys.errors import InputError

COLUMNS = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
NAMES = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "TRACK_NAME", "ARTIST_NAME", "ALBUM_NAME", "RELEASEDATE", "URL"]
TAG_FILES = (
    "jamendo_tags_union.tsv",
    "autotagging.tsv",
    "raw_30s_cleantags_50artists.tsv",
    "raw_30s_cleantags.tsv",
    "raw_30s.tsv",
    "autotagging_top50tags.tsv",
    "autotagging_genre.tsv",
    "autotagging_instrument.tsv",
    "autotagging_moodtheme.tsv",
)


@dataclass(frozen=True)
class MtgJamendo(PublishedSet):
    """Format `mtg-jamendo`: tracks with their length, and tags without their category (`genre---rock` is `rock`).

    Files: the tags, then the names.
    """

    namespace: ClassVar[str] = "jamendo"
    version: ClassVar[int] = 2

    @classmethod
    def open(cls, request: Request) -> Self:
        path = request.path / "data" if (request.path / "data").is_dir() else request.path
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; mtg-jamendo expects one of {', '.join(TAG_FILES)}")
        folder = path if path.is_dir() else path.parent
        names = TAG_FILES if path.is_dir() else (path.name,)
        tags = [file for name in names if (file := found_file(folder, name))][:1]
        if not tags:
            raise InputError(f"{path}: mtg-jamendo expects one of {', '.join(TAG_FILES)}; none is there")
        return cls(
            (*tags, *real_files(folder.glob("*.meta.tsv*"))),
            request.source or "mtg-jamendo",
        )

    def batches(self) -> Iterator[Batch]:
        names = pl.DataFrame(schema=dict.fromkeys(NAMES, pl.String))
        for path in self.files[1:]:
            for rows in _rows(path, NAMES):
                yield quarantined(rows, read=rows["_reason"].count())
                names = pl.concat([names, good(rows).select(NAMES)])
        known = names.unique("TRACK_ID", keep="first").drop("ARTIST_ID", "ALBUM_ID", "URL")
        for raw in _rows(self.files[0], COLUMNS):
            rows = raw.join(known, on="TRACK_ID", how="left", maintain_order="left").with_columns(
                track_id="TRACK_ID",
                title=pl.coalesce("TRACK_NAME", "TRACK_ID"),
                artist_name=pl.coalesce("ARTIST_NAME", "ARTIST_ID"),
                artist_id=pl.coalesce(artist_id(pl.col("ARTIST_NAME")), pl.format("jamendo:{}", pl.col("ARTIST_ID"))),
                album_id="ALBUM_ID",
                album_title="ALBUM_NAME",
                release_date=typed(pl.col("RELEASEDATE"), pl.String(), pl.Date()),
                duration_ms=milliseconds(pl.col("DURATION")),
            )
            rows = flagged(rows, {"DURATION is no number": pl.col("duration_ms").is_null()})
            yield Batch("tracks", rows)
            tags = pl.col("TAGS").str.replace_all("\r", "").str.replace_all("\t", ",").str.split(",")
            tags = tags.list.eval(pl.element().str.replace("^.*---", "").str.strip_chars()).list.unique(
                maintain_order=True
            )
            yield Batch("tags", track_tags(good(rows), tags, self.source), read=0)


def _rows(path: Path, columns: list[str]) -> Iterator[pl.DataFrame]:
    """``columns`` of text, a blank field as null; the last one takes all that is left of the row."""
    header, skip = first_line(path)
    if header.split("\t") != columns:
        raise InputError(f"{path}:1: the first line must be {' '.join(columns)!r}, not {shown(header)}")
    for lines in read_lines(path, skip=skip):
        text = pl.col("_row")
        if columns == NAMES:
            text = text.str.replace(r"^((?:[^\t]*\t){4})\t((?:[^\t]*\t){3}[^\t]*)$", "${1}${2}")
        fields = text.str.splitn("\t", len(columns)).struct.rename_fields(columns).struct.unnest()
        rows = lines.with_columns(fields)
        short = pl.col(columns[-1]).is_null()
        blank = (pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)).alias(name) for name in columns)
        yield flagged(rows, {f"fewer than {len(columns)} fields": short}).with_columns(blank)

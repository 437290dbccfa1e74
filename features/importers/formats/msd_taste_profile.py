"""The Echo Nest Taste Profile of the Million Song Dataset (McFee et al., 2012): 48,373,586 play counts by song.

`train_triplets.txt` (1,019,318 listeners, 384,546 songs) and the challenge's `kaggle_visible_evaluation_triplets.txt`
(110,000 other listeners, half of each one's songs) have one layout: listener, song id, plays. A folder is read for
these two; another file of that layout (the hidden half) is read where PATH is the file itself.

Songs are named by id only, so the set needs the import of `million-song` (`Format.after`): placeholders for the titles
would stay in the catalogue for good, since a track belongs to the source that brought it first.

`sid_mismatches.txt`, where it lies beside, lists songs whose id was matched with another song's recording: the title
would be wrong. Their rows go to quarantine (about a twentieth).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, bare_name, found_file
from features.importers.reading import flagged, read_lines, read_plain
from recsys.errors import InputError

TRIPLETS = ("train_triplets.txt", "kaggle_visible_evaluation_triplets.txt")
MISMATCHES = "sid_mismatches.txt"
BATCH_ROWS = 250_000
"""Rows are short, and each batch is looked up among all songs of the catalogue."""


@dataclass(frozen=True)
class MsdTasteProfile(PublishedSet):
    """Format `msd-taste-profile`: interactions (listener, track, plays)."""

    namespace: ClassVar[str] = "msd"

    @classmethod
    def open(cls, request: Request) -> Self:
        path = request.path
        folder = path if path.is_dir() else path.parent
        names = [path.name] if path.is_file() else list(TRIPLETS)
        triplets = [file for name in names if (file := found_file(folder, name))]
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; msd-taste-profile expects {' or '.join(TRIPLETS)}")
        if not triplets:
            raise InputError(f"{path}: msd-taste-profile expects {' or '.join(TRIPLETS)}; neither is there")
        mismatches = found_file(folder, MISMATCHES)
        return cls((*triplets, mismatches) if mismatches else tuple(triplets), request.source or "msd-taste-profile")

    def batches(self) -> Iterator[Batch]:
        triplets = [path for path in self.files if bare_name(path) != MISMATCHES]
        wrong = _mismatched(self.files[-1]) if len(triplets) < len(self.files) else pl.Series(dtype=pl.String)
        for path in triplets:
            for raw in read_plain(path, ["user", "item_id", "weight"], header=False, batch_rows=BATCH_ROWS):
                rows = raw.with_columns(user_id=pl.format("msd:{}", pl.col("user")), item_type=pl.lit("track"))
                reasons = {
                    "plays are no whole number above 0": ~pl.col("weight").str.contains(r"^0*[1-9]\d*\s*$"),
                    f"{MISMATCHES}: the song was matched with another": pl.col("item_id").is_in(wrong.implode()),
                }
                yield Batch("interactions", flagged(rows, reasons))


def _mismatched(path: Path) -> pl.Series:
    """Song ids of lines such as `ERROR: <SOUMNSI12AB0182807 TRMMGKQ128F9325E10> artist - title != ...`."""
    parts = [rows["_row"].str.extract(r"<(SO\w+) TR\w+>") for rows in read_lines(path)]
    songs = pl.concat([pl.Series(dtype=pl.String), *parts]).drop_nulls().unique()
    if songs.is_empty():
        raise InputError(f"{path}:1: must hold lines with <SO.. TR..>")
    return songs

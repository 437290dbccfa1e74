"""The Spotify Million Playlist Dataset as published for the RecSys Challenge 2018 (Chen et al., RecSys 2018).

`mpd.slice.<first>-<last>.json`, 1,000 files of 1,000 playlists each, and `challenge_set.json`, 10,000 playlists of
which only the seed tracks are published. A Spark job reads them (`mpd_job`, beside this file); what it writes under
$TMPDIR goes through the same sink as every other source.

All files are summed before the job, as for every format: an import is known by what its files hold, not by their dates,
so that a second import of a fresh copy still adds nothing. That reads the 33 GB a second time, at the speed of SHA-256
(over 1 GB a second), a small part of what parsing takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Self

import polars as pl
import pyarrow.parquet as pq

from features.importers.base import Batch, PublishedSet, Request
from recsys.errors import InputError

_SLICE = re.compile(r"mpd\.slice\.(\d+)-\d+\.json")
_BATCH_ROWS = 500_000


@dataclass(frozen=True)
class Mpd(PublishedSet):
    """Format `mpd`: the slices. Source ids of tracks are Spotify's; a playlist is `mpd:<pid>`.

    Not kept: what counts the tracks can tell (num_tracks, num_albums, num_artists, num_edits, duration_ms of the
    playlist) and `collaborative`. Line numbers in the quarantine are those on which the playlist starts.
    """

    namespace: ClassVar[str] = "spotify"
    empty_allowed: bool = False

    @classmethod
    def open(cls, request: Request) -> Self:
        path = request.path
        numbered = {int(m[1]): f for f in path.glob("mpd.slice.*.json") if (m := _SLICE.fullmatch(f.name))}
        if not numbered:
            raise InputError(f"{path}: mpd expects a folder with mpd.slice.<first>-<last>.json")
        return cls(tuple(numbered[first] for first in sorted(numbered)), request.source or "mpd")

    @classmethod
    def open_challenge(cls, request: Request) -> Self:
        """Format `mpd-challenge`: `challenge_set.json`, or the folder that holds it.

        A source of its own, because its playlists end after their seeds: mixed into the slices they would teach a model
        where playlists end, and pass for test rows without answers.
        """
        file = request.path / "challenge_set.json" if request.path.is_dir() else request.path
        if not file.is_file():
            raise InputError(f"{file}: no such file; mpd-challenge expects challenge_set.json")
        return cls((file,), source=request.source or "mpd-challenge", empty_allowed=True)

    def batches(self) -> Iterator[Batch]:
        from features.importers.formats import mpd_job
        from features.spark import spark_session

        with TemporaryDirectory(prefix="segue-mpd-") as folder, spark_session(app="segue import mpd") as spark:
            out = Path(folder)
            mpd_job.run(spark, self.files, self.source, out, empty_allowed=self.empty_allowed)
            for rows in _rows(out / "tracks"):
                yield Batch("tracks", rows, read=0)
            for table in ("playlists", "playlist_tracks"):
                for rows in _rows(out / table):
                    yield Batch(table, rows)


def _rows(folder: Path) -> Iterator[pl.DataFrame]:
    for part in sorted(folder.glob("part-*.parquet")):
        for batch in pq.ParquetFile(part).iter_batches(_BATCH_ROWS):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame

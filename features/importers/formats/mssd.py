"""Music Streaming Sessions Dataset: 160 million Spotify sessions with skips (Brost et al., 2019), and its challenge.

Layout: the publisher's "Dataset Description" (AIcrowd, Spotify Sequential Skip Prediction Challenge, WSDM Cup 2019).
`training_set/log_*.csv` holds a row a track of a session; `track_features/tf_*.csv` what the tracks sound like;
`test_set/` of each session the first half (`log_prehistory_*.csv`), and of the second only which tracks came
(`log_input_*.csv`). Tracks are ids, without titles or artists. There are no listeners, only sessions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl

from features.importers.base import PROVENANCE, Batch, Request, audio_features, names_of, quarantined, real_files
from features.importers.formats.logs import context
from features.importers.reading import flagged, good, read_plain
from features.importers.seen import Seen
from features.importers.values import milliseconds
from recsys.errors import InputError

_LOG = re.compile(r"log_(?!prehistory|input).*\.csv(\.gz|\.xz|\.zst)?")
_PREHISTORY = re.compile(r"log_prehistory_.*\.csv(\.gz|\.xz|\.zst)?")
_INPUT = re.compile(r"log_input_.*\.csv(\.gz|\.xz|\.zst)?")
_FEATURES = re.compile(r"tf_.*\.csv(\.gz|\.xz|\.zst)?")
LEVELS = {"skip_1": "very briefly", "skip_2": "briefly", "skip_3": "mostly", "not_skipped": "whole"}
"""Column -> how much of the track was heard, the least first."""
INPUTS = ("session_id", "session_position", "track_id_clean")
PLAYS = (
    *INPUTS, *LEVELS, "hist_user_behavior_is_shuffle", "hour_of_day", "date", "premium", "context_type",
    "hist_user_behavior_reason_start",
)  # fmt: skip
NO_SOUND = ("track_id", "duration", "release_year", "us_popularity_estimate")
"""Columns of the track features that are none of the audio; the popularity is not taken."""
BATCH_ROWS = 100_000


@dataclass(frozen=True)
class Mssd:
    """Formats `mssd` and `mssd-challenge`: events of sessions, audio features.

    A track that was played only briefly (`skip_2`, which the challenge predicts; it includes `skip_1`) is a skip, any
    other a play. What the four levels say is `heard` in `context`: how it went, and so no feature of the play itself.
    The day is known and the hour, not the minute: `ts` is the day, the hour is in `context`, the position is the order.
    """

    features: tuple[Path, ...]
    logs: tuple[Path, ...]
    inputs: tuple[Path, ...]
    source: str
    namespace: ClassVar[str] = "mssd"
    version: ClassVar[int] = 1
    options: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def open(cls, request: Request) -> Self:
        logs = _found(request.path, _LOG, "mssd", "log_*.csv (training_set), if any tf_*.csv (track_features)")
        return cls(_found(request.path, _FEATURES), logs, (), request.source or "mssd")

    @classmethod
    def open_challenge(cls, request: Request) -> Self:
        """Format `mssd-challenge`. A source of its own, because its sessions end in the middle.

        The second half, of which no outcome is published, becomes a playlist a session, named as the session is.
        """
        expected = "log_prehistory_*.csv, log_input_*.csv (test_set), if any tf_*.csv (track_features)"
        logs, inputs = (_found(request.path, kind, "mssd-challenge", expected) for kind in (_PREHISTORY, _INPUT))
        return cls(_found(request.path, _FEATURES), logs, inputs, request.source or "mssd-challenge")

    @property
    def files(self) -> tuple[Path, ...]:
        return self.features + self.logs + self.inputs

    def batches(self) -> Iterator[Batch]:
        tracks, sessions = Seen("track_id"), Seen("playlist_id")
        for raw in self._rows(self.features, *NO_SOUND, "mode"):
            yield quarantined(raw, read=len(raw))
            sound = good(raw)
            rows = flagged(_described(sound), {"an earlier row has this track": ~tracks.first(sound)})
            yield Batch("tracks", rows, read=0)
            names = [name for name in raw.columns if name not in (*NO_SOUND, *PROVENANCE)]
            yield Batch("audio_features", audio_features(good(rows), names), read=0)
        for raw in self._rows(self.logs, *PLAYS):
            rows = _events(_named(raw))
            yield Batch("tracks", _new(rows, tracks), read=0)
            yield Batch("events", rows)
        for raw in self._rows(self.inputs, *INPUTS):
            rows = _named(raw).with_columns(playlist_id=pl.format("mssd:{}", pl.col("session_id")))
            yield Batch("tracks", _new(rows, tracks), read=0)
            named = good(rows).drop_nulls("playlist_id")
            yield Batch("playlists", named.filter(sessions.first(named)), read=0)
            yield Batch("playlist_tracks", rows)

    def _rows(self, files: tuple[Path, ...], *columns: str) -> Iterator[pl.DataFrame]:
        """All columns as text. Raises InputError where a first line does not name ``columns``."""
        names = dict(zip(self.files, names_of(self.files), strict=True))
        for file in files:
            for rows in read_plain(file, None, separator=",", needed=columns, batch_rows=BATCH_ROWS):
                yield rows.with_columns(_file=pl.lit(names[file]))


def _found(path: Path, kind: re.Pattern[str], form: str | None = None, expected: str = "") -> tuple[Path, ...]:
    """The files of ``kind`` in ``path`` and below it. Raises InputError where a ``form`` expects some."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; {form or 'mssd'} expects a folder with {expected}")
    found = real_files(f for f in path.rglob("*.csv*") if kind.fullmatch(f.name))
    if form and not found:
        raise InputError(f"{path}: {form} expects {expected}, or the same with .gz, in it or below it")
    return found


def _described(raw: pl.DataFrame) -> pl.DataFrame:
    """Rows of `tracks`: an id stands for the title, and for an artist of its own."""
    length = milliseconds(pl.col("duration"))
    year = pl.col("release_year").cast(pl.Int32, strict=False)
    return _titled(raw).with_columns(
        duration_ms=pl.when(length > 0).then(length),
        release_date=pl.date(year, 1, 1),
        mode=pl.col("mode").replace({"major": "1", "minor": "0"}),  # As in Spotify's own features.
    )


def _titled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        title=pl.col("track_id"), artist_name=pl.col("track_id"), artist_id=pl.format("mssd:{}", "track_id")
    )


def _named(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.rename({"track_id_clean": "track_id", "session_position": "position"})


def _new(rows: pl.DataFrame, tracks: Seen) -> pl.DataFrame:
    """The tracks that neither the features nor a row before described."""
    sound = good(rows).drop_nulls("track_id")
    return _titled(sound.filter(tracks.first(sound)))


def _events(rows: pl.DataFrame) -> pl.DataFrame:
    heard = pl.coalesce(pl.when(_is(column)).then(pl.lit(word)) for column, word in LEVELS.items())
    rows = rows.with_columns(
        user_id=pl.format("mssd:{}", pl.col("session_id")),
        session_id=pl.format("mssd:{}", pl.col("session_id")),
        ts=pl.col("date").str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us", "UTC")),
        action=pl.when(_is("skip_2")).then(pl.lit("skip")).otherwise(pl.lit("play")),
        context=context(
            hour=pl.col("hour_of_day").cast(pl.Int8, strict=False),
            type=pl.col("context_type"),
            start=pl.col("hist_user_behavior_reason_start"),
            shuffle=_is("hist_user_behavior_is_shuffle"),
            premium=_is("premium"),
            heard=heard,
        ),
    )
    unknown = pl.all_horizontal(pl.col(list(LEVELS)).is_null())
    return flagged(rows, {"no skip levels": unknown, "malformed date": pl.col("ts").is_null()})


def _is(column: str) -> pl.Expr:
    return pl.col(column).str.to_lowercase().is_in(["true", "1"])

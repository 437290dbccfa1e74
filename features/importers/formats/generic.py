"""Files of your own layout: formats `events`, `tracks`, `playlists` and `tags`, from CSV, TSV, JSON lines or Parquet.

A field takes the column of its own name, unless `--map FIELD=COLUMN` or the table `[columns.<format>]` of segue.toml
names another one; other columns are passed over. In JSON lines `a.b` is `b` inside `a`.

Imports under one `--source` share their ids, so that `tracks` of one file can be named by `events` of another. Every
format may also describe its tracks in the same row (title, artist_name and what else `tracks` has); a track without an
id of its own is known by artist and title.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl
import pyarrow as pa
from pydantic import Field

from features.importers.base import PROVENANCE, Batch, Request, artist_id, name_id
from features.importers.seen import Seen
from features.importers.tabular import READERS, data_files, ending
from features.importers.values import typed
from recsys import schema
from recsys.errors import InputError
from recsys.settings import Settings

# The sink makes these of the names.
_DESCRIPTION = pa.schema(f for f in schema.TRACKS if f.name not in ("artist_id", "name_key"))
_TRACK = frozenset({"track_id"}), frozenset({"artist_name", "title"})


class ColumnSettings(Settings, table="columns"):
    """Table `[columns]` of segue.toml: field -> column of your files, for each format. `--map` goes before it."""

    events: dict[str, str] = Field(default_factory=dict)
    """`[columns.events]`: user_id = "listener", ts = "played_at", ..."""
    tracks: dict[str, str] = Field(default_factory=dict)
    """`[columns.tracks]`"""
    playlists: dict[str, str] = Field(default_factory=dict)
    """`[columns.playlists]`; a row is a track of a playlist."""
    tags: dict[str, str] = Field(default_factory=dict)
    """`[columns.tags]`"""


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a format's rows may hold, what they must, and how they become tables."""

    tables: tuple[pa.Schema, ...]
    needs: tuple[frozenset[str], ...]
    """The fields of one of these sets must be there."""
    batches: Callable[[pl.DataFrame, str], Iterator[Batch]]
    """(good rows, source) -> batches."""
    owner: str | None = None
    """The field within whose rows the position counts where none is given."""

    @property
    def kinds(self) -> dict[str, pl.DataType]:
        """Field -> type."""
        return {k: v for table in self.tables for k, v in pl.DataFrame(table.empty_table()).schema.items()}


def _described(rows: pl.DataFrame) -> Iterator[Batch]:
    if {"title", "artist_name"} <= set(rows.columns):
        yield Batch("tracks", rows.filter(pl.col("title").is_not_null() & pl.col("artist_name").is_not_null()), read=0)


def _tracks(rows: pl.DataFrame, source: str) -> Iterator[Batch]:
    yield Batch("tracks", rows)


def _events(rows: pl.DataFrame, source: str) -> Iterator[Batch]:
    action = pl.col("action").str.to_lowercase() if "action" in rows.columns else pl.lit("play").alias("action")
    yield from _described(rows)
    yield Batch("events", rows.with_columns(action))


def _playlists(rows: pl.DataFrame, source: str) -> Iterator[Batch]:
    yield from _described(rows)
    yield Batch("playlists", rows.filter(pl.col("_nth") == 0, pl.col("playlist_id").is_not_null()), read=0)
    yield Batch("playlist_tracks", rows)


def _tags(rows: pl.DataFrame, source: str) -> Iterator[Batch]:
    yield from _described(rows)
    if "subject_id" not in rows.columns:
        of_track = "track_id" in rows.columns
        subject = pl.col("track_id") if of_track else artist_id(pl.col("artist_name"))
        rows = rows.with_columns(subject.alias("subject_id"), subject_type=pl.lit("track" if of_track else "artist"))
    defaults = {"subject_type": "track", "weight": 1.0, "source": source}
    yield Batch("tags", rows.with_columns(pl.lit(v).alias(k) for k, v in defaults.items() if k not in rows.columns))


_LAYOUTS = {
    "events": _Layout(
        (schema.EVENTS, _DESCRIPTION),
        tuple(track | {"user_id"} for track in _TRACK),
        _events,
        owner="user_id",
    ),
    "tracks": _Layout((_DESCRIPTION,), (frozenset({"artist_name", "title"}),), _tracks),
    "playlists": _Layout(
        (schema.PLAYLIST_TRACKS, schema.PLAYLISTS, _DESCRIPTION),
        tuple(track | {"playlist_id"} for track in _TRACK),
        _playlists,
        owner="playlist_id",
    ),
    "tags": _Layout(
        (schema.TAGS, _DESCRIPTION),
        tuple(frozenset({"tag", subject}) for subject in ("track_id", "subject_id", "artist_name")),
        _tags,
    ),
}
_WORDS: dict[pl.DataType, str] = {
    pl.Datetime("us", "UTC"): "time (ISO 8601 or epoch)",
    pl.Date(): "date",
    pl.Int64(): "whole number",
    pl.Float32(): "number",
    pl.Boolean(): "true or false",
}


def _word(kind: pl.DataType) -> str:
    return _WORDS.get(kind, "text")


@dataclass(frozen=True)
class Generic:
    """One of the four formats, with its mapping."""

    form: str
    files: tuple[Path, ...]
    source: str
    columns: Mapping[str, str]
    """Field -> column."""
    version: ClassVar[int] = 1

    @classmethod
    def open(cls, form: str, request: Request) -> Self:
        columns = {**getattr(ColumnSettings.load(), form), **request.columns}
        known = sorted(_LAYOUTS[form].kinds)
        if unknown := sorted(set(columns) - set(known)):
            raise InputError(f"--map {unknown[0]}: {form} has no such field; it has {', '.join(known)}")
        return cls(form, data_files(request.path, form), request.source or "own", columns)

    @property
    def namespace(self) -> str:
        return self.source

    @property
    def options(self) -> Mapping[str, Any]:
        return {"columns": dict(sorted(self.columns.items()))}

    def batches(self) -> Iterator[Batch]:
        layout = _LAYOUTS[self.form]
        columns = {field: self.columns.get(field, field) for field in layout.kinds}
        seen = Seen(layout.owner) if layout.owner else None
        for file in self.files:
            for number, raw in enumerate(READERS[ending(file)](file, tuple(set(columns.values())))):
                present = {field: column for field, column in columns.items() if column in raw.columns}
                if number == 0:
                    self._check_columns(file, raw, present)
                rows = _typed(raw, present, layout.kinds)
                if {"title", "artist_name"} <= set(present):
                    rows = rows.with_columns(track_id=_track_id(present))
                bad, rows = rows.filter(pl.col("_reason").is_not_null()), rows.filter(pl.col("_reason").is_null())
                if seen:
                    rows = _counted(rows, seen)
                yield Batch("quarantine", bad.select(file="_file", line="_line", reason="_reason", row="_row"))
                yield from layout.batches(rows, self.source)

    def _check_columns(self, file: Path, raw: pl.DataFrame, present: Mapping[str, str]) -> None:
        there = ", ".join(column for column in raw.columns if column not in PROVENANCE)
        if missing := [f"{f}={c}" for f, c in self.columns.items() if f not in present]:
            raise InputError(f"{file}: --map {missing[0]} names no column of it; it has {there}")
        kinds = _LAYOUTS[self.form].kinds
        for field, column in present.items():
            if isinstance(raw.schema[column], pl.List) and kinds[field] != pl.List(pl.String):
                raise InputError(
                    f"{file}: column {column} holds lists; {field} must be one {_word(kinds[field])} a row"
                )
        needs = _LAYOUTS[self.form].needs
        if not any(need <= set(present) for need in needs):
            wanted = "; or ".join(" and ".join(sorted(need)) for need in needs)
            raise InputError(f"{file}: {self.form} needs {wanted}; name their columns: --map FIELD=COLUMN ({there})")


def _track_id(present: Mapping[str, str]) -> pl.Expr:
    """The track's own id; where it has none, its name."""
    by_name = name_id(pl.col("artist_name"), pl.col("title"))
    return pl.coalesce("track_id", by_name) if "track_id" in present else by_name


def _typed(raw: pl.DataFrame, present: Mapping[str, str], kinds: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The fields in the types of the schema; a value that cannot be read is the reason against its row."""
    values = {f: typed(pl.col(c), raw.schema[c], kinds[f]) for f, c in present.items()}
    unread = [
        pl.when(pl.col(column).is_not_null() & values[field].is_null()).then(
            pl.lit(f"{field} is no {_word(kinds[field])}")
        )
        for field, column in present.items()
    ]
    return raw.select(**values, _reason=pl.coalesce("_reason", *unread), _file="_file", _line="_line", _row="_row")


def _counted(rows: pl.DataFrame, seen: Seen) -> pl.DataFrame:
    """`_nth`, the number of each row among its owner's over all batches, which is its position where none is given."""
    rows = rows.with_columns(_nth=seen.before(rows))
    return rows if "position" in rows.columns else rows.with_columns(position=pl.col("_nth"))

"""Segue's own event log: what listeners did, and what they were shown, while the server answered them.

Layout: recsys.eventlog_schema. Each import takes what was appended since the last one of that source, so that every
event stands in one import, whichever way the log has grown.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl

from features.importers.base import Batch, Request
from features.importers.reading import BATCH_ROWS
from features.importers.resolver import CANONICAL
from recsys.errors import InputError, MissingError
from recsys.eventlog_schema import EVENT_COLUMNS, FILE, VERSION
from recsys.files import read_json
from recsys.workspace import Workspace

FORM = "segue-log"
RECORDS_AT_ONCE = 10_000

_EVENTS = {name: pl.Int64 if name in ("ts_us", "ms_played") else pl.String for name in EVENT_COLUMNS}
_IMPRESSIONS: dict[str, Any] = {
    "_line": pl.Int64,
    "request_id": pl.String,
    "ts": pl.Int64,
    "user_id": pl.String,
    "surface": pl.String,
    "bundle": pl.String,
    "arms": pl.List(pl.String),
    "slot": pl.Int64,
    "track_id": pl.String,
    "source": pl.String,
    "score": pl.Float32,
    "source_rank": pl.Int32,
    "propensity": pl.Float32,
    "pool": pl.Int32,
    "policy": pl.String,
    "seed": pl.UInt64,
}

Span = tuple[int, int]
"""Positions: after the first, up to and with the second."""


@dataclass(frozen=True)
class SegueLog:
    """Format `segue-log`: `events` and `impressions`. Listeners and tracks have their canonical ids already; an empty
    text is null; all positions are 0, since the time is the order."""

    log: Path
    log_id: str
    source: str
    spans: Mapping[str, Span]
    """Table of the log -> what is imported of it."""
    files: ClassVar[tuple[Path, ...]] = ()
    """None: the file grows while it is read; `options` says which part of it an import is."""
    namespace: ClassVar[str] = CANONICAL
    version: ClassVar[int] = 1

    @classmethod
    def open(cls, request: Request) -> Self:
        log, source = _found(request.path), request.source or FORM
        with closing(_connected(log)) as connection:
            try:
                ((log_id,),) = connection.execute("SELECT id FROM log").fetchall()
                ends = {table: _end(connection, table) for table in ("events", "records")}
            except (sqlite3.Error, ValueError) as error:
                raise InputError(f"{log}: no event log of Segue: {error}") from error
        before = _imported(log_id, source)
        starts = {table: max((spans[table][1] for spans in before), default=0) for table in ends}
        if before and starts == ends:  # nothing new: the last import again
            return cls(log, log_id, source, before[-1])
        return cls(log, log_id, source, {table: (starts[table], end) for table, end in ends.items()})

    @property
    def options(self) -> Mapping[str, Any]:
        return {"log": self.log_id, **{table: list(span) for table, span in self.spans.items()}}

    def batches(self) -> Iterator[Batch]:
        with closing(_connected(self.log)) as connection:
            for rows in self._rows(connection, "events", ", ".join(EVENT_COLUMNS), BATCH_ROWS):
                yield Batch("events", self._events(rows))
            for rows in self._rows(connection, "records", "record", RECORDS_AT_ONCE):
                yield Batch("impressions", self._impressions(rows))

    def _rows(
        self, connection: sqlite3.Connection, table: str, columns: str, at_once: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        after, until = self.spans[table]
        query = (
            f"SELECT position, {columns} FROM {table} "  # noqa: S608 - constants
            "WHERE position > ? AND position <= ? ORDER BY position LIMIT ?"
        )
        while rows := connection.execute(query, (after, until, at_once)).fetchall():
            yield rows
            after = rows[-1][0]

    def _events(self, rows: list[tuple[Any, ...]]) -> pl.DataFrame:
        frame = pl.DataFrame(rows, schema={"_line": pl.Int64, **_EVENTS}, orient="row")
        return frame.with_columns(
            *_null_where_empty("session_id", "source", "context", "request_id"),
            ts=pl.from_epoch("ts_us", time_unit="us").dt.replace_time_zone("UTC"),
            position=pl.lit(0),
            _file=pl.lit(self.log.name),
            _row="event_id",
        )

    def _impressions(self, rows: list[tuple[Any, ...]]) -> pl.DataFrame:
        try:
            from segue.v1.admin_pb2 import RequestRecord
        except ImportError as error:
            raise MissingError('the answers in the log need protobuf: pip install "segue[client]"') from error
        shown = [
            (
                *(line, record.request_id, record.ts.ToMicroseconds(), record.user_id, record.surface, record.bundle),
                sorted(f"{experiment}={arm}" for experiment, arm in record.arms.items()),
                *(one.slot, one.track_id, one.source, one.score, one.source_rank),
                one.propensity if one.HasField("propensity") else None,
                *(one.pool or None, record.policy, record.seed or None),
            )
            for line, packed in rows
            for record in (RequestRecord.FromString(zlib.decompress(packed)),)
            for one in record.impressions
        ]
        frame = pl.DataFrame(shown, schema=_IMPRESSIONS, orient="row")
        return frame.with_columns(
            *_null_where_empty("user_id", "policy"),
            ts=pl.from_epoch("ts", time_unit="us").dt.replace_time_zone("UTC"),
            _file=pl.lit(self.log.name),
            _row="request_id",
        )


def _found(path: Path) -> Path:
    for file in (path, path / FILE.name, path / FILE):
        if file.is_file():
            return file
    raise InputError(
        f"{path}: no event log; {FORM} expects a workspace whose server wrote {FILE}; of a log in Kafka first: "
        "segue pull-log"
    )


def _connected(log: Path) -> sqlite3.Connection:
    """The server may be writing meanwhile."""
    connection = sqlite3.connect(f"{log.absolute().as_uri()}?mode=rw", uri=True)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise InputError(f"{log}: cannot be read as an event log: {error}") from error
    if version != VERSION:
        raise InputError(f"{log}: an event log of version {version}; this Segue reads version {VERSION}")
    return connection


def _end(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT coalesce(max(position), 0) FROM {table}").fetchone()[0])  # noqa: S608


def _imported(log_id: str, source: str) -> list[dict[str, Span]]:
    """What the imports of the workspace hold of this log, in their order."""
    manifests = [read_json(folder / "manifest.json") for folder in Workspace().import_folders()]
    own = [m for m in manifests if (m["format"], m["source"]) == (FORM, source) and m["options"]["log"] == log_id]
    own.sort(key=lambda manifest: manifest["order"])
    return [{table: tuple(m["options"][table]) for table in ("events", "records")} for m in own]


def _null_where_empty(*columns: str) -> Iterator[pl.Expr]:
    return (pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in columns)

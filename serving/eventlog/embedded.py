"""The event log of one machine: a SQLite file that several worker processes append to."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from segue.v1.admin_pb2 import RequestRecord

from recsys.eventlog_schema import EVENT_COLUMNS, TABLES, VERSION
from serving.eventlog.base import PAGE, LogUnavailableError, Page
from serving.eventlog.group import Grouped
from serving.events import Event
from serving.sqlite import SqliteFile

_TABLES = ("events", "records")
_values = attrgetter(*EVENT_COLUMNS)
_COLUMNS = ", ".join(EVENT_COLUMNS)
_INSERT_EVENT = f"""
    INSERT INTO events ({_COLUMNS}) VALUES ({", ".join("?" * len(EVENT_COLUMNS))}) ON CONFLICT (event_id) DO NOTHING
"""  # noqa: S608 - constants
_EXPIRED_A_ROW = 4
"""Rows of each table that may expire with a row of `append_records`: more than come in."""
_INSERT_RECORD = """
    INSERT INTO records (request_id, ts_us, user_id, record) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""


class EmbeddedLog:
    """See `ReplayableLog`. An append is one transaction, on disk before it returns, or shares one with other threads.

    timeout_s: how long it may wait for those of other processes. keep_days: see LogSettings.
    """

    def __init__(self, file: Path, timeout_s: float, keep_days: float | None = None) -> None:
        self._append = Grouped(self._append_all)
        self._keep_days = keep_days
        self._database = SqliteFile(
            file, TABLES, version=VERSION, synchronous="FULL", timeout_s=timeout_s, unavailable=LogUnavailableError
        )

    def append(self, events: Sequence[Event]) -> list[bool]:
        return self._append(events)

    def append_records(self, records: Sequence[RequestRecord]) -> None:
        rows = [(r.request_id, r.ts.ToMicroseconds(), r.user_id, _packed(r)) for r in records]
        with self._database.transaction() as connection:
            connection.executemany(_INSERT_RECORD, rows)
            if self._keep_days is not None:
                self._expire(connection, round(time.time() - 86_400 * self._keep_days), _EXPIRED_A_ROW * len(rows))

    def events(self, after: str = "", limit: int = PAGE) -> Iterator[Page[Event]]:
        for rows in self._pages("events", _COLUMNS, int(after or 0), limit):
            yield Page([Event(*values) for _, *values in rows], str(rows[-1][0]))

    def records(self, after: str = "", limit: int = PAGE) -> Iterator[Page[RequestRecord]]:
        for rows in self._pages("records", "record", int(after or 0), limit):
            yield Page([RequestRecord.FromString(zlib.decompress(record)) for _, record in rows], str(rows[-1][0]))

    def read_events(self, after: int) -> Iterator[tuple[int, Event]]:
        for rows in self._pages("events", _COLUMNS, after, PAGE):
            yield from ((position, Event(*values)) for position, *values in rows)

    def end(self) -> int:
        ((end,),) = self._database.read("SELECT coalesce(max(position), 0) FROM events")
        return int(end)

    def held(self, user_id: str) -> dict[str, int]:
        return {
            table: self._database.read(f"SELECT count(*) FROM {table} WHERE user_id = ?", user_id)[0][0]  # noqa: S608
            for table in _TABLES
        }

    def forget(self, user_id: str) -> dict[str, int]:
        with self._database.transaction() as connection:
            erased = {
                table: connection.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,)).rowcount  # noqa: S608
                for table in _TABLES
            }
        self._database.wipe(user_id.encode())
        return erased

    def close(self) -> None:
        self._database.close()

    def _append_all(self, calls: Sequence[Sequence[Event]]) -> list[list[bool]]:
        with self._database.transaction() as connection:
            return [
                [connection.execute(_INSERT_EVENT, _values(event)).rowcount == 1 for event in events]
                for events in calls
            ]

    def _expire(self, connection: sqlite3.Connection, before_s: int, limit: int) -> None:
        """A few of the oldest rows with every batch of answers, so that none waits for long."""
        for table in _TABLES:
            oldest = f"SELECT position FROM {table} ORDER BY position LIMIT ?"  # noqa: S608
            connection.execute(
                f"DELETE FROM {table} WHERE position IN ({oldest}) AND stored_s < ?",  # noqa: S608
                (limit, before_s),
            )

    def _pages(self, table: str, columns: str, after: int, limit: int) -> Iterator[list[Any]]:
        query = f"SELECT position, {columns} FROM {table} WHERE position > ? ORDER BY position LIMIT ?"  # noqa: S608
        with self._database.reader() as connection:
            while rows := connection.execute(query, (after, limit)).fetchall():
                yield rows
                after = rows[-1][0]


def _packed(record: RequestRecord) -> bytes:
    return zlib.compress(record.SerializeToString(), level=1)

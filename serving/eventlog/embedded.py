"""The event log of one machine: a SQLite file that several worker processes append to.

An append is one transaction in WAL mode with synchronous=FULL: it is on disk before it returns, whole or not at all,
whatever is killed meanwhile.
"""

from __future__ import annotations

import mmap
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from segue.v1.admin_pb2 import RequestRecord

from recsys.errors import InputError
from recsys.eventlog_schema import EVENT_COLUMNS, TABLES, VERSION
from serving.eventlog.base import PAGE, LogUnavailableError, Page
from serving.events import Event

_Row = TypeVar("_Row")

_values = attrgetter(*EVENT_COLUMNS)
_COLUMNS = ", ".join(EVENT_COLUMNS)
_INSERT_EVENT = f"""
    INSERT INTO events ({_COLUMNS}) VALUES ({", ".join("?" * len(EVENT_COLUMNS))}) ON CONFLICT (event_id) DO NOTHING
"""  # noqa: S608 - constants
_INSERT_RECORD = """
    INSERT INTO records (request_id, ts_us, user_id, record) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""


class EmbeddedLog:
    """See `EventLog`.

    file: the database; made where it is not there. timeout_s: how long an append waits for those of other processes.
    """

    def __init__(self, file: Path, timeout_s: float) -> None:
        self._file = file
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        """Around the one connection that writes: SQLite takes one writer at a time anyway."""
        with self._faults():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connection()
            self._create()

    def append(self, events: Sequence[Event]) -> list[bool]:
        with self._transaction() as connection:
            return [connection.execute(_INSERT_EVENT, _values(event)).rowcount == 1 for event in events]

    def append_records(self, records: Sequence[RequestRecord]) -> None:
        rows = [(r.request_id, r.ts.ToMicroseconds(), r.user_id, r.SerializeToString()) for r in records]
        with self._transaction() as connection:
            connection.executemany(_INSERT_RECORD, rows)

    def events(self, after: str = "", limit: int = PAGE) -> Iterator[Page[Event]]:
        return self._pages("events", _COLUMNS, after, limit, lambda row: Event(*row))

    def records(self, after: str = "", limit: int = PAGE) -> Iterator[Page[RequestRecord]]:
        return self._pages("records", "record", after, limit, lambda row: RequestRecord.FromString(row[0]))

    def forget(self, user_id: str) -> dict[str, int]:
        with self._transaction() as connection:
            erased = {
                table: connection.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,)).rowcount  # noqa: S608
                for table in ("events", "records")
            }
        with self._lock, self._faults():
            self._empty_wal()
            # secure_delete zeroes what is deleted, but not the copies that a page split left behind before.
            if _holds(self._file, user_id.encode()):
                self._writer.execute("VACUUM")
                self._empty_wal()
        return erased

    def close(self) -> None:
        with self._lock:
            self._writer.close()

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
        return connection

    def _create(self) -> None:
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise InputError(f"{self._file}: an event log of version {version}; this Segue writes version {VERSION}")
        if version == 0:
            self._writer.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT")
            self._writer.execute("INSERT INTO log SELECT ? WHERE NOT EXISTS (SELECT 1 FROM log)", (uuid.uuid4().hex,))

    def _pages(
        self, table: str, columns: str, after: str, limit: int, row: Callable[[Sequence[Any]], _Row]
    ) -> Iterator[Page[_Row]]:
        query = f"SELECT position, {columns} FROM {table} WHERE position > ? ORDER BY position LIMIT ?"  # noqa: S608
        position = int(after or 0)
        with self._faults(), closing(self._connection()) as connection:
            while found := connection.execute(query, (position, limit)).fetchall():
                position = found[-1][0]
                yield Page([row(values) for _, *values in found], str(position))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._faults():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _empty_wal(self) -> None:
        """Raises LogUnavailableError where readers hold on to it for longer than the timeout."""
        deadline = time.monotonic() + self._timeout_s
        while self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise LogUnavailableError(f"{self._file}: in use by readers; the write-ahead log is not yet emptied")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LogUnavailableError(f"{self._file}: {error}") from error


def _holds(file: Path, text: bytes) -> bool:
    with file.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(text) >= 0

"""A SQLite file that the threads of several processes share."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from serving.store.base import StoreUnavailableError

RETRY_S = 0.0005
"""Between two tries for the write lock. SQLite's own waiting sleeps up to 100 ms at a time."""
CHECKPOINT_PAGES = 4_000
"""Of 4 KiB, in the write-ahead log, after which a writer puts it into the file: that flushes to disk, so not often."""


class Database:
    """One connection a thread, write-ahead log, one writer at a time over all processes.

    What is deleted is overwritten with zeros (`secure_delete`); `scrub` empties the write-ahead log of it too.
    synchronous: NORMAL survives a killed process, FULL a cut of power as well.
    """

    def __init__(
        self, path: Path, schema: Sequence[str], synchronous: Literal["NORMAL", "FULL"], timeout_s: float
    ) -> None:
        """Raises StoreUnavailableError where the file cannot be opened or is no database."""
        self._path = path
        self._synchronous = synchronous
        self._timeout_s = timeout_s
        self._own = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
        with self.transaction() as writer:
            for statement in schema:
                writer.execute(statement)

    def read(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._told():
            return self._connection().execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Alone among all processes: committed at the end, or not at all."""
        with self._told(), self._locked():
            connection = self._connection()
            self._begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        """Put the write-ahead log into the file, flushed to disk, and cut it to nothing."""
        deadline = time.monotonic() + self._timeout_s
        with self._told(), self._locked():
            # Busy while another process reads or writes what lies in the log.
            while self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > deadline:
                    raise StoreUnavailableError(f"{self._path}: still in use after {self._timeout_s} s")
                time.sleep(RETRY_S)

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            self._own.connection = found
            self._all.append(found)
            found.execute(f"PRAGMA busy_timeout = {round(1000 * self._timeout_s)}")
            found.execute("PRAGMA journal_mode = WAL")
            found.execute(f"PRAGMA synchronous = {self._synchronous}")
            found.execute("PRAGMA secure_delete = ON")
            found.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            found.execute("PRAGMA busy_timeout = 0")
        return found

    def _begin(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One thread of this process at a time: the others would only get in each other's way."""
        if not self._writing.acquire(timeout=self._timeout_s):
            raise StoreUnavailableError(f"{self._path}: no turn to write within {self._timeout_s} s")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"{self._path}: {error}") from error

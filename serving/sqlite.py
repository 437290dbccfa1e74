"""A SQLite file that several processes share: transactions outlive any kill, and deletions leave no bytes."""

from __future__ import annotations

import mmap
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from recsys.errors import InputError

Result = TypeVar("Result")

RETRY_S = 0.0005
"""Between two tries for a lock. SQLite's own waiting sleeps up to 100 ms at a time."""
CHECKPOINT_PAGES = 4_000
"""Of 4 KiB, in the write-ahead log, after which a writer puts it into the file: that flushes to disk, so not often."""


class SqliteFile:
    """Write-ahead log, a connection a thread, one writer at a time over all processes.

    tables: statements that make them where they are not there. version: of the tables; another is refused with
    InputError. synchronous: NORMAL survives a killed process, FULL a cut of power as well. timeout_s: how long a lock
    is waited for. Every method raises ``unavailable`` where the file cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        tables: Sequence[str],
        *,
        version: int,
        synchronous: Literal["NORMAL", "FULL"],
        timeout_s: float,
        unavailable: type[Exception],
    ) -> None:
        self._path = path
        self._synchronous = synchronous
        self._timeout_s = timeout_s
        self._unavailable = unavailable
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        with self._faults():
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite does not wait by itself where another process is at switching a new file, too.
            self._patiently(lambda: self._connection().execute("PRAGMA journal_mode = WAL"))
        with self.transaction() as writer:
            (found,) = writer.execute("PRAGMA user_version").fetchone()
            if found == 0:
                for statement in tables:
                    writer.execute(statement)
                writer.execute(f"PRAGMA user_version = {version}")
            elif found != version:
                raise InputError(f"{path}: of version {found}; this Segue reads and writes version {version}")

    def read(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows. In a transaction of the same thread they are as it has made them."""
        with self._faults():
            # Busy for the moment in which another process mends the file after a crash.
            return self._patiently(lambda: self._connection().execute(statement, values).fetchall())

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, to read on while others write."""
        with self._faults(), closing(self._connected()) as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Alone among all processes: committed at the end, or not at all."""
        with self._faults(), self._turn():
            connection = self._connection()
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def flush(self) -> None:
        """Put the write-ahead log into the file, on disk, and cut it to nothing."""
        with self._faults(), self._turn():
            self._empty_log()

    def wipe(self, *deleted: bytes) -> None:
        """Leave no byte of what was deleted, in the file or its write-ahead log. Writers wait meanwhile.

        SQLite's secure_delete zeroes a row that is deleted, but not the copies that page splits left behind before: the
        file is rewritten where one of the ``deleted`` texts still stands in it. A copy is written over from its end, so
        the first column of a row is the text to name. Raises ``unavailable``, and is to be called again, where readers
        hold on to the write-ahead log for longer than the timeout.
        """
        with self._faults(), self._turn():
            self._empty_log()
            if _holds(self._path, deleted):
                self._patiently(lambda: self._connection().execute("VACUUM"))
                self._empty_log()

    def close(self) -> None:
        """A second call does nothing."""
        for connection in self._opened:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        """The thread's own."""
        found: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if found is None:
            found = self._own.connection = self._connected()
            self._opened.append(found)
        return found

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        return connection

    def _empty_log(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        while self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise self._unavailable(f"{self._path}: readers hold its write-ahead log; try again when they end")
            time.sleep(RETRY_S)

    def _patiently(self, ask: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return ask()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One thread of this process at a time: the others would only get in each other's way."""
        if not self._writing.acquire(timeout=self._timeout_s):
            raise self._unavailable(f"{self._path}: no turn to write within {self._timeout_s} s")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(f"{self._path}: {error}") from error


def _holds(path: Path, texts: Sequence[bytes]) -> bool:
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(text) >= 0 for text in texts)

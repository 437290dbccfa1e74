"""A SQLite file that several processes write: transactions survive any kill, and deletions leave no bytes."""

from __future__ import annotations

import mmap
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from recsys.errors import InputError
from serving.eventlog.base import LogUnavailableError

_PAUSE_S = 0.01


class SqliteFile:
    """WAL mode with synchronous=FULL: a transaction is on disk before it returns, whole or not at all.

    file: made with ``tables`` where it is not there. version: of the tables; another one is refused with InputError.
    timeout_s: how long a transaction waits for those of other processes. Every method raises LogUnavailableError where
    the file cannot be read or written.
    """

    def __init__(self, file: Path, tables: str, version: int, timeout_s: float) -> None:
        self._file = file
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        """Around the one connection that writes: SQLite takes one writer at a time anyway."""
        with self._faults():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connection()
            self._enter_wal_mode()
            (found,) = self._writer.execute("PRAGMA user_version").fetchone()
            if found == 0:
                self._writer.executescript(f"BEGIN IMMEDIATE; {tables} PRAGMA user_version = {version}; COMMIT")
            elif found != version:
                raise InputError(f"{file}: of version {found}; this Segue reads and writes version {version}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Durable at its end; at an error nothing of it is."""
        with self._lock, self._faults():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, which holds up nobody."""
        with self._faults(), closing(self._connection()) as connection:
            yield connection

    def wipe(self, *deleted: bytes) -> None:
        """Leave no byte of what was deleted, in the file or its write-ahead log. Writers wait meanwhile.

        SQLite's secure_delete zeroes a row that is deleted, but not the copies that page splits left behind before:
        the file is rewritten where one of the ``deleted`` texts still stands in it. Raises LogUnavailableError, and is
        to be called again, where readers hold on to the write-ahead log for longer than the timeout.
        """
        with self._lock, self._faults():
            self._empty_wal()
            if _holds(self._file, deleted):
                self._writer.execute("VACUUM")
                self._empty_wal()

    def close(self) -> None:
        """A second call does nothing."""
        with self._lock:
            self._writer.close()

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)
        connection.executescript("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
        return connection

    def _enter_wal_mode(self) -> None:
        """A new file is switched once; SQLite does not wait where another process is at it too."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)

    def _empty_wal(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        while self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise LogUnavailableError(f"{self._file}: readers hold its write-ahead log; forget again when they end")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LogUnavailableError(f"{self._file}: {error}") from error


def _holds(file: Path, texts: tuple[bytes, ...]) -> bool:
    with file.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(text) >= 0 for text in texts)

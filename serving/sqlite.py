"""A SQLite file that several processes share: transactions outlive any kill, and deletions leave no bytes."""

from __future__ import annotations

import mmap
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from recsys.errors import InputError

Result = TypeVar("Result")

RETRY_S = 0.0005
"""Between two tries for a lock. SQLite's own waiting sleeps up to 100 ms at a time."""
CHECKPOINT_PAGES = 4_000
"""Of 4 KiB, in the write-ahead log, after which a writer puts it into the file: that flushes to disk, so not often."""

OPENING_S = 30.0
"""How long a file that is opened is waited for, at least."""


class SqliteFile:
    """Write-ahead log, one writer at a time over all processes; connections are lent to the threads that need one.

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
        # Opening is worth waiting for: after a crash one of many that open the file at once mends it first.
        self._timeout_s = max(timeout_s, OPENING_S)
        self._unavailable = unavailable
        self._writing = threading.Lock()
        self._idle: deque[sqlite3.Connection] = deque()
        """Two files and 2 MB each, so no thread keeps one: as many as were ever needed at once."""
        self._own = threading.local()
        """`.connection`: that of the transaction that a thread is in."""
        with self._faults():
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite does not wait by itself where another process is at switching a new file, too.
            with self._lent() as connection:
                self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        with self.transaction() as writer:
            (found,) = writer.execute("PRAGMA user_version").fetchone()
            if found == 0:
                for statement in tables:
                    writer.execute(statement)
                writer.execute(f"PRAGMA user_version = {version}")
            elif found != version:
                raise InputError(f"{path}: of version {found}; this Segue reads and writes version {version}")
        self._timeout_s = timeout_s

    def read(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows. In a transaction of the same thread they are as it has made them."""
        with self._faults(), self._lent() as connection:
            # Busy for the moment in which another process mends the file after a crash.
            return self._patiently(lambda: connection.execute(statement, values).fetchall())

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, to read on while others write."""
        with self._faults(), closing(self._connected()) as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Alone among all processes: committed at the end, or not at all."""
        with self._faults(), self._turn() as connection:
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
        with self._faults(), self._turn() as connection:
            self._empty_log(connection)

    def wipe(self, *deleted: bytes) -> None:
        """Leave no byte of what was deleted, in the file or its write-ahead log.

        SQLite's secure_delete zeroes a row that is deleted, but not the copies that page splits left behind before: the
        file is rewritten where one of the ``deleted`` texts still stands in it, and writers wait meanwhile. A copy is
        written over from its end, so the first column of a row is the text to name. Raises ``unavailable``, and is to
        be called again, where readers hold on to the write-ahead log for longer than the timeout.
        """
        self.flush()
        with self._faults():
            if not _holds(self._path, deleted):
                return
            with self._turn() as connection:
                self._patiently(lambda: connection.execute("VACUUM"))
                self._empty_log(connection)

    def close(self) -> None:
        """No call may be running. A second one does nothing."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        own: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if own is not None:
            yield own
            return
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connected()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        settings = (
            f"PRAGMA synchronous = {self._synchronous}",
            "PRAGMA secure_delete = ON",
            f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
        )
        for setting in settings:
            self._patiently(partial(connection.execute, setting))
        return connection

    def _empty_log(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._timeout_s
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise self._unavailable(f"{self._path}: readers hold its write-ahead log; try again when they end")
            time.sleep(RETRY_S)

    def _patiently(self, ask: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return ask()
            except sqlite3.OperationalError as error:
                # The code may be an extended one: busy with mending the file, say.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        """One thread of this process at a time: the others would only get in each other's way."""
        if not self._writing.acquire(timeout=self._timeout_s):
            raise self._unavailable(f"{self._path}: no turn to write within {self._timeout_s} s")
        try:
            with self._lent() as connection:
                self._own.connection = connection
                try:
                    yield connection
                finally:
                    del self._own.connection
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

"""The store of one machine: SQLite files in a folder, shared by all its processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from serving.events import Event
from serving.sqlite import SqliteFile
from serving.store import state
from serving.store.base import READ_MOST, Listener, Record, StoreUnavailableError, by_listener
from serving.store.settings import StateSettings

TOGETHER = 100
"""Listeners that one transaction changes: some 20 ms, in which other processes wait."""


class EmbeddedStore:
    """A file a facet, so that writers of one do not wait for those of another."""

    def __init__(self, folder: Path, settings: StateSettings) -> None:
        limits = state.Limits(settings.plays, settings.opinions)
        self.listeners = EmbeddedListeners(folder / "listeners.db", limits, settings.timeout_s)
        self.catalogue = EmbeddedCatalogueLog(folder / "catalogue.db", settings.timeout_s)
        self.requests = EmbeddedRequests(
            folder / "requests.db", settings.requests, settings.requests_ttl_s, settings.timeout_s
        )
        self.quotas = EmbeddedQuotas(folder / "quotas.db", settings.timeout_s)

    def ping(self) -> None:
        self.listeners.applied()

    def close(self) -> None:
        for facet in (self.listeners, self.catalogue, self.requests, self.quotas):
            facet.file.close()


def _file(
    path: Path, tables: Sequence[str], timeout_s: float, synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
) -> SqliteFile:
    return SqliteFile(
        path, tables, version=1, synchronous=synchronous, timeout_s=timeout_s, unavailable=StoreUnavailableError
    )


class EmbeddedListeners:
    """See ListenerStore. A cut of power may undo the latest events: the event log has them, for `replay`."""

    def __init__(self, path: Path, limits: state.Limits, timeout_s: float) -> None:
        self._limits = limits
        self.file = _file(
            path,
            [
                "CREATE TABLE listeners (user_id TEXT PRIMARY KEY, state BLOB NOT NULL)",
                "CREATE TABLE applied (log INTEGER PRIMARY KEY CHECK (log = 0), place INTEGER NOT NULL)",
            ],
            timeout_s,
        )

    def get(self, user_id: str) -> Listener:
        return state.listener(self._state(user_id))

    def get_many(self, user_ids: Sequence[str]) -> list[Listener]:
        return [self.get(user_id) for user_id in user_ids]

    def apply(self, events: Sequence[Event]) -> None:
        rest = iter(by_listener(events).items())
        while some := list(islice(rest, TOGETHER)):
            with self.file.transaction() as writer:
                for user_id, told in some:
                    before = self._state(user_id)
                    after = state.joined(before, told, self._limits)
                    if after != before:
                        writer.execute("INSERT OR REPLACE INTO listeners VALUES (?, ?)", (user_id, after))

    def forget(self, user_id: str) -> dict[str, int]:
        with self.file.transaction() as writer:
            found = self._state(user_id)
            writer.execute("DELETE FROM listeners WHERE user_id = ?", (user_id,))
        self.file.wipe(user_id.encode())
        return state.sizes(found) if found else {}

    def applied(self) -> int:
        return next((place for (place,) in self.file.read("SELECT place FROM applied")), 0)

    def set_applied(self, offset: int) -> None:
        self.file.flush()
        with self.file.transaction() as writer:
            writer.execute(
                "INSERT INTO applied VALUES (0, ?) ON CONFLICT DO UPDATE SET place = max(place, excluded.place)",
                (offset,),
            )

    def _state(self, user_id: str) -> bytes:
        rows = self.file.read("SELECT state FROM listeners WHERE user_id = ?", user_id)
        return rows[0][0] if rows else b""


class EmbeddedCatalogueLog:
    """See CatalogueLog. What `append` returned from survives a cut of power."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        schema = "CREATE TABLE entries (version INTEGER PRIMARY KEY AUTOINCREMENT, entry BLOB NOT NULL)"
        self.file = _file(path, [schema], timeout_s, "FULL")

    def append(self, entries: Sequence[bytes]) -> int:
        with self.file.transaction() as writer:
            writer.executemany("INSERT INTO entries (entry) VALUES (?)", [(entry,) for entry in entries])
            return self.version()

    def read(self, after: int) -> list[tuple[int, bytes]]:
        return self.file.read(
            "SELECT version, entry FROM entries WHERE version > ? ORDER BY version LIMIT ?", after, READ_MOST
        )

    def version(self) -> int:
        [(version,)] = self.file.read("SELECT coalesce(max(version), 0) FROM entries")
        return int(version)


class EmbeddedRequests:
    """See RequestStore."""

    def __init__(self, path: Path, most: int, ttl_s: float, timeout_s: float) -> None:
        self._most = most
        self._ttl_s = ttl_s
        self.file = _file(
            path,
            [
                """
                CREATE TABLE records (
                    user_id TEXT NOT NULL,
                    request_id TEXT UNIQUE NOT NULL,
                    place INTEGER PRIMARY KEY,
                    expires REAL NOT NULL,
                    body BLOB NOT NULL
                )
                """,
                "CREATE INDEX of_listener ON records (user_id)",
            ],
            timeout_s,
        )

    def put(self, records: Sequence[Record]) -> None:
        now = time.time()
        rows = [(r.request_id, r.user_id, now + self._ttl_s, r.body) for r in records]
        with self.file.transaction() as writer:
            writer.executemany(
                "INSERT OR REPLACE INTO records (request_id, user_id, expires, body) VALUES (?, ?, ?, ?)", rows
            )
            # Places rise: the oldest are too many, or over time. Twice as many as came in are looked at, so that a
            # backlog goes in the end and no call pays for all of it.
            writer.execute(
                """
                DELETE FROM records WHERE place <= (SELECT max(place) FROM records) - ? OR (
                    expires < ? AND place IN (SELECT place FROM records ORDER BY place LIMIT ?)
                )
                """,
                (self._most, now, 2 * len(rows)),
            )

    def get(self, request_id: str) -> bytes | None:
        rows = self.file.read("SELECT body FROM records WHERE request_id = ? AND expires >= ?", request_id, time.time())
        return rows[0][0] if rows else None

    def forget(self, user_id: str) -> int:
        with self.file.transaction() as writer:
            erased = writer.execute("DELETE FROM records WHERE user_id = ?", (user_id,)).rowcount
        self.file.wipe(user_id.encode())
        return erased


class EmbeddedQuotas:
    """See QuotaStore. By the machine's monotonic clock, which all its processes share and nobody sets."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        schema = "CREATE TABLE buckets (client TEXT PRIMARY KEY, tokens REAL NOT NULL, at REAL NOT NULL)"
        self.file = _file(path, [schema], timeout_s)

    def take(self, client: str, cost: int, per_second: float, burst: int) -> float:
        with self.file.transaction() as writer:
            now = time.monotonic()
            rows = self.file.read("SELECT tokens, at FROM buckets WHERE client = ?", client)
            tokens, at = rows[0] if rows else (burst, now)
            # After a reboot the clock starts anew, below what was stored.
            tokens = min(burst, tokens + max(0.0, now - at) * per_second)
            granted = tokens >= cost
            left = tokens - cost if granted else tokens
            writer.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", (client, left, now))
        return 0.0 if granted else (cost - tokens) / per_second

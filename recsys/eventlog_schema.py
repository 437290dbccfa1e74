"""The embedded event log: one SQLite file that the server writes and `segue import segue-log` reads.

`position` is the order of the log and is never given twice. Rows never change; they go when their listener is
forgotten, or when they are older than `log.keep_days`. Times are microseconds (stored_s: seconds) since 1970 UTC; an
optional text is empty where nothing was said.
"""

from __future__ import annotations

from pathlib import Path

from recsys.workspace import Workspace

VERSION = 1
"""`PRAGMA user_version` of the file."""

TABLES = (
    # Of one row, so that the positions of two logs are not mixed.
    "CREATE TABLE log (id TEXT NOT NULL)",
    "INSERT INTO log VALUES (hex(randomblob(16)))",
    # user_id stands first: what SQLite leaves behind of a row that it moved is lost from its end (SqliteFile.wipe).
    """
    CREATE TABLE events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id TEXT NOT NULL,
        event_id TEXT NOT NULL UNIQUE,
        track_id TEXT NOT NULL,       -- Segue's own
        ts_us INTEGER NOT NULL,
        action TEXT NOT NULL,         -- one of recsys.schema.ACTIONS
        ms_played INTEGER,
        session_id TEXT NOT NULL,
        source TEXT NOT NULL,
        context TEXT NOT NULL,
        request_id TEXT NOT NULL,
        stored_s INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
    )
    """,
    "CREATE INDEX events_of_listener ON events (user_id)",
    """
    CREATE TABLE records (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id TEXT NOT NULL,        -- empty: the request named nobody
        request_id TEXT NOT NULL,
        ts_us INTEGER NOT NULL,
        record BLOB NOT NULL,         -- segue.v1.RequestRecord, by zlib: half as large
        stored_s INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER)),
        UNIQUE (request_id, ts_us)
    )
    """,
    "CREATE INDEX records_of_listener ON records (user_id)",
    # Of a log that was copied from Kafka (serving.eventlog.pulled): where the next copying begins, by table.
    "CREATE TABLE cursors (name TEXT PRIMARY KEY, cursor TEXT NOT NULL)",
)
"""The statements that make them."""

EVENT_COLUMNS = (
    "event_id", "user_id", "track_id", "ts_us", "action", "ms_played", "session_id", "source", "context", "request_id",
)  # fmt: skip


FILE = Path("log", "events.db")
"""Where it lies in the workspace; SQLite keeps `-wal` and `-shm` beside it."""


def log_file(workspace: Workspace) -> Path:
    return workspace.root / FILE

"""The embedded event log: one SQLite file that the server writes and `segue import segue-log` reads.

Both tables only grow, but for a listener who is forgotten; `position` is the order of the log and is never given twice.
Times are microseconds since 1970 UTC; an optional text is empty where nothing was said.
"""

from __future__ import annotations

from pathlib import Path

from recsys.workspace import Workspace

VERSION = 1
"""`PRAGMA user_version` of the file."""

TABLES = """
CREATE TABLE IF NOT EXISTS log (id TEXT NOT NULL);  -- of one row, so that the positions of two logs are not mixed
INSERT INTO log SELECT hex(randomblob(16)) WHERE NOT EXISTS (SELECT 1 FROM log);

CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    track_id TEXT NOT NULL,                         -- Segue's own
    ts_us INTEGER NOT NULL,
    action TEXT NOT NULL,                           -- one of recsys.schema.ACTIONS
    ms_played INTEGER,
    session_id TEXT NOT NULL,
    source TEXT NOT NULL,
    context TEXT NOT NULL,
    request_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_listener ON events (user_id);

CREATE TABLE IF NOT EXISTS records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL,
    ts_us INTEGER NOT NULL,
    user_id TEXT NOT NULL,                          -- empty: the request named nobody
    record BLOB NOT NULL,                           -- segue.v1.RequestRecord
    UNIQUE (request_id, ts_us)
);
CREATE INDEX IF NOT EXISTS records_of_listener ON records (user_id);
"""

EVENT_COLUMNS = (
    "event_id", "user_id", "track_id", "ts_us", "action", "ms_played", "session_id", "source", "context", "request_id",
)  # fmt: skip


FILE = Path("log", "events.db")
"""Where it lies in the workspace; SQLite keeps `-wal` and `-shm` beside it."""


def log_file(workspace: Workspace) -> Path:
    return workspace.root / FILE

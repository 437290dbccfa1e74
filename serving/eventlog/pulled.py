"""A copy of a log in Kafka as a file of the workspace: `segue import segue-log` reads it, `segue forget` reaches it."""

from __future__ import annotations

from collections.abc import Callable

from serving.eventlog.base import EventLog
from serving.eventlog.embedded import EmbeddedLog


class PulledLog(EmbeddedLog):
    """An embedded log that follows another one. Each row is in it once, however often it was pulled."""

    def pull(self, source: EventLog, progress: Callable[[int], object] = lambda rows: None) -> dict[str, int]:
        """Copy what ``source`` holds since the last time. How many rows those were, by table.

        progress: is told how many rows were read so far. What is interrupted goes on with the next call.
        """
        new, read = {"events": 0, "records": 0}, 0
        for events in source.events(self._cursor("events")):
            new["events"] += sum(self.append(events.rows))
            self._follow("events", events.cursor)
            progress(read := read + len(events.rows))
        for records in source.records(self._cursor("records")):
            self.append_records(records.rows)
            new["records"] += len(records.rows)
            self._follow("records", records.cursor)
            progress(read := read + len(records.rows))
        return new

    def _cursor(self, name: str) -> str:
        found = self._database.read("SELECT cursor FROM cursors WHERE name = ?", name)
        return str(found[0][0]) if found else ""

    def _follow(self, name: str, cursor: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (name, cursor))

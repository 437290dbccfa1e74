"""Keeps the listeners' state in step with an event log of this machine.

An event is acknowledged once it is in both. The log flushes each to disk, the state does not: after a cut of power, and
after a crash between the two, the log knows events that the state does not. A log has one order, but its writers need
not reach the state in that order: so what counts as applied is what the log held a while ago.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice

import structlog

from recsys.errors import SegueError
from serving.eventlog.base import ReplayableLog
from serving.store.base import ListenerStore

BATCH = 1_000
EVERY_S = 60.0
"""Far longer than any event takes from the log to the state."""

log = structlog.get_logger("segue.replay")


def replay(events: ReplayableLog, listeners: ListenerStore) -> int:
    """Apply what lies in the log beyond `applied`; how many events that were. Before any worker starts."""
    end, rest, count = events.end(), events.read_events(listeners.applied()), 0
    while batch := list(islice(rest, BATCH)):
        listeners.apply([event for _, event in batch])
        count += len(batch)
    listeners.set_applied(end)
    return count


class Progress:
    """Notes every minute, in a thread of its own, how far the state has come, so that a `replay` is short.

    One process is enough; several do no harm.
    """

    def __init__(self, events: ReplayableLog, listeners: ListenerStore, every_s: float = EVERY_S) -> None:
        self._events = events
        self._listeners = listeners
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        steps = self._steps()
        while not self._ended.wait(self._every_s):
            next(steps)

    def _steps(self) -> Iterator[None]:
        """Each notes as applied what the log held at the step before."""
        before = 0
        while True:
            try:
                end = self._events.end()
                self._listeners.set_applied(before)
                before = end
            except SegueError as error:
                # Nothing is lost by it but time at the next replay.
                log.warning("progress not noted", error=str(error))
            yield

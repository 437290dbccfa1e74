"""What an event log is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from segue.v1.admin_pb2 import RequestRecord

from recsys.errors import SegueError
from serving.events import Event

Row = TypeVar("Row")

PAGE = 10_000


class LogUnavailableError(SegueError):
    """The log could not store what it was given (a full disk, brokers that are away). Nothing of the call is
    acknowledged, and the same call may be made again: events are known by their ids."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a log, in its order."""

    rows: Sequence[Row]
    cursor: str
    """Where the next page begins: a later reading ``after`` this cursor gives what was appended since."""


class EventLog(Protocol):
    """Events and answers, appended and never changed, but for a listener who wants to be forgotten.

    Any number of processes append to one log; every method may be called from any thread. Every method raises
    LogUnavailableError where the log cannot be reached within `log.timeout_s`.
    """

    def append(self, events: Sequence[Event]) -> list[bool]:
        """Store events. All are durable when it returns. (n,) True: new; False: an event of this id was stored before,
        and the log keeps that one. (Kafka says True of one that another process stored; reading gives each once.)"""
        ...

    def append_records(self, records: Sequence[RequestRecord]) -> None:
        """Store answers with their impressions. All are durable when it returns."""
        ...

    def events(self, after: str = "", limit: int = PAGE) -> Iterator[Page[Event]]:
        """Each event once, in pages of at most ``limit``, from ``after`` (empty: the start) to what is there now. Those
        of one listener come in the order of `append`."""
        ...

    def records(self, after: str = "", limit: int = PAGE) -> Iterator[Page[RequestRecord]]:
        """The same for answers."""
        ...

    def held(self, user_id: str) -> dict[str, int]:
        """How much the log holds of a listener, by kind: "events" and "records"; of Kafka, where only the keys of the
        messages are known, "keys"."""
        ...

    def forget(self, user_id: str) -> dict[str, int]:
        """Make all of that unreadable for good. How much it was, as `held`; a second call finds nothing.

        Raises LogUnavailableError where something may be left: then it must be called again."""
        ...

    def close(self) -> None:
        """A second call does nothing."""
        ...


class ReplayableLog(EventLog, Protocol):
    """A log whose events have one order and an offset each, so that what was made of them can be made up to date."""

    def read_events(self, after: int) -> Iterator[tuple[int, Event]]:
        """Offset and event, ascending, of the offsets above ``after`` (0: from the start). Offsets may have gaps."""
        ...

    def end(self) -> int:
        """The highest offset, 0 where there is no event."""
        ...

"""FeedbackService: events into the log, then into the listeners' state, then acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from segue.v1 import feedback_pb2 as pb

from serving.catalogue.catalogue import Catalogue
from serving.eventlog.base import EventLog
from serving.events import Event
from serving.pipeline.batcher import Batcher, ExpiredError, OverloadedError
from serving.rpc.call import Caller
from serving.rpc.event_validation import ACTIONS, fault, ts_us
from serving.rpc.gate import GateClosedError
from serving.rpc.validation import Violation
from serving.services.inbox import Inbox
from serving.store.base import ListenerStore

READ_AHEAD = 256
"""Events of one stream that wait; more are left to the sender."""
MAX_TOGETHER = 64
"""Calls that share one write to disk."""
RETRY_S = 1.0
"""When one who wanted one stream too many may try again."""
UNKNOWN_TRACK = ("track", "the catalogue does not hold it; a track that is named by its track_id is remembered anyway")


class FeedbackMetrics(Protocol):
    """Told of every call, and of every bunch of a stream."""

    def events(self, stored: int, duplicates: int, rejected: int, seconds: float) -> None: ...

    def event_applied(self, ts: float) -> None:
        """The newest event that the state reflects; seconds since 1970."""
        ...


@dataclass(slots=True)
class _Write:
    """Events of one call, and which of them were new."""

    events: Sequence[Event]
    new: list[bool] = field(default_factory=list)


class FeedbackService:
    """The methods of the proto, on requests that `check_events` let pass.

    ``catalogue`` gives that of the champion. Both methods raise LogUnavailableError or StoreUnavailableError where an
    event could not be stored; then nothing of what they were at is acknowledged, and it is to be sent again.
    """

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        log: EventLog,
        listeners: ListenerStore,
        *,
        max_streams: int,
        metrics: FeedbackMetrics | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._log = log
        self._listeners = listeners
        self._metrics = metrics
        self._batcher: Batcher[_Write] = Batcher(self._write, max_batch=MAX_TOGETHER)
        self._streams = threading.Semaphore(max_streams)
        self._draining = False

    def RecordEvents(self, request: pb.RecordEventsRequest, caller: Caller) -> pb.RecordEventsResponse:  # noqa: N802
        response = pb.RecordEventsResponse(request_id=request.request_id)
        for outcome in self._stored(request.events, caller, first=0):
            if outcome.HasField("rejected"):
                response.rejected.append(outcome.rejected)
            elif outcome.duplicate:
                response.duplicates += 1
            else:
                response.stored += 1
        return response

    def StreamEvents(self, requests: Iterable[pb.Event], caller: Caller) -> Iterator[pb.EventAcknowledgement]:  # noqa: N802
        """Raises OverloadedError where there are too many streams, GateClosedError once `drain` was called."""

        def look() -> None:
            if self._draining:
                raise GateClosedError
            if not caller.waits():
                raise ExpiredError

        first = 0
        with self._stream(), Inbox(requests, READ_AHEAD) as inbox:
            while events := inbox.take(look):
                yield from self._stored(events, caller, first)
                first += len(events)

    def drain(self) -> None:
        """End the streams, each after what it has taken in; their callers go on with another server."""
        self._draining = True

    def close(self) -> None:
        """Write what waits, and end. No call may be running."""
        self._batcher.close()

    def _stored(self, events: Sequence[pb.Event], caller: Caller, first: int) -> list[pb.EventAcknowledgement]:
        """One for each event. first: place of the first one."""
        started = time.perf_counter()
        resolved = self._resolved(events)
        write = _Write([event for event in resolved if isinstance(event, Event)])
        if write.events:
            self._batcher.submit(None, write, caller.seconds_left())
        if self._metrics is not None:
            new, rejected = sum(write.new), len(events) - len(write.new)
            self._metrics.events(new, len(write.new) - new, rejected, time.perf_counter() - started)
        outcomes = iter(write.new)
        return [
            pb.EventAcknowledgement(event_id=event.event_id, duplicate=not next(outcomes))
            if isinstance(outcome, Event)
            else _rejection(event, place, outcome)
            for place, (event, outcome) in enumerate(zip(events, resolved, strict=True), start=first)
        ]

    def _resolved(self, events: Sequence[pb.Event]) -> list[Event | Violation]:
        now_us = time.time_ns() // 1_000
        faults = [fault(event, now_us) for event in events]
        sound = [event for event, wrong in zip(events, faults, strict=True) if wrong is None]
        catalogue = self._catalogue()
        found = iter(catalogue.find([event.track for event in sound]))
        resolved: list[Event | Violation] = []
        for event, wrong in zip(events, faults, strict=True):
            known = next(found) if wrong is None else None
            track_id = catalogue.track_id(known.index) if known is not None else event.track.track_id
            resolved.append(wrong or (_event(event, track_id, now_us) if track_id else UNKNOWN_TRACK))
        return resolved

    def _write(self, _: Hashable, writes: Sequence[_Write]) -> None:
        """All that waited, with one flush to disk. An event that the log knew is applied all the same: the call that
        brought it first may have ended in between."""
        events = [event for write in writes for event in write.events]
        new = iter(self._log.append(events))
        self._listeners.apply(events)
        for write in writes:
            write.new = list(islice(new, len(write.events)))
        if self._metrics is not None:
            self._metrics.event_applied(max(event.ts_us for event in events) / 1e6)

    @contextmanager
    def _stream(self) -> Iterator[None]:
        if not self._streams.acquire(blocking=False):
            raise OverloadedError(RETRY_S)
        try:
            yield
        finally:
            self._streams.release()


def _event(event: pb.Event, track_id: str, now_us: int) -> Event:
    return Event(
        event.event_id,
        event.user_id,
        track_id,
        ts_us(event) if event.HasField("ts") else now_us,
        ACTIONS[event.action],
        event.ms_played if event.HasField("ms_played") else None,
        event.session_id,
        event.source,
        event.context,
        event.request_id,
    )


def _rejection(event: pb.Event, place: int, violation: Violation) -> pb.EventAcknowledgement:
    field, description = violation
    rejected = pb.RejectedEvent(index=place, event_id=event.event_id, field=field, description=description)
    return pb.EventAcknowledgement(event_id=event.event_id, rejected=rejected)

"""A stream of events that outlives its connection. Part of the client: light."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
from segue.v1.feedback_pb2 import Event, EventAcknowledgement

AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED}
"""The server is away, stopping or has too much to do: nothing speaks against the events themselves."""
WINDOW = 1_000
"""Events that may wait for their acknowledgement; then no more are taken from the caller."""
PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0

Open = Callable[[Iterator[Event]], Any]
"""Starts a stream: takes the events, gives the call that yields acknowledgements."""


def acknowledged(opened: Open, events: Iterable[Event], give_up_s: float) -> Iterator[EventAcknowledgement]:
    """One acknowledgement for each of ``events``, in order.

    A stream that breaks is started anew, and what was not acknowledged is sent again. Raises grpc.RpcError where the
    server refuses, or an event waits and none was acknowledged for ``give_up_s``; and what ``events`` raises.
    """
    outbox = _Outbox(events)
    pause_s = PAUSE_S
    try:
        while True:
            call = opened(outbox.stream())
            try:
                for acknowledgement in call:
                    outbox.acknowledge(acknowledgement.event_id)
                    pause_s = PAUSE_S
                    yield acknowledgement
            except grpc.RpcError as error:
                if error.code() not in AGAIN or outbox.stalled_s() > give_up_s:
                    raise
            finally:
                call.cancel()
            if outbox.done():
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    finally:
        outbox.close()


class _Outbox:
    """Events between the caller and the server, in order: some sent and not acknowledged, some not yet sent."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._sent = 0
        self._stream = 0
        self._moved = time.monotonic()
        self._ended = False
        self._fault: BaseException | None = None
        # A thread of its own: the caller's iterator may block, and one stream after the other takes from it.
        threading.Thread(target=self._take, args=(events,), name="segue-events", daemon=True).start()

    def _take(self, events: Iterable[Event]) -> None:
        fault: BaseException | None = None
        try:
            for event in events:
                with self._changed:
                    self._changed.wait_for(lambda: self._ended or len(self._waiting) < WINDOW)
                    if self._ended:
                        return
                    if not self._waiting:
                        self._moved = time.monotonic()
                    self._waiting.append(event)
                    self._changed.notify_all()
        except BaseException as error:
            fault = error  # Raised where the acknowledgements are taken, once those of the events before are there.
        with self._changed:
            self._ended, self._fault = True, fault
            self._changed.notify_all()

    def stream(self) -> Iterator[Event]:
        """All that is not acknowledged, then what comes; ends when the next stream begins."""
        with self._changed:
            self._stream += 1
            self._sent = 0
            mine = self._stream
            self._changed.notify_all()
        return self._from(mine)

    def _from(self, mine: int) -> Iterator[Event]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stream != mine or self._sent < len(self._waiting) or self._ended)
                if self._stream != mine or self._sent == len(self._waiting):
                    return
                event = self._waiting[self._sent]
                self._sent += 1
            yield event

    def acknowledge(self, event_id: str) -> None:
        with self._changed:
            if not self._waiting or self._waiting[0].event_id != event_id:
                raise ValueError(f"the server acknowledged event {event_id!r} out of order")
            self._waiting.popleft()
            self._sent -= 1
            self._moved = time.monotonic()
            self._changed.notify_all()

    def stalled_s(self) -> float:
        """Seconds for which events have waited and none was acknowledged."""
        with self._changed:
            return time.monotonic() - self._moved if self._waiting else 0.0

    def done(self) -> bool:
        """No event is left. Raises what the caller's iterator raised."""
        with self._changed:
            done = self._ended and not self._waiting
        if done and self._fault is not None:
            raise self._fault
        return done

    def close(self) -> None:
        with self._changed:
            self._ended = True
            self._stream += 1
            self._changed.notify_all()

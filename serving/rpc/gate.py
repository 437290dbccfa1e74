"""The door of the server: counts the calls inside, and once closed lets no more in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class GateClosedError(Exception):
    """The server is draining."""


class Gate:
    """gRPC's own graceful stop loses calls that it has received but not yet begun: it cancels most and, in 1.85, leaves
    a few unanswered until their deadline. So calls are turned away here, and gRPC stops when nobody is inside.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside for the length of the block; raises GateClosedError instead once the gate is closed."""
        with self._changed:
            if self._closed:
                raise GateClosedError
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self, wait_s: float) -> None:
        """Let nobody in any more, and wait until all are out, at most so many seconds."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0, wait_s)

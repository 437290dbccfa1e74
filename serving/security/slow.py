"""Requests whose bytes do not come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc


class SlowRequests:
    """Cancels calls that have been waiting for their request longer than ``patience_s``, or up to a quarter more.

    A call that was opened and then left alone holds a thread of the server: a few hundred would hold them all.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._waiting: dict[grpc.ServicerContext, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="slow-requests", daemon=True)
        self._thread.start()

    @contextmanager
    def watched(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Wait for the request inside the block."""
        self._waiting[context] = time.monotonic()
        try:
            yield
        finally:
            del self._waiting[context]

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._patience_s / 4):
            oldest = time.monotonic() - self._patience_s
            # dict() copies in one step of the interpreter, while others come and go.
            for context, since in dict(self._waiting).items():
                if since < oldest:
                    context.cancel()

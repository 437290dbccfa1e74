"""Who is let into the queue: a request that would wait too long is refused at once, while refusing is still cheap.

The rule is Little's law read backwards: a request that finds n waiting before it waits about n s, where s is the time
that the server spends on one request of late. Nothing here knows threads of work or gRPC; the clock is given.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from serving.batcher import Load, OverloadedError


class Admission:
    """Decides, and remembers how it decided of late. Safe to share among threads.

    ``max_waiting`` requests may wait at once, none longer than ``max_wait_s``. The server counts as `shedding` once it
    refused more than ``shed_share`` of what it was asked within the last ``window_s``, and no more when that falls
    below half of the share; refusals that lie back longer than the window are forgotten, so that it also recovers when
    nobody asks any more.
    """

    FEWEST = 20
    """Requests within the window below which a share says nothing."""
    SOONEST_S = 0.01
    """The shortest time that a caller is told to stay away."""

    def __init__(
        self,
        *,
        max_waiting: int,
        max_wait_s: float,
        shed_share: float = 0.2,
        window_s: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._shed_share = shed_share
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = [0] * window_s
        self._refused = [0] * window_s
        self._second = int(clock())
        self._shedding = False

    def admit(self, load: Load, seconds_left: float) -> None:
        """Let a request in that finds ``load`` before it, and whose caller waits ``seconds_left`` more (may be inf).

        Raises OverloadedError where the queue is full, or the wait would outlast the caller or `max_wait_s`. A server
        with nothing to do tries what it can.
        """
        wait_s = load.waiting * load.seconds_each
        # With its own time: an answer that is begun as the caller leaves is work for nobody.
        late = load.waiting > 0 and wait_s + load.seconds_each > seconds_left
        refused = load.waiting >= self._max_waiting or wait_s > self._max_wait_s or late
        with self._lock:
            self._turn()
            self._asked[-1] += 1
            self._refused[-1] += refused
        if refused:
            # When half of the queue is gone: room enough, and those who were refused do not all find it empty at once.
            raise OverloadedError(max(wait_s / 2, self.SOONEST_S))

    @property
    def shedding(self) -> bool:
        """Whether so much was refused of late that a load balancer should look elsewhere."""
        with self._lock:
            self._turn()
            asked, refused = sum(self._asked), sum(self._refused)
            share = self._shed_share / 2 if self._shedding else self._shed_share
            self._shedding = asked >= self.FEWEST and refused > share * asked
            return self._shedding

    def _turn(self) -> None:
        """Forget the seconds that have left the window."""
        second = int(self._clock())
        passed = min(second - self._second, self._window_s)
        if passed > 0:
            self._asked = self._asked[passed:] + [0] * passed
            self._refused = self._refused[passed:] + [0] * passed
            self._second = second

"""Who is let into the queue: a request that would wait too long is refused at once, while refusing is still cheap.

The rule is Little's law read backwards: a request that finds n waiting before it waits about n s, where s is the time
the server spends on one request of late. Nothing here knows threads or gRPC; the clock is given.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class OverloadedError(Exception):
    """The server has too much to do for this request; ``retry_after_s`` is when it will have less."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the server has too much to do; try again in {retry_after_s:.2f} s")
        self.retry_after_s = retry_after_s


class Admission:
    """Decides, and remembers how it decided of late. Safe to share among threads.

    ``max_waiting`` requests may wait at once, none longer than ``max_wait_s``. The server counts as `shedding` once it
    refused more than ``shed_share`` of what it was asked within the last ``window_s``, and no more when that falls
    below half of the share; refusals that lie back longer than the window are forgotten, so that it also recovers when
    nobody asks any more.
    """

    MEMORY = 0.9
    """How much of the mean time of a request outlives one batch."""
    FEWEST = 20
    """Requests within the window below which a share says nothing."""

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
        self._each_s = 0.0
        self._asked = [0] * window_s
        self._refused = [0] * window_s
        self._second = int(clock())
        self._shedding = False

    def expected_wait_s(self, waiting: int) -> float:
        """How long a request that finds so many waiting will wait until it is worked on."""
        return waiting * self._each_s

    def admit(self, waiting: int, remaining_s: float | None = None) -> None:
        """Let a request in that finds ``waiting`` before it; its caller waits ``remaining_s`` more (None: any time).

        Raises OverloadedError where the queue is full, or the wait would outlast the caller or `max_wait_s`.
        """
        wait_s = self.expected_wait_s(waiting)
        # With itself: an answer that is begun as the caller leaves is work for nobody.
        late = remaining_s is not None and waiting > 0 and wait_s + self._each_s > remaining_s
        refused = waiting >= self._max_waiting or wait_s > self._max_wait_s or late
        with self._lock:
            self._turn()
            self._asked[-1] += 1
            self._refused[-1] += refused
        if refused:
            # Half of the queue gone is room enough, and not all come back at the same moment.
            raise OverloadedError(max(wait_s / 2, self._each_s, 0.01))

    def served(self, requests: int, busy_s: float) -> None:
        """Tell that ``requests``, worked on together, took ``busy_s`` of the worker."""
        each_s = busy_s / max(requests, 1)
        with self._lock:
            self._each_s = each_s if not self._each_s else self.MEMORY * self._each_s + (1 - self.MEMORY) * each_s

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

"""Who is let in: a request that would wait too long is refused at once, before a byte of it is looked at.

The rule is Little's law read backwards: a request that finds n before it waits about n s, where s is the time that the
server spends on one request of late. Nothing here knows gRPC; the clock is given.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.pipeline.batcher import OverloadedError

SOONEST_S = 0.01
"""The shortest time that a caller is told to stay away."""
FEWEST = 20
"""Requests within the window below which a share says nothing."""


def retry_after(
    inside: int, each_s: float, seconds_left: float | None, *, max_inside: int, max_wait_s: float
) -> float | None:
    """Seconds to stay away for a request that finds ``inside`` before it, of ``each_s`` each. None: come in.

    It is refused where there is no room, or the wait would outlast ``max_wait_s`` or its caller, who waits
    ``seconds_left`` more (None: any time). A server with nothing to do tries what it can.

    >>> retry_after(40, 0.01, 1.0, max_inside=100, max_wait_s=0.5)
    >>> retry_after(60, 0.01, 1.0, max_inside=100, max_wait_s=0.5)
    0.3
    """
    wait_s = inside * each_s
    # With its own time: an answer that is begun as the caller leaves is work for nobody.
    late = seconds_left is not None and inside > 0 and wait_s + each_s > seconds_left
    if inside < max_inside and wait_s <= max_wait_s and not late:
        return None
    # When half of them are through: room enough, and those who were refused do not all find it empty at once.
    return max(wait_s / 2, SOONEST_S)


class Admission:
    """Applies the rule, and remembers how it decided of late. Safe to share among threads.

    ``each_s`` tells what a request takes of late. The server counts as `shedding` once it refused more than
    ``shed_share`` of what it was asked within the last ``window_s``, and no more when that falls below half of the
    share; refusals that lie back longer than the window are forgotten, so that it also recovers when nobody asks.
    """

    def __init__(
        self,
        each_s: Callable[[], float],
        *,
        max_inside: int,
        max_wait_s: float,
        shed_share: float = 0.2,
        window_s: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._each_s = each_s
        self._max_inside = max_inside
        self._max_wait_s = max_wait_s
        self._shed_share = shed_share
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._inside = 0
        self._asked = [0] * window_s
        self._refused = [0] * window_s
        self._second = int(clock())
        self._shedding = False

    @contextmanager
    def entered(self, seconds_left: float | None) -> Iterator[None]:
        """Be inside for the length of the block. Raises OverloadedError instead where `retry_after` refuses."""
        with self._lock:
            self._turn()
            retry_s = retry_after(
                self._inside,
                self._each_s(),
                seconds_left,
                max_inside=self._max_inside,
                max_wait_s=self._max_wait_s,
            )
            self._asked[-1] += 1
            if retry_s is None:
                self._inside += 1
            else:
                self._refused[-1] += 1
        if retry_s is not None:
            raise OverloadedError(retry_s)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    @property
    def shedding(self) -> bool:
        """Whether so much was refused of late that a load balancer should look elsewhere."""
        with self._lock:
            self._turn()
            asked, refused = sum(self._asked), sum(self._refused)
            share = self._shed_share / 2 if self._shedding else self._shed_share
            self._shedding = asked >= FEWEST and refused > share * asked
            return self._shedding

    def _turn(self) -> None:
        """Forget the seconds that have left the window."""
        second = int(self._clock())
        passed = min(second - self._second, self._window_s)
        if passed > 0:
            self._asked = self._asked[passed:] + [0] * passed
            self._refused = self._refused[passed:] + [0] * passed
            self._second = second

"""Micro-batches: requests that wait at the same moment are worked on together.

Adaptive without a knob for waiting: an idle batcher takes a single request at once; while a batch is worked on others
gather, and are the next batch. Encoder, index and trees cost far less a request in a batch than alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

Request = TypeVar("Request")

log = structlog.get_logger("segue.batcher")


class OverloadedError(Exception):
    """More waits than can be done in time."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too much to do; try again in {retry_after_s:.2f} s")
        self.retry_after_s = retry_after_s


class ExpiredError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(slots=True, eq=False)
class _Job(Generic[Request]):
    key: Hashable
    request: Request
    deadline: float
    arrived: float
    done: threading.Lock = field(default_factory=threading.Lock)
    """Held until the job is finished: cheaper than an Event, of which each holds a lock and a list."""
    error: BaseException | None = None
    _over: bool = False

    def ended(self, error: BaseException | None) -> None:
        """Let its caller go on; what is said after the first time does not count."""
        if not self._over:
            self._over, self.error = True, error
            self.done.release()


@dataclass(frozen=True, slots=True)
class Load:
    """What is going on, as admission sees it."""

    waiting: int
    seconds_each: float
    """Time a request takes of the batcher, an exponential mean over batches."""


class Batcher(Generic[Request]):
    """Runs requests that share a key together, in one thread of its own.

    ``run(key, requests)`` works on a batch and leaves the outcome in the requests; what it throws, every request of the
    batch throws. ``admit(load, seconds left)`` raises OverloadedError to turn a request away at the door;
    ``observe(size, waited_s, busy_s)`` is told of each batch. A request whose time has passed, or of which ``wanted``
    says that its caller has left, is not worked on; ``dropped`` is told of each.
    """

    def __init__(
        self,
        run: Callable[[Hashable, Sequence[Request]], None],
        *,
        max_batch: int,
        admit: Callable[[Load, float], None] = lambda load, left: None,
        wanted: Callable[[Request], bool] = lambda request: True,
        observe: Callable[[int, float, float], None] = lambda size, waited_s, busy_s: None,
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._admit = admit
        self._wanted = wanted
        self._seconds_each = 0.0
        self._observe = observe
        self._dropped = dropped
        self._waiting: deque[_Job[Request]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def load(self) -> Load:
        return Load(len(self._waiting), self._seconds_each)

    def submit(self, key: Hashable, request: Request, seconds_left: float | None = None) -> None:
        """Return when ``request`` is done.

        Raises OverloadedError where it is not admitted, ExpiredError where its time passed or its caller left before it
        was done, and what `run` raised.
        """
        now = time.monotonic()
        left = float("inf") if seconds_left is None else seconds_left
        self._admit(self.load, left)
        job = _Job(key, request, now + left, now)
        job.done.acquire()
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        if not job.done.acquire(
            timeout=-1 if seconds_left is None else min(max(0.0, seconds_left), threading.TIMEOUT_MAX)
        ):
            raise ExpiredError
        if job.error is not None:
            raise job.error

    def close(self) -> None:
        """End once what waits is done."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            try:
                self._done(batch)
            except Exception as error:
                # Who watches may fail. This thread must not: everybody waits for it.
                log.exception("batch", requests=len(batch))
                for job in batch:
                    job.ended(error)

    def _done(self, batch: Sequence[_Job[Request]]) -> None:
        started = time.monotonic()
        alive: list[_Job[Request]] = []
        for job in batch:
            if job.deadline > started and self._wanted(job.request):
                alive.append(job)
            else:
                job.ended(ExpiredError())
                self._dropped()
        for key in dict.fromkeys(job.key for job in alive):
            self._together([job for job in alive if job.key == key])
        if alive:
            busy_s = time.monotonic() - started
            each_s = busy_s / len(alive)
            self._seconds_each = 0.9 * self._seconds_each + 0.1 * each_s if self._seconds_each else each_s
            self._observe(len(alive), started - alive[0].arrived, busy_s)

    def _together(self, jobs: list[_Job[Request]]) -> None:
        fault: BaseException | None = None
        try:
            self._run(jobs[0].key, [job.request for job in jobs])
        except BaseException as error:
            fault = error
        for job in jobs:
            job.ended(fault)

    def _next(self) -> list[_Job[Request]]:
        """What waits, at most ``max_batch``; empty at the end."""
        with self._changed:
            while not self._waiting:
                if self._ended:
                    return []
                self._changed.wait()
            return [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]

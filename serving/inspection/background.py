"""Work that no answer waits for: a bounded queue, and a thread that writes what is in it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Literal, TypeAlias, TypeVar

import structlog

Item = TypeVar("Item")
Outcome: TypeAlias = Literal["written", "dropped", "failed"]
"""Failed: could not be written now, and is kept."""

log = structlog.get_logger("segue.background")

EVERY_S = 0.1
"""Between two batches. The thread looks by itself: waking it would cost every request more than the rest of `add`."""
LONGEST_PAUSE_S = 5.0


class Background(Generic[Item]):
    """Writes items in batches, in their order. One that cannot be written now is kept, and the oldest goes when more
    than ``capacity`` wait.

    ``write`` raises one of ``passing`` where it is worth trying again, with a growing pause; what else it raises costs
    the batch. ``tell`` hears what became of items, and how many still wait; ``keep`` makes one that has to wait small.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[Item]], None],
        *,
        passing: tuple[type[Exception], ...],
        capacity: int,
        max_batch: int = 500,
        tell: Callable[[Outcome, Sequence[Item], int], None],
        keep: Callable[[Item], None] = lambda item: None,
    ) -> None:
        self._name = name
        self._write = write
        self._passing = passing
        self._capacity = capacity
        self._max_batch = max_batch
        self._tell = tell
        self._keep = keep
        self._waiting: deque[Item] = deque()
        self._lock = threading.Lock()
        self._added = self._settled = 0
        self._ended = threading.Event()
        self._until = float("inf")
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, item: Item) -> None:
        with self._lock:
            self._waiting.append(item)
            self._added += 1
            oldest = [self._waiting.popleft() for _ in range(len(self._waiting) - self._capacity)]
            self._settled += len(oldest)
        if oldest:
            self._tell("dropped", oldest, len(self._waiting))

    def flush(self, within_s: float) -> bool:
        """Wait until what was added before is written or dropped; False where that takes longer."""
        until, added = time.monotonic() + within_s, self._added
        while self._settled < added:
            if time.monotonic() > until:
                return False
            time.sleep(EVERY_S / 10)
        return True

    def close(self, within_s: float) -> None:
        """Write what waits; what could not be written within that time is dropped."""
        self._until = time.monotonic() + within_s
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = EVERY_S
        while True:
            ended = self._ended.wait(pause_s)
            try:
                self._write_all()
                pause_s = EVERY_S
                if ended:
                    return
            except self._passing as error:
                self._tell("failed", [], len(self._waiting))
                log.warning("not written", queue=self._name, waiting=len(self._waiting), error=str(error))
                if time.monotonic() > self._until:
                    log.error("dropped at the end", queue=self._name, items=len(self._waiting))
                    self._tell("dropped", list(self._waiting), 0)
                    return
                with self._lock:
                    waiting = list(self._waiting)
                for item in waiting:
                    with suppress(Exception):  # It fails again where it is written, and is told of there.
                        self._keep(item)
                if ended:  # Then waiting for the end is no pause any more.
                    time.sleep(EVERY_S)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _write_all(self) -> None:
        while True:
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            if not batch:
                return
            try:
                self._write(batch)
            except self._passing:
                with self._lock:
                    self._waiting.extendleft(reversed(batch))
                raise
            except Exception:
                # A fault of ours in one batch must not end the thread that writes all others.
                self._tell("dropped", batch, len(self._waiting))
                log.exception("batch lost", queue=self._name, items=len(batch))
            else:
                self._tell("written", batch, len(self._waiting))
            with self._lock:
                self._settled += len(batch)

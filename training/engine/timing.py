"""Where the time of a run goes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Clock:
    """Seconds of this process by part of the work: loading, compute, evaluation, checkpoints.

    >>> clock = Clock()
    >>> [number for number in clock.each("loading", [1, 2])]
    [1, 2]
    >>> with clock.part("compute"):
    ...     pass
    >>> sorted(clock.seconds)
    ['compute', 'loading']
    """

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        """Goes on from ``seconds``, in place."""
        self.seconds = seconds if seconds is not None else {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The block's time goes to ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def each(self, name: str, values: Iterable[T]) -> Iterator[T]:
        """``values``, with the time that making them takes going to ``name``."""
        iterator, end = iter(values), object()
        while True:
            with self.part(name):
                value = next(iterator, end)
            if value is end:
                return
            yield value  # type: ignore[misc]  # not the end

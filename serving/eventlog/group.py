"""Calls of several threads made as one (group commit), so that they share one flush to disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class Grouped(Generic[Ask, Answer]):
    """Gives what ``act`` gives: an answer for each that was asked.

    Whoever comes first acts; those who come meanwhile wait, and then the first of them acts for all. What ``act``
    raises is raised to every one that it acted for.

    >>> Grouped(lambda numbers: [2 * number for number in numbers])(21)
    42
    """

    def __init__(self, act: Callable[[Sequence[Ask]], Sequence[Answer]]) -> None:
        self._act = act
        self._waiting: list[tuple[Ask, Future[Answer]]] = []
        self._list = threading.Lock()
        self._turn = threading.Lock()

    def __call__(self, ask: Ask) -> Answer:
        future: Future[Answer] = Future()
        with self._list:
            self._waiting.append((ask, future))
        with self._turn:
            if not future.done():
                with self._list:
                    calls, self._waiting = self._waiting, []
                self._end(calls)
        return future.result()

    def _end(self, calls: Sequence[tuple[Ask, Future[Answer]]]) -> None:
        try:
            for (_, future), answer in zip(calls, self._act([ask for ask, _ in calls]), strict=True):
                future.set_result(answer)
        except BaseException as fault:
            for _, future in calls:
                future.set_exception(fault)
            if not isinstance(fault, Exception):
                raise

"""Calls that wait while one is made are made together, and each gets its own answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.eventlog.group import Grouped


def test_those_who_wait_are_served_together() -> None:
    first_is_in, go = threading.Event(), threading.Event()
    groups: list[list[int]] = []

    def act(numbers: Sequence[int]) -> list[int]:
        groups.append(sorted(numbers))
        if len(groups) == 1:
            first_is_in.set()
            go.wait(10)
        return [-number for number in numbers]

    grouped = Grouped(act)
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(grouped, 0)]
        first_is_in.wait(10)
        answers += [pool.submit(grouped, number) for number in range(1, 6)]
        while len(grouped._waiting) < 5:
            time.sleep(0.001)
        go.set()
        assert [answer.result() for answer in answers] == [0, -1, -2, -3, -4, -5]
    assert groups == [[0], [1, 2, 3, 4, 5]]


def test_many_threads_each_get_their_own_answer() -> None:
    grouped = Grouped(lambda numbers: [number * number for number in numbers])
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(grouped, range(2000))) == [number * number for number in range(2000)]


def test_a_fault_reaches_those_it_was_for_and_nobody_else() -> None:
    def act(numbers: Sequence[int]) -> list[int]:
        if 13 in numbers:
            raise ValueError("13")
        return list(numbers)

    grouped = Grouped(act)
    assert grouped(1) == 1
    with pytest.raises(ValueError, match="13"):
        grouped(13)
    assert grouped(2) == 2

"""Micro-batches: all are answered, each by its own key, and nobody waits for what nobody wants any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from serving.pipeline.batcher import Batcher, ExpiredError, Load, OverloadedError


@dataclass
class Runs:
    """What a batcher was made to run; held until let go."""

    batches: list[tuple[Hashable, list[int]]] = field(default_factory=list)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, key: Hashable, requests: Sequence[int]) -> None:
        self.batches.append((key, list(requests)))
        self.started.release()
        self.let_go.wait(30)
        if -1 in requests:
            raise ZeroDivisionError


@pytest.fixture
def runs() -> Runs:
    return Runs()


def waiting(batcher: Batcher[int], n: int) -> None:
    end = time.monotonic() + 10
    while batcher.load.waiting < n and time.monotonic() < end:
        time.sleep(0.001)
    assert batcher.load.waiting == n


def test_what_gathers_while_a_batch_runs_is_the_next_batch(runs: Runs) -> None:
    batcher: Batcher[int] = Batcher(runs, max_batch=3)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher.submit, "a", 0)
        assert runs.started.acquire(timeout=10)
        others = []
        for number, key in enumerate("aabaa", start=1):
            others.append(pool.submit(batcher.submit, key, number))
            waiting(batcher, number)
        runs.let_go.set()
        for each in (first, *others):
            each.result(timeout=10)
    batcher.close()
    assert runs.batches == [("a", [0]), ("a", [1, 2]), ("b", [3]), ("a", [4, 5])]


def test_a_fault_is_that_of_its_own_batch(runs: Runs) -> None:
    runs.let_go.set()
    batcher: Batcher[int] = Batcher(runs, max_batch=8)
    with pytest.raises(ZeroDivisionError):
        batcher.submit("a", -1)
    batcher.submit("a", 1)
    batcher.close()


def test_who_has_left_is_not_worked_for(runs: Runs) -> None:
    dropped = threading.Semaphore(0)
    batcher: Batcher[int] = Batcher(runs, max_batch=8, dropped=dropped.release)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.submit, "a", 0)
        assert runs.started.acquire(timeout=10)
        with pytest.raises(ExpiredError):
            batcher.submit("a", 1, 0.02)
        runs.let_go.set()
        first.result(timeout=10)
    assert dropped.acquire(timeout=10)
    batcher.close()
    assert runs.batches == [("a", [0])]


def test_who_left_without_a_deadline_is_not_worked_for(runs: Runs) -> None:
    left: set[int] = set()
    dropped = threading.Semaphore(0)
    batcher: Batcher[int] = Batcher(
        runs, max_batch=8, wanted=lambda request: request not in left, dropped=dropped.release
    )
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batcher.submit, "a", 0)
        assert runs.started.acquire(timeout=10)
        others = [pool.submit(batcher.submit, "a", number) for number in (1, 2)]
        waiting(batcher, 2)
        left.add(1)
        runs.let_go.set()
        first.result(timeout=10)
        others[1].result(timeout=10)
        with pytest.raises(ExpiredError):
            others[0].result(timeout=10)
    assert dropped.acquire(timeout=10)
    batcher.close()
    assert runs.batches == [("a", [0]), ("a", [2])]


def test_who_is_not_admitted_is_not_queued(runs: Runs) -> None:
    def full(load: Load, left: float) -> None:
        raise OverloadedError(0.5)

    batcher: Batcher[int] = Batcher(runs, max_batch=8, admit=full)
    with pytest.raises(OverloadedError) as caught:
        batcher.submit("a", 1)
    assert caught.value.retry_after_s == 0.5
    batcher.close()
    assert not runs.batches


def test_what_waits_is_done_before_the_end(runs: Runs) -> None:
    sizes: list[int] = []
    batcher: Batcher[int] = Batcher(runs, max_batch=8, observe=lambda size, waited_s, busy_s: sizes.append(size))
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(batcher.submit, "a", 0)]
        assert runs.started.acquire(timeout=10)
        jobs += [pool.submit(batcher.submit, "a", number) for number in (1, 2)]
        waiting(batcher, 2)
        closing = pool.submit(batcher.close)
        runs.let_go.set()
        closing.result(timeout=10)
        for job in jobs:
            job.result(timeout=10)
    assert sizes == [1, 2]


def test_who_watches_may_fail(runs: Runs) -> None:
    def failing(size: int, waited_s: float, busy_s: float) -> None:
        raise OSError("a full disk")

    def unknown(request: int) -> bool:
        if request == 2:
            raise OSError("a caller of whom nothing can be told")
        return True

    runs.let_go.set()
    batcher: Batcher[int] = Batcher(runs, max_batch=8, wanted=unknown, observe=failing)
    batcher.submit("a", 0, 30)
    batcher.submit("a", 1, 30)
    with pytest.raises(OSError, match="nothing can be told"):
        batcher.submit("a", 2, 30)
    batcher.submit("a", 3, 30)
    batcher.close()
    assert runs.batches == [("a", [0]), ("a", [1]), ("a", [3])]

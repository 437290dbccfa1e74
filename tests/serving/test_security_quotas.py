"""Quotas by a clock that the test turns: exact for one worker, near for several, open where the store is away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.security.clients import Caller
from serving.security.quotas import LEASE_S, LocalQuotas, Quotas
from serving.store.base import StoreUnavailableError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Counted(LocalQuotas):
    """A store that counts the trips to it, and may be away."""

    trips = 0
    away = False

    def take(self, client: str, cost: int, per_second: float, burst: int) -> float:
        self.trips += 1
        if self.away:
            raise StoreUnavailableError("gone")
        return super().take(client, cost, per_second, burst)


def spent(quotas: Quotas, who: Caller, most: int = 10_000) -> int:
    """Requests that are let through one after the other."""
    return next(i for i in range(most) if quotas.take(who))


def caller(per_second: float, burst: int) -> Caller:
    return Caller("web", frozenset(), per_second, burst)


def test_a_bucket_is_full_at_first_and_fills_by_its_rate() -> None:
    clock = Clock()
    quotas, who = Quotas(clock=clock), caller(5.0, 10)
    assert spent(quotas, who) == 10
    assert quotas.take(who) == pytest.approx(0.2)
    clock.now += 1.0
    assert spent(quotas, who) == 5
    clock.now += 1e6
    assert spent(quotas, who) == 10


def test_no_quota_is_no_limit() -> None:
    assert not any(Quotas().take(caller(0.0, 1)) for _ in range(1000))


def test_clients_do_not_share() -> None:
    quotas = Quotas(clock=Clock())
    assert spent(quotas, caller(1.0, 3)) == 3
    assert quotas.take(Caller("app", frozenset(), 1.0, 3)) == 0


def test_trips_to_the_store_are_few_both_while_it_gives_and_once_it_refuses() -> None:
    clock = Clock()
    store = Counted(clock)
    quotas, who = Quotas(store, clock=clock), caller(1000.0, 1000)
    assert spent(quotas, who) == 1000
    assert store.trips <= 1 / LEASE_S + 2
    before = store.trips
    for _ in range(100):
        assert quotas.take(who) > 0
    assert store.trips == before


def test_workers_share_one_bucket() -> None:
    clock = Clock()
    store = Counted(clock)
    workers, who = [Quotas(store, clock=clock) for _ in range(4)], caller(100.0, 200)
    taken = 0
    for _ in range(1000):
        taken += sum(worker.take(who) == 0 for worker in workers)
    assert taken == 200


def test_a_store_that_is_away_lets_requests_through_and_is_left_alone_for_a_while() -> None:
    clock = Clock()
    store, degraded = Counted(clock), []
    quotas, who = Quotas(store, degraded=lambda: degraded.append(clock.now), clock=clock), caller(1.0, 5)
    store.away = True
    assert spent(quotas, who) == 5  # by the worker's own bucket
    assert (len(degraded), store.trips) == (1, 1)
    store.away = False
    clock.now += 2.0
    assert quotas.take(who) == 0
    assert store.trips == 2


@given(
    per_second=st.floats(0.1, 1000),
    burst=st.integers(1, 1000),
    pauses=st.lists(st.floats(-10, 10), min_size=1, max_size=60),
)
def test_never_more_than_burst_and_rate_allow(per_second: float, burst: int, pauses: list[float]) -> None:
    """Whatever the clock does: only time that passed forwards earns anything."""
    clock = Clock()
    quotas, who = LocalQuotas(clock), caller(per_second, burst)
    earned, taken = float(burst), 0
    for pause in pauses:
        clock.now += pause
        earned += max(pause, 0) * per_second
        for _ in range(20):
            wait = quotas.take(who.name, 1, per_second, burst)
            assert 0 <= wait <= 1 / per_second + 1e-6
            taken += wait == 0
    assert taken <= earned + 1e-6

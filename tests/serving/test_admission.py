"""The rule of admission, by a clock that the test turns."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.admission import Admission
from serving.batcher import Load, OverloadedError

EACH_S = 0.01


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def admission(clock: Clock, **changes: float) -> Admission:
    return Admission(**{"max_waiting": 100, "max_wait_s": 0.5, **changes}, clock=clock)  # type: ignore[arg-type]


def refused(rule: Admission, waiting: int, seconds_left: float = inf, each_s: float = EACH_S) -> float | None:
    """Seconds after which to try again, or None where the request is let in."""
    try:
        rule.admit(Load(waiting, each_s), seconds_left)
    except OverloadedError as error:
        return error.retry_after_s
    return None


def test_nobody_waits_longer_than_the_most() -> None:
    rule = admission(Clock())
    assert refused(rule, 50) is None
    assert refused(rule, 51) == pytest.approx(0.255)


def test_a_caller_who_would_be_gone_is_refused_at_once() -> None:
    rule = admission(Clock())
    assert refused(rule, 20, seconds_left=0.3) is None
    assert refused(rule, 20, seconds_left=0.2) is not None


def test_an_idle_server_tries_what_it_can() -> None:
    assert refused(admission(Clock()), 0, seconds_left=0.001) is None


def test_the_queue_is_bounded_even_where_nothing_is_known_of_its_speed() -> None:
    rule = admission(Clock(), max_waiting=3)
    assert refused(rule, 2, each_s=0.0) is None
    assert refused(rule, 3, each_s=0.0) == Admission.SOONEST_S


def test_shedding_begins_at_the_share_and_ends_by_itself() -> None:
    clock = Clock()
    rule = admission(clock, shed_share=0.2, window_s=3)
    for i in range(100):
        refused(rule, 1000 if i < 20 else 0)
    assert not rule.shedding  # a fifth, not more
    refused(rule, 1000)
    assert rule.shedding
    for _ in range(50):
        refused(rule, 0)
    assert rule.shedding  # 14%: below the share, above its half
    for _ in range(100):
        refused(rule, 0)
    assert not rule.shedding
    for _ in range(200):
        refused(rule, 1000)
    assert rule.shedding
    clock.now += 2.5
    assert rule.shedding
    clock.now += 1
    assert not rule.shedding  # nobody asked any more


def test_a_few_refusals_are_no_overload() -> None:
    rule = admission(Clock())
    for _ in range(Admission.FEWEST - 1):
        refused(rule, 1000)
    assert not rule.shedding
    refused(rule, 1000)
    assert rule.shedding


def test_a_clock_that_jumps_is_borne() -> None:
    clock = Clock()
    rule = admission(clock)
    for _ in range(30):
        refused(rule, 1000)
    clock.now = 5.0
    assert rule.shedding
    refused(rule, 0)
    clock.now = 1e9
    assert not rule.shedding


@given(waiting=st.integers(0, 200), each=st.floats(0, 1.0), left=st.floats(0, 10) | st.just(inf))
def test_who_is_let_in_is_expected_to_be_served_in_time(waiting: int, each: float, left: float) -> None:
    retry = refused(admission(Clock()), waiting, left, each)
    if retry is None:
        assert waiting < 100
        assert waiting * each <= 0.5
        assert waiting == 0 or waiting * each + each <= left
    else:
        assert retry > 0

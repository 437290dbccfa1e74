"""The rule of admission, by a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.admission import Admission, OverloadedError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def admission(clock: Clock, **changes: float) -> Admission:
    made = Admission(**{"max_waiting": 100, "max_wait_s": 0.5, **changes}, clock=clock)  # type: ignore[arg-type]
    made.served(10, 0.1)  # 10 ms each
    return made


def refused(rule: Admission, waiting: int, remaining_s: float | None = None) -> float | None:
    """Seconds after which to try again, or None where the request is let in."""
    try:
        rule.admit(waiting, remaining_s)
    except OverloadedError as error:
        return error.retry_after_s
    return None


def test_a_request_waits_for_those_before_it() -> None:
    rule = admission(Clock())
    assert rule.expected_wait_s(0) == 0
    assert rule.expected_wait_s(20) == pytest.approx(0.2)


def test_nobody_waits_longer_than_the_most() -> None:
    rule = admission(Clock())
    assert refused(rule, 50) is None
    assert refused(rule, 51) == pytest.approx(0.255)


def test_a_caller_who_would_be_gone_is_refused_at_once() -> None:
    rule = admission(Clock())
    assert refused(rule, 20, remaining_s=0.3) is None
    assert refused(rule, 20, remaining_s=0.2) is not None


def test_an_idle_server_tries_what_it_can() -> None:
    assert refused(admission(Clock()), 0, remaining_s=0.001) is None


def test_the_queue_is_bounded_even_where_nothing_is_known_of_its_speed() -> None:
    rule = Admission(max_waiting=3, max_wait_s=9.0, clock=Clock())
    assert refused(rule, 2) is None
    assert refused(rule, 3) == 0.01


def test_the_expected_time_follows_what_is_seen() -> None:
    rule = admission(Clock())
    for _ in range(60):
        rule.served(1, 0.05)
    assert rule.expected_wait_s(1) == pytest.approx(0.05, rel=0.01)


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
    for _ in range(19):
        refused(rule, 1000)
    assert not rule.shedding
    refused(rule, 1000)
    assert rule.shedding


@given(
    each=st.floats(1e-5, 1.0),
    waiting=st.integers(0, 200),
    remaining=st.none() | st.floats(0, 10),
)
def test_who_is_let_in_is_expected_to_be_served_in_time(each: float, waiting: int, remaining: float | None) -> None:
    rule = Admission(max_waiting=100, max_wait_s=0.5, clock=Clock())
    rule.served(1, each)
    retry = refused(rule, waiting, remaining)
    if retry is None:
        assert waiting < 100
        assert waiting * each <= 0.5
        assert remaining is None or waiting == 0 or (waiting + 1) * each <= remaining
    else:
        assert retry > 0


def test_a_clock_that_jumps_back_is_borne() -> None:
    clock = Clock()
    rule = admission(clock)
    for _ in range(30):
        refused(rule, 1000)
    clock.now = 5.0
    assert rule.shedding
    refused(rule, 0)
    clock.now = 1e9
    assert not rule.shedding

"""The rule of admission, by a clock that the test turns."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.pipeline.admission import FEWEST, SOONEST_S, Admission, retry_after
from serving.pipeline.batcher import OverloadedError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(
    inside: int, seconds_left: float | None = None, each_s: float = 0.01, max_inside: int = 100
) -> float | None:
    return retry_after(inside, each_s, seconds_left, max_inside=max_inside, max_wait_s=0.5)


def test_nobody_waits_longer_than_the_most() -> None:
    assert refused(50) is None
    assert refused(51) == pytest.approx(0.255)


def test_a_caller_who_would_be_gone_is_refused_at_once() -> None:
    assert refused(20, seconds_left=0.3) is None
    assert refused(20, seconds_left=0.2) is not None


def test_an_idle_server_tries_what_it_can() -> None:
    assert refused(0, seconds_left=0.001) is None


def test_there_is_an_end_of_room_even_where_nothing_is_known_of_the_speed() -> None:
    assert refused(2, each_s=0.0, max_inside=3) is None
    assert refused(3, each_s=0.0, max_inside=3) == SOONEST_S


@given(inside=st.integers(0, 200), each=st.floats(0, 1.0), left=st.none() | st.floats(0, 10))
def test_who_is_let_in_is_expected_to_be_served_in_time(inside: int, each: float, left: float | None) -> None:
    retry = refused(inside, left, each)
    if retry is None:
        assert inside < 100
        assert inside * each <= 0.5
        assert left is None or inside == 0 or inside * each + each <= left
    else:
        assert retry > 0


def admission(clock: Clock, max_inside: int = 1, shed_share: float = 0.2, window_s: int = 5) -> Admission:
    return Admission(
        lambda: 0.0, max_inside=max_inside, max_wait_s=1.0, shed_share=shed_share, window_s=window_s, clock=clock
    )


def ask(rule: Admission, times: int, full: bool) -> int:
    """How many are refused of so many that come one after the other, where the only place is taken if ``full``."""
    count = 0
    with ExitStack() as inside:
        if full:
            inside.enter_context(rule.entered(None))
        for _ in range(times):
            try:
                with rule.entered(None):
                    pass
            except OverloadedError:
                count += 1
    return count


def test_who_leaves_makes_room_also_by_an_error() -> None:
    rule = admission(Clock())
    assert ask(rule, 3, full=True) == 3
    with pytest.raises(ZeroDivisionError), rule.entered(None):
        raise ZeroDivisionError
    assert ask(rule, 3, full=False) == 0


def test_it_goes_by_what_a_request_takes_of_late() -> None:
    each = [0.0]
    rule = Admission(lambda: each[0], max_inside=10, max_wait_s=1.0, clock=Clock())
    with rule.entered(None), rule.entered(None):
        each[0] = 0.6
        with pytest.raises(OverloadedError) as caught, rule.entered(None):
            pass
    assert caught.value.retry_after_s == pytest.approx(0.6)


def test_shedding_begins_at_the_share_and_ends_by_itself() -> None:
    clock = Clock()
    rule = admission(clock, window_s=3)
    assert ask(rule, 79, full=False) == 0
    assert ask(rule, 20, full=True) == 20  # of 100, with the one that holds the place
    assert not rule.shedding  # a fifth, not more
    ask(rule, 1, full=True)
    assert rule.shedding
    ask(rule, 50, full=False)
    assert rule.shedding  # 14%: below the share, above its half
    ask(rule, 100, full=False)
    assert not rule.shedding
    ask(rule, 200, full=True)
    assert rule.shedding
    clock.now += 2.5
    assert rule.shedding
    clock.now += 1
    assert not rule.shedding  # nobody asked any more


def test_a_few_refusals_are_no_overload() -> None:
    rule = admission(Clock())
    ask(rule, FEWEST - 2, full=True)
    assert not rule.shedding
    ask(rule, 1, full=True)
    assert rule.shedding


def test_a_clock_that_jumps_is_borne() -> None:
    clock = Clock()
    rule = admission(clock)
    ask(rule, 30, full=True)
    clock.now = 5.0
    assert rule.shedding
    ask(rule, 1, full=False)
    clock.now = 1e9
    assert not rule.shedding

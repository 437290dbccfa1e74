"""The rule of the gate, as algebra."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.metrics.bootstrap import Interval
from training.gate.rule import Figures, GateSettings, decide

share = st.floats(0.001, 1)
figures = st.builds(
    Figures,
    primary=share,
    coverage=share,
    cold=share,
    groups=st.fixed_dictionaries({"niche": share, "mainstream": share}),
    latency_ms=st.floats(0.01, 500),
)
GOOD = Interval(0.02, 0.01, 0.03)
BASE = Figures(primary=0.3, coverage=0.5, cold=0.1, groups={"niche": 0.2, "mainstream": 0.4}, latency_ms=10.0)


@given(figures)
def test_an_equal_contender_is_refused_for_want_of_a_gain(same: Figures) -> None:
    verdict = decide(same, same, Interval(0.0, 0.0, 0.0), GateSettings())
    assert [check.name for check in verdict.checks if not check.passed] == ["primary gain"]


@given(figures, st.floats(1e-6, 0.5), st.floats(0, 1))
def test_a_gain_passes_exactly_when_its_lower_end_is_above_the_tolerance(
    incumbent: Figures, mean: float, below: float
) -> None:
    gain = Interval(mean, mean - below, mean + below)
    verdict = decide(incumbent, replace(incumbent, primary=incumbent.primary + mean), gain, GateSettings())
    assert verdict.passed == (gain.low > -0.01 * incumbent.primary)


@given(figures, figures, st.floats(-0.5, 0), st.floats(0, 0.5))
def test_no_gain_never_passes(incumbent: Figures, contender: Figures, mean: float, width: float) -> None:
    assert not decide(incumbent, contender, Interval(mean, mean - width, mean + width), GateSettings()).passed


@given(figures, figures, figures)
def test_better_figures_never_turn_a_pass_into_a_refusal(one: Figures, two: Figures, other: Figures) -> None:
    worse, better = sorted((two, other), key=lambda f: f.coverage)
    best = replace(
        better,
        cold=max(worse.cold or 0, better.cold or 0),
        groups={g: max(worse.groups[g], better.groups[g]) for g in worse.groups},
        latency_ms=min(worse.latency_ms, better.latency_ms),
    )
    assert decide(one, best, GOOD, GateSettings()).passed >= decide(one, worse, GOOD, GateSettings()).passed


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [
        ({"coverage": 0.34}, "coverage", "34.0% of the catalogue against 50.0%"),
        ({"cold": 0.08}, "cold tracks", "0.0800 against 0.1000"),
        (
            {"groups": {"niche": 0.18, "mainstream": 0.6}},
            "worst listener group",
            "niche 0.1800 against 0.2000 (-10.0%)",
        ),
        ({"latency_ms": 31.0}, "latency", "p95 31.00 ms against 10.00 ms, at most 30 ms"),
    ],
)
def test_each_guardrail_refuses_alone_and_says_why(change: dict[str, object], check: str, told: str) -> None:
    verdict = decide(BASE, replace(BASE, primary=0.32, **change), GOOD, GateSettings())  # type: ignore[arg-type]
    assert [c.name for c in verdict.checks if not c.passed] == [check]
    assert told in verdict.reason


def test_a_slow_ratio_within_the_budget_harms_nobody() -> None:
    fast = replace(BASE, latency_ms=0.02)
    assert decide(fast, replace(fast, primary=0.32, latency_ms=20.0), GOOD, GateSettings()).passed


def test_an_incumbent_of_zero_is_beaten_by_a_sure_gain() -> None:
    nothing = replace(BASE, primary=0.0, groups={"niche": 0.0, "mainstream": 0.0})
    assert decide(nothing, BASE, Interval(0.3, 0.1, 0.4), GateSettings()).passed
    assert not decide(nothing, BASE, Interval(0.3, -0.001, 0.4), GateSettings()).passed


def test_figures_of_different_rows_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different rows"):
        decide(BASE, replace(BASE, cold=None), GOOD, GateSettings())


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(InputError, match=r"gate\.max_primary_loss"):
        GateSettings.load(max_primary_loss=-0.1)

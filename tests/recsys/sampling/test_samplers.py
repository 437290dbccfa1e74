"""Samplers draw what they say they draw, and depend on the seed and the position alone."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.sampling import Popularity, Sampler, Uniform

COUNTS = np.array([50, 20, 5, 0, 0, 1])
SAMPLERS: list[Sampler] = [Uniform(6, seed=3), Popularity(COUNTS, power=0.75, seed=3)]


@pytest.fixture(params=SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def sampler(request: pytest.FixtureRequest) -> Sampler:
    return request.param


def test_expected_counts_add_up_to_the_number_of_draws(sampler: Sampler) -> None:
    assert sampler.expected_counts(np.arange(6), 7).sum() == pytest.approx(7)


def test_draws_follow_the_expected_counts(sampler: Sampler) -> None:
    k = 200_000
    counts = np.bincount(sampler.draw(k, position=0), minlength=6)
    expected = sampler.expected_counts(np.arange(6), k)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 20.5  # the 99.9% point at 5 degrees of freedom


def test_a_draw_depends_on_seed_and_position_alone(sampler: Sampler) -> None:
    first = sampler.draw(20, position=5)
    sampler.draw(20, position=6)
    assert (sampler.draw(20, position=5) == first).all()
    assert (sampler.draw(20, position=6) != first).any()


def test_seeds_give_other_draws() -> None:
    assert (Uniform(1000, seed=1).draw(20, 0) != Uniform(1000, seed=2).draw(20, 0)).any()


def test_an_item_that_was_never_played_can_be_drawn() -> None:
    assert {3, 4} <= set(Popularity(COUNTS, power=0.75, seed=0).draw(5000, 0).tolist())


def test_power_zero_is_uniform() -> None:
    np.testing.assert_allclose(Popularity(COUNTS, power=0.0, seed=0).probabilities, 1 / 6)

"""A ranking policy draws by the law that it reports."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.ragged import Float64
from recsys.simulation.contexts import Context
from recsys.simulation.policies import _CELLS, Ranking, blocks

CANDIDATES = np.array([2, 3, 5, 8, 9], dtype=np.int32)
SCORES = np.array([0.0, 1.0, 2.0, -1.0, -np.inf])
"""The track 9 is never shown."""


def moments(n: int) -> Context:
    return Context(np.zeros(n, np.int32), *(np.zeros(n, np.int8) for _ in range(3)))


def ranking(size: int, temperature: float = 0.0, scores: Float64 = SCORES) -> Ranking:
    return Ranking(CANDIDATES, lambda listener, context: np.tile(scores, (len(listener), 1)), size, temperature)


def asked(policy: Ranking, slates: list[list[int]]) -> Float64:
    n = len(slates)
    return policy.propensity(np.arange(n), moments(n), np.array(slates))


def test_without_chance_the_best_come_first_and_what_is_left_over_stays_empty() -> None:
    tracks, propensity = ranking(5).slates(np.random.default_rng(0), np.arange(2), moments(2))
    assert tracks.tolist() == [[5, 3, 2, 8, -1]] * 2
    assert tracks.dtype == np.int32
    assert (propensity == 1).all()
    assert asked(ranking(3), [[5, 3, 2], [5, 2, 3], [5, 4, 2]]).tolist() == [[1, 1, 1], [1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_slates_come_as_often_as_their_propensities_say(temperature: float) -> None:
    n, policy = 60_000, ranking(2, temperature)
    tracks, propensity = policy.slates(np.random.default_rng(1), np.arange(n), moments(n))
    pairs = list(permutations([2, 3, 5, 8], 2))
    chance = asked(policy, [list(pair) for pair in pairs]).prod(axis=1)
    assert chance.sum() == pytest.approx(1)
    for pair, p in zip(pairs, chance, strict=True):
        drawn = (tracks == pair).all(axis=1)
        assert drawn.mean() == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / n))
        np.testing.assert_allclose(propensity[drawn].prod(axis=1), p)


def test_a_slot_is_drawn_by_the_softmax_of_what_the_slots_above_have_left() -> None:
    weights = np.exp(SCORES / 2)
    total = weights.sum()
    second, third = weights[1] / (total - weights[2]), weights[3] / (total - weights[2] - weights[1])
    np.testing.assert_allclose(asked(ranking(3, 2.0), [[5, 3, 8]]), [[weights[2] / total, second, third]])
    first = ranking(1, 2.0).probabilities(np.arange(3), moments(3))
    np.testing.assert_allclose(first, np.tile(weights / total, (3, 1)))


def test_slates_that_cannot_be_have_probability_0_from_the_first_such_slot_on() -> None:
    policy = ranking(3, 1.0)
    impossible = asked(policy, [[5, 5, 2], [4, 5, 2], [5, 9, 2], [5, -1, 2]])
    assert (impossible[[0, 2, 3], 0] > 0).all()
    assert not impossible[[0, 2, 3], 1:].any()
    assert not impossible[1].any()


def test_slots_with_nothing_left_are_empty_for_sure() -> None:
    policy = ranking(5, 1.0)
    tracks, propensity = policy.slates(np.random.default_rng(2), np.arange(500), moments(500))
    assert (tracks[:, 4] == -1).all()
    assert (np.sort(tracks[:, :4], axis=1) == [2, 3, 5, 8]).all()
    np.testing.assert_allclose(propensity[:, 3:], 1)
    np.testing.assert_allclose(policy.propensity(np.arange(500), moments(500), tracks), propensity)


def test_a_peaked_law_loses_no_digits() -> None:
    """The first slot is all but certain; the second is even among three that are each 1e-200 as likely as the first."""
    policy = ranking(2, 1.0, np.array([460.0, 0.0, 0.0, 0.0, -np.inf]))
    np.testing.assert_allclose(asked(policy, [[2, 3]]), [[1, 1 / 3]])


def test_blocks_of_rows_join_without_a_seam() -> None:
    n = _CELLS // len(CANDIDATES) + 1_000
    policy = Ranking(CANDIDATES, lambda who, when: (who[:, None] * CANDIDATES % 7).astype(float), 2)
    tracks, _ = policy.slates(np.random.default_rng(0), np.arange(n), moments(n))
    last = np.arange(n - 2_000, n)
    np.testing.assert_array_equal(tracks[last], policy.slates(np.random.default_rng(0), last, moments(2_000)).tracks)
    np.testing.assert_array_equal(np.concatenate(list(blocks(n, len(CANDIDATES)))), np.arange(n))


def test_faults_are_named() -> None:
    with pytest.raises(InputError, match="ascend, each track once"):
        Ranking(np.array([3, 3], np.int32), lambda listener, context: SCORES, 1)
    with pytest.raises(InputError, match="size is 6: it must lie from 1 to the 5 candidates"):
        ranking(6)
    with pytest.raises(InputError, match="temperature is -1"):
        ranking(2, -1.0)
    with pytest.raises(InputError, match="leaves nothing to chance"):
        ranking(2).probabilities(np.arange(1), moments(1))
    with pytest.raises(InputError, match=r"shape \(1, 3\): this policy makes \(1, 2\)"):
        asked(ranking(2), [[2, 3, 5]])

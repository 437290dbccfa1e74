"""The cascade of reactions: what is expected is what happens, and the rules of the slate hold."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.special import expit

from recsys.errors import InputError
from recsys.ragged import Float32, Int32
from recsys.simulation.feedback import (
    LIKE_MARGIN,
    REPEAT_PENALTY,
    STAY_AFTER_PLAY,
    STAY_AFTER_SKIP,
    Reward,
    expected,
    like_probability,
    play_probability,
    react,
)

SLATE = np.array([[7, 3, 7, -1, 9, 3, 7]], dtype=np.int32)
"""The song 7 three times, the song 3 twice, an empty slot."""
UTILITY = np.array([[0.4, -0.8, 2.5, 0.3, -np.inf, 1.0, 3.0]], dtype=np.float32)

slates = st.integers(1, 6).flatmap(
    lambda k: st.tuples(
        npst.arrays(np.float32, (3, k), elements=st.floats(-8, 8, width=32) | st.just(-np.inf)),
        npst.arrays(np.int32, (3, k), elements=st.integers(-1, 4)),
    )
)


def every_path(utility: Float32, songs: Int32) -> tuple[list[float], list[float]]:
    """Plays and skips expected of one slate, by going through every way to answer it: the plain reference."""
    slots = [j for j in range(len(songs)) if songs[j] >= 0]
    plays, skips = [0.0] * len(songs), [0.0] * len(songs)
    for answers in product([True, False], repeat=len(slots)):
        reached = 1.0
        for n, (slot, played) in enumerate(zip(slots, answers, strict=True)):
            penalty = REPEAT_PENALTY * sum(songs[s] == songs[slot] for s in slots[:n])
            chance = float(expit(np.float64(utility[slot]) - penalty))
            chance = chance if played else 1 - chance
            # Each prefix of answers is met once for each way to answer the slots below it.
            (plays if played else skips)[slot] += reached * chance / 2 ** (len(slots) - n - 1)
            reached *= chance * (STAY_AFTER_PLAY if played else STAY_AFTER_SKIP)
    return plays, skips


@given(slates)
def test_expected_is_the_sum_over_every_way_to_answer(slate: tuple[Float32, Int32]) -> None:
    utility, songs = slate
    outcome = expected(utility, songs)
    for row in range(len(songs)):
        plays, skips = every_path(utility[row], songs[row])
        np.testing.assert_allclose(outcome.plays[row], plays, atol=1e-6)
        np.testing.assert_allclose(outcome.skips[row], skips, atol=1e-6)


@given(slates)
def test_expectations_are_probabilities_that_fall_down_the_slate(slate: tuple[Float32, Int32]) -> None:
    utility, songs = slate
    plays, skips, likes = expected(utility, songs)
    assert (plays >= 0).all()
    assert (skips >= 0).all()
    assert (likes >= 0).all()
    assert (likes <= plays).all()
    for row, filled in zip(plays + skips, songs >= 0, strict=True):
        reached = row[filled]
        assert (row[~filled] == 0).all()
        assert (reached <= 1 + 1e-12).all()
        assert (np.diff(reached) < 0).all()
        if len(reached):
            assert reached[0] == pytest.approx(1)


def test_the_mean_of_many_reactions_is_what_was_expected() -> None:
    draws = 200_000
    drawn = react(np.random.default_rng(5), np.tile(UTILITY, (draws, 1)), np.tile(SLATE, (draws, 1)))
    for seen, wanted in zip(drawn, expected(UTILITY, SLATE), strict=True):
        # Binomial error; 21 cells at 4.5 standard errors: a false alarm in some 7,000 seeds.
        error = np.sqrt(wanted[0] * (1 - wanted[0]) / draws)
        assert (np.abs(seen.mean(axis=0) - wanted[0]) <= 4.5 * error + 1e-12).all()


def test_a_listener_answers_a_slot_once_and_nothing_after_leaving() -> None:
    rng = np.random.default_rng(6)
    utility = rng.normal(0, 2, (5_000, 8)).astype(np.float32)
    plays, skips, likes = react(rng, utility, rng.integers(0, 99, (5_000, 8)))
    answered = plays | skips
    assert not (plays & skips).any()
    assert not (likes & ~plays).any()
    assert answered[:, 0].all()
    assert (answered[:, :-1] >= answered[:, 1:]).all()
    assert not answered[:, -1].all()


def test_a_skip_drives_more_listeners_away_than_a_play() -> None:
    sure, never = np.full((1, 2), 40, np.float32), np.full((1, 2), -np.inf, np.float32)
    pair = np.array([[0, 1]])
    assert expected(sure, pair).plays[0, 1] == pytest.approx(STAY_AFTER_PLAY)
    assert expected(never, pair).skips[0, 1] == pytest.approx(STAY_AFTER_SKIP)


def test_a_song_again_or_in_another_version_is_played_less() -> None:
    utility = np.full((2, 3), 1, np.float32)
    plays, skips, _ = expected(utility, np.array([[4, 4, 4], [4, 5, 6]]))
    rate = plays / (plays + skips)
    np.testing.assert_allclose(rate[0], expit(1 - REPEAT_PENALTY * np.arange(3)), rtol=1e-6)
    np.testing.assert_allclose(rate[1], expit(1), rtol=1e-6)


def test_an_empty_slot_changes_nothing_for_the_others() -> None:
    full, holed = np.array([[3, 5]]), np.array([[-1, 3, -1, 5, -1]])
    utility = np.array([[0.2, 0.9]], dtype=np.float32)
    spread = np.array([[9, 0.2, -np.inf, 0.9, 9]], dtype=np.float32)
    for with_holes, without in zip(expected(spread, holed), expected(utility, full), strict=True):
        np.testing.assert_allclose(with_holes[:, [1, 3]], without)
        assert not with_holes[:, [0, 2, 4]].any()
    assert not any(reaction[:, [0, 2, 4]].any() for reaction in react(np.random.default_rng(0), spread, holed))


def test_what_cannot_be_played_is_never_played_nor_liked() -> None:
    utility = np.full((1_000, 4), -np.inf, np.float32)
    plays, skips, likes = react(np.random.default_rng(1), utility, np.tile(np.arange(4), (1_000, 1)))
    assert not plays.any()
    assert not likes.any()
    assert skips[:, 0].all()


def test_a_like_is_a_play_at_a_higher_bar() -> None:
    utility = np.linspace(-5, 8, 9, dtype=np.float32)
    np.testing.assert_allclose(like_probability(utility), play_probability(utility - LIKE_MARGIN), rtol=1e-6)
    assert like_probability(utility).dtype == np.float32


def test_a_reward_weighs_what_happened_as_what_is_expected() -> None:
    draws, reward = 100_000, Reward(play=1.0, skip=-0.5, like=3.0)
    drawn = react(np.random.default_rng(8), np.tile(UTILITY, (draws, 1)), np.tile(SLATE, (draws, 1)))
    values = reward.of(drawn).sum(axis=1)
    error = values.std() / np.sqrt(draws)
    assert values.mean() == pytest.approx(reward.of(expected(UTILITY, SLATE)).sum(), abs=4 * error)


def test_equal_streams_give_equal_reactions_and_no_slot_none() -> None:
    first, second = (react(np.random.default_rng(3), UTILITY, SLATE) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    nobody = react(np.random.default_rng(3), UTILITY[:0], SLATE[:0])
    assert nobody.plays.shape == (0, 7)
    assert expected(UTILITY[:, :0], SLATE[:, :0]).plays.shape == (1, 0)


def test_a_slate_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"utility has the shape \(1, 7\), the slate \(1, 3\)"):
        react(np.random.default_rng(0), UTILITY, SLATE[:, :3])

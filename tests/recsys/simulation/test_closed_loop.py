"""The closed loop is ground truth: what it says a policy is worth is what experiments and estimators come to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.ragged import Float64, Int32, Int64
from recsys.simulation.contexts import Context
from recsys.simulation.feedback import Reward
from recsys.simulation.listeners import Listeners
from recsys.simulation.loop import ClosedLoop
from recsys.simulation.music import Music
from recsys.simulation.policies import Policy, Ranking
from recsys.simulation.preferences import PREFERENCES, fame
from recsys.simulation.settings import WorldSettings

POPULATION = 300
RUNS = 400
NEAR_95 = (0.95 - 3.5 * np.sqrt(0.95 * 0.05 / RUNS), 0.95 + 3.5 * np.sqrt(0.95 * 0.05 / RUNS))
"""Where the share of RUNS intervals at 95% that hold the truth may lie: 3.5 standard errors of a binomial."""
every_preference = pytest.mark.parametrize("name", list(PREFERENCES))


@dataclass(frozen=True)
class Scene:
    """A world and the moments of a population in it; six tracks among which policies choose."""

    loop: ClosedLoop
    listener: Int64
    context: Context
    candidates: Int32

    def uniform(self, size: int = 2) -> Ranking:
        return Ranking(self.candidates, lambda who, when: np.zeros((len(who), len(self.candidates))), size, 1.0)

    def popular(self, size: int = 2, temperature: float = 0.0) -> Ranking:
        known = fame(self.loop.music, self.candidates)
        return Ranking(self.candidates, lambda who, when: np.tile(known, (len(who), 1)), size, temperature)

    def personal(self, size: int = 2, temperature: float = 0.0) -> Ranking:
        """By how well a scene of the listener's is met: a guess at the utility, whatever its form."""

        def scores(who: Int64, when: Context) -> Float64:
            own = self.loop.listeners.scenes(who, when.day)
            return (self.loop.music.scene[self.candidates] == own[:, :, None]) * np.array([[3.0], [2.0], [1.0]])

        return Ranking(self.candidates, lambda who, when: scores(who, when).sum(axis=1), size, temperature)

    def value_by_enumeration(self, policy: Policy, reward: Reward) -> float:
        """The plain reference: every slate that can be, by its probability."""
        total = 0.0
        for pair in permutations(self.candidates, 2):
            slate = np.tile(pair, (len(self.listener), 1))
            chance = policy.propensity(self.listener, self.context, slate).prod(axis=1)
            worth = reward.of(self.loop.expected(self.listener, self.context, slate)).sum(axis=1)
            total += float((chance * worth).mean())
        return total


@cache
def scene(name: str) -> Scene:
    settings = WorldSettings(seed=11)
    rng = np.random.default_rng(11)
    music = Music.draw(rng, settings)
    listeners = Listeners.draw(rng, settings, music)
    listener = rng.integers(0, len(listeners), POPULATION)
    context = Context.draw(rng, listeners, listener, rng.integers(0, settings.days, POPULATION).astype(np.int32))
    candidates = np.sort(music.sample_scene(rng, np.array([0, 3, 7, 12, 18, 22])))
    return Scene(ClosedLoop(music, listeners, PREFERENCES[name]), listener, context, candidates)


@every_preference
def test_many_reactions_come_to_the_value_of_the_slates_shown(name: str) -> None:
    s, policy, reward = scene(name), scene(name).personal(3), Reward(play=1.0, skip=-0.2, like=2.0)
    truth = s.loop.value(policy, s.listener, s.context, np.random.default_rng(0), reward=reward)
    assert truth.standard_error == 0
    assert truth.rows.shape == (POPULATION,)

    rng, row = np.random.default_rng(1), np.repeat(np.arange(POPULATION), 400)
    slate = policy.slates(rng, s.listener[row], s.context.take(row)).tracks
    seen = reward.of(s.loop.react(s.listener[row], s.context.take(row), slate, rng)).sum(axis=1)
    # The rows are the same in both, so only the spread within a row is chance.
    within = seen.reshape(POPULATION, 400).var(axis=1, ddof=1).mean()
    assert seen.mean() == pytest.approx(truth.mean, abs=4 * np.sqrt(within / len(seen)))


@every_preference
def test_a_policy_of_chance_is_worth_the_sum_over_all_its_slates(name: str) -> None:
    s, reward = scene(name), Reward(skip=-0.1)
    policy = s.personal(temperature=1.0)
    value = s.loop.value(policy, s.listener, s.context, np.random.default_rng(2), reward=reward, draws=200)
    assert 0 < value.standard_error < 0.003
    assert value.mean == pytest.approx(s.value_by_enumeration(policy, reward), abs=4 * value.standard_error)


def test_the_standard_error_is_the_spread_of_the_estimate() -> None:
    s = scene("inner-product")
    values = [
        s.loop.value(s.uniform(), s.listener, s.context, np.random.default_rng(seed), draws=4) for seed in range(150)
    ]
    spread = np.std([value.mean for value in values], ddof=1)
    # A standard deviation from 150 is known to within 6%; three of those.
    assert np.mean([value.standard_error for value in values]) == pytest.approx(spread, rel=0.18)


@every_preference
def test_the_value_of_showing_one_track_is_exact(name: str) -> None:
    s = scene(name)
    policy = s.personal(size=1, temperature=1.0)
    probabilities = policy.probabilities(s.listener, s.context)
    exact = s.loop.choice_value(s.candidates, probabilities, s.listener, s.context)
    assert exact.standard_error == 0
    by_hand = np.zeros(POPULATION)
    for column, track in enumerate(s.candidates):
        shown = s.loop.expected(s.listener, s.context, np.full((POPULATION, 1), track))
        by_hand += probabilities[:, column] * shown.plays[:, 0]
    np.testing.assert_allclose(exact.rows, by_hand, atol=1e-6)
    sampled = s.loop.value(policy, s.listener, s.context, np.random.default_rng(3), draws=200)
    assert sampled.mean == pytest.approx(exact.mean, abs=4 * sampled.standard_error)


@every_preference
def test_off_policy_intervals_hold_the_true_value_as_often_as_they_say(name: str) -> None:
    """Inverse propensity scoring, plain, self-normalised (Swaminathan and Joachims, NeurIPS 2015) and slot by slot
    (McInerney et al., KDD 2020), from logs of the uniform policy."""
    s, n = scene(name), 500
    logger, target = s.uniform(), s.personal(temperature=1.5)
    truth = s.value_by_enumeration(target, Reward())

    rng = np.random.default_rng(4)
    row = rng.integers(0, POPULATION, RUNS * n)
    listener, context = s.listener[row], s.context.take(row)
    logged = logger.slates(rng, listener, context)
    reward = Reward().of(s.loop.react(listener, context, logged.tracks, rng))
    ratio = target.propensity(listener, context, logged.tracks) / logged.propensity

    whole, total = ratio.prod(axis=1).reshape(RUNS, n), reward.sum(axis=1).reshape(RUNS, n)
    slotwise = (ratio.cumprod(axis=1) * reward).sum(axis=1).reshape(RUNS, n)
    ips, slots = (whole * total).mean(axis=1), slotwise.mean(axis=1)
    snips = ips / whole.mean(axis=1)
    error = {
        "IPS": (ips, (whole * total).std(axis=1)),
        "SNIPS": (snips, (whole * (total - snips[:, None])).std(axis=1) / whole.mean(axis=1)),
        "slot by slot": (slots, slotwise.std(axis=1)),
    }
    for estimator, (estimate, spread) in error.items():
        holds = np.abs(estimate - truth) <= 1.96 * spread / np.sqrt(n)
        assert NEAR_95[0] < holds.mean() < NEAR_95[1], (estimator, holds.mean())
        assert estimate.mean() == pytest.approx(truth, abs=4 * estimate.std() / np.sqrt(RUNS)), estimator
    assert slots.std() < ips.std()


@every_preference
def test_ab_tests_find_the_true_difference(name: str) -> None:
    s, arm = scene(name), 400
    rng = np.random.default_rng(5)
    seen, true = [], []
    for policy in (s.popular(3, temperature=0.5), s.personal(3)):
        row = rng.integers(0, POPULATION, RUNS * arm)
        listener, context = s.listener[row], s.context.take(row)
        slate = policy.slates(rng, listener, context).tracks
        seen.append(s.loop.react(listener, context, slate, rng).plays.sum(axis=1).reshape(RUNS, arm))
        true.append(s.loop.value(policy, s.listener, s.context, rng, draws=400))
    control, treatment = seen
    difference = treatment.mean(axis=1) - control.mean(axis=1)
    truth, doubt = true[1].mean - true[0].mean, true[0].standard_error
    error = np.sqrt((treatment.var(axis=1, ddof=1) + control.var(axis=1, ddof=1)) / arm)
    holds = np.abs(difference - truth) <= 1.96 * error
    assert doubt < error.mean() / 20
    assert NEAR_95[0] < holds.mean() < NEAR_95[1]
    assert difference.mean() == pytest.approx(truth, abs=4 * np.hypot(difference.std() / np.sqrt(RUNS), doubt))


@every_preference
def test_no_policy_is_worth_more_than_the_one_that_sees_the_utilities(name: str) -> None:
    s = scene(name)

    def utility(who: Int64, when: Context) -> Float64:
        return s.loop.utility(who, when, np.tile(s.candidates, (len(who), 1)))

    rng = np.random.default_rng(6)
    best = s.loop.value(Ranking(s.candidates, utility, 3), s.listener, s.context, rng)
    for other in (s.personal(3), s.popular(3), s.uniform(3)):
        worth = s.loop.value(other, s.listener, s.context, rng)
        assert (worth.rows <= best.rows + 1e-6).all()
        assert worth.mean < best.mean - 0.1


def test_empty_slots_other_versions_and_what_cannot_be_played() -> None:
    s = scene("tags")
    music = s.loop.music
    copy = int(np.flatnonzero(music.version_of != np.arange(len(music)))[0])
    open_to_all = replace(
        music,
        markets=np.full(len(music), 0xFFF, np.uint16),
        explicit=np.zeros(len(music), np.bool_),
        release_day=np.where(np.arange(len(music)) == s.candidates[0], music.first_day + 10_000, 0).astype(np.int32),
    )
    loop = replace(s.loop, music=open_to_all)
    slate = np.tile([-1, music.version_of[copy], s.candidates[0], copy], (POPULATION, 1))
    plays, skips, _ = loop.expected(s.listener, s.context, slate)
    assert not (plays + skips)[:, 0].any()
    assert not plays[:, 2].any()
    alone = loop.expected(s.listener, s.context, slate[:, 3:]).plays[:, 0]
    assert (plays[:, 3] / (plays + skips)[:, 3] < alone).all()
    assert not loop.react(s.listener, s.context, slate, np.random.default_rng(0)).plays[:, [0, 2]].any()


def test_blocks_of_rows_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    s = scene("nearest-taste")
    policy = s.personal(2)
    slate = policy.slates(np.random.default_rng(0), s.listener, s.context).tracks
    probabilities = s.uniform(1).probabilities(s.listener, s.context)

    def answers() -> list[Float64]:
        return [
            s.loop.utility(s.listener, s.context, slate),
            s.loop.value(policy, s.listener, s.context, np.random.default_rng(0)).rows,
            s.loop.choice_value(s.candidates, probabilities, s.listener, s.context).rows,
        ]

    whole = answers()
    monkeypatch.setattr("recsys.simulation.policies._CELLS", 64)
    for small, large in zip(answers(), whole, strict=True):
        np.testing.assert_allclose(small, large, atol=1e-5)


def test_equal_streams_give_equal_reactions() -> None:
    s = scene("context-flow")
    slate = np.tile(s.candidates, (POPULATION, 1))
    first, second, other = (s.loop.react(s.listener, s.context, slate, np.random.default_rng(i)) for i in (7, 7, 8))
    np.testing.assert_array_equal(first, second)
    assert (first.plays != other.plays).any()


def test_faults_are_named() -> None:
    s, rng = scene("tags"), np.random.default_rng(0)
    with pytest.raises(InputError, match=r"300 listeners, 300 contexts, slates of the shape \(2, 2\)"):
        s.loop.react(s.listener, s.context, np.zeros((2, 2), np.int32), rng)
    with pytest.raises(InputError, match=r"slate: indices must lie from -1 to 1999; found 0 to 2000"):
        s.loop.expected(s.listener, s.context, np.tile([0, 2000], (POPULATION, 1)))
    with pytest.raises(InputError, match=r"listener: indices must lie from 0 to 499; found -1"):
        s.loop.react(s.listener * 0 - 1, s.context, np.zeros((POPULATION, 1), np.int32), rng)
    with pytest.raises(InputError, match="draws is 1: it must be 2 or more"):
        s.loop.value(s.uniform(), s.listener, s.context, rng, draws=1)
    with pytest.raises(InputError, match=r"probabilities has the shape \(300, 2\): listeners and candidates ask for"):
        s.loop.choice_value(s.candidates, np.zeros((POPULATION, 2)), s.listener, s.context)

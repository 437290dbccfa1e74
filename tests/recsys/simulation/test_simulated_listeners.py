"""Listeners: shares, tastes that drift and turn, and circumstances that fit the hour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.simulation.contexts import ACTIVITIES, DEVICES, Context, local_hours
from recsys.simulation.listeners import Listeners, scrambled
from recsys.simulation.music import LATENT, Music
from recsys.simulation.settings import SCENES, WorldSettings

SETTINGS = WorldSettings(events=50_000, listeners=2_000, tracks=3_000, days=100)


@pytest.fixture(scope="module")
def music() -> Music:
    return Music.draw(np.random.default_rng(1), SETTINGS)


@pytest.fixture(scope="module")
def listeners(music: Music) -> Listeners:
    return Listeners.draw(np.random.default_rng(2), SETTINGS, music)


def test_equal_streams_give_equal_listeners(music: Music, listeners: Listeners) -> None:
    again = Listeners.draw(np.random.default_rng(2), SETTINGS, music)
    other = Listeners.draw(np.random.default_rng(3), SETTINGS, music)
    assert np.array_equal(again.start, listeners.start)
    assert np.array_equal(again.activity, listeners.activity)
    assert not np.array_equal(other.start, listeners.start)


def test_shares_sum_to_one_and_the_cold_hear_little_and_late(listeners: Listeners) -> None:
    assert listeners.activity.sum() == pytest.approx(1)
    plays = listeners.activity * SETTINGS.events
    assert 0.05 < listeners.cold.mean() < 0.15
    assert plays[listeners.cold].max() < 15
    assert (listeners.arrival[listeners.cold] == 85).all()
    assert (listeners.arrival[~listeners.cold] == 0).all()
    assert np.sort(plays)[-200:].sum() > 0.25 * SETTINGS.events, "a tenth of the listeners hear a good part of it all"


def test_a_taste_drifts_slowly_and_far(listeners: Listeners) -> None:
    everyone = np.arange(len(listeners))

    def closeness(day: int) -> float:
        first, later = (listeners.long_taste(everyone, np.full(len(listeners), d)) for d in (0, day))
        return float((first * later).sum(axis=1).mean())

    assert closeness(1) > 0.999
    assert closeness(10) > closeness(50) > closeness(99)
    assert 0.7 < closeness(99) < 0.95


def test_a_whim_lasts_some_days_and_then_another_comes(listeners: Listeners) -> None:
    days = np.arange(60)
    for listener in range(20):
        one = np.full(60, listener)
        whim = listeners.taste(one, days) - listeners.long_taste(one, days)
        turned = np.linalg.norm(np.diff(whim, axis=0), axis=1) > 0.1
        assert 60 / listeners.whim_days[listener] - 2 <= turned.sum() <= 60 / listeners.whim_days[listener] + 1


def test_a_taste_is_a_function_of_listener_and_day_alone(listeners: Listeners) -> None:
    rng = np.random.default_rng(0)
    listener, day = rng.integers(0, 2_000, 500), rng.integers(0, 100, 500).astype(np.int32)
    order = rng.permutation(500)
    taste = listeners.taste(listener, day)
    assert taste.shape == (500, LATENT)
    assert np.allclose(np.linalg.norm(taste, axis=1), 1, atol=1e-5)
    assert np.allclose(taste[order], listeners.taste(listener[order], day[order]), atol=1e-6)
    other = replace(listeners, seed=8)
    assert not np.allclose(taste, other.taste(listener, day), atol=0.01)


def test_the_nearest_scene_is_nearest(listeners: Listeners) -> None:
    listener, day = np.arange(300), np.full(300, 40)
    scenes = listeners.scenes(listener, day)
    close = listeners.taste(listener, day) @ listeners.centres.T
    assert scenes.shape == (300, 3)
    assert np.array_equal(scenes[:, 0], close.argmax(axis=1))
    assert len(np.unique(scenes[:, 0])) > SCENES / 2, "listeners differ"


def test_scrambled_bits_are_even_and_depend_on_every_key() -> None:
    a, b = np.arange(50_000), np.zeros(50_000, np.int64)
    low = np.bincount((scrambled(7, a, b) % np.uint64(16)).astype(np.int64))
    assert abs(low / len(a) - 1 / 16).max() < 0.005
    for other in (scrambled(8, a, b), scrambled(7, b, a), scrambled(7, a, b + 1)):
        assert (scrambled(7, a, b) != other).mean() > 0.999


def test_a_market_without_music_has_no_listeners(music: Music) -> None:
    only_second = replace(music, markets=np.full(len(music), 1 << 1, dtype=np.uint16))
    assert set(Listeners.draw(np.random.default_rng(0), SETTINGS, only_second).market) == {1}
    with pytest.raises(InputError, match=r"simulation\.tracks"):
        Listeners.draw(np.random.default_rng(0), SETTINGS, replace(music, explicit=np.ones(len(music), dtype=bool)))


def test_circumstances_fit_the_hour(listeners: Listeners) -> None:
    rng = np.random.default_rng(0)
    listener, day = rng.integers(0, 2_000, 40_000), rng.integers(0, 100, 40_000).astype(np.int32)
    context = Context.draw(rng, listeners, listener, day)
    assert len(context) == len(context.take(np.arange(len(context)))) == 40_000
    assert 0 <= context.hour.min() < context.hour.max() <= 23

    def share(activity: str, rows: np.ndarray) -> float:
        return float((context.activity[rows] == ACTIVITIES.index(activity)).mean())

    weekend = np.isin(day % 7, [3, 4])  # 1 January 2025 was a Wednesday.
    assert share("commute", (context.hour == 8) & ~weekend) > 3 * share("commute", (context.hour == 8) & weekend)
    assert share("commute", context.hour == 13) == share("sleep", context.hour == 13) == 0
    commute = context.activity == ACTIVITIES.index("commute")
    assert set(np.unique(context.device[commute])) == {DEVICES.index("phone"), DEVICES.index("car")}
    night, evening = (np.isin(context.hour, hours).mean() for hours in ([2, 3, 4], [17, 18, 19]))
    assert evening > 4 * night


def test_local_hours_keep_the_order_of_moments() -> None:
    share = np.sort(np.random.default_rng(0).random(1_000))
    for rhythm in (-2, 0, 3):
        hours = local_hours(np.full(1_000, rhythm), share)
        assert (np.diff(hours) >= 0).all()
        assert 0 <= hours[0] <= hours[-1] <= 24

"""What every form of preference promises, and what sets the forms apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.ragged import Int32, Int64
from recsys.simulation.contexts import ACTIVITIES, Context
from recsys.simulation.feedback import play_probability
from recsys.simulation.listeners import Listeners
from recsys.simulation.music import EVERYWHERE, Music
from recsys.simulation.preferences import PREFERENCES, fame, playable, preference
from recsys.simulation.settings import WorldSettings

ROWS = 4_000
every_preference = pytest.mark.parametrize("name", list(PREFERENCES))


@dataclass(frozen=True)
class Moments:
    """A small world, and many moments in which each of four tracks is heard."""

    music: Music
    listeners: Listeners
    listener: Int64
    context: Context
    tracks: Int32

    def utility(self, name: str, **changes: object) -> np.ndarray:
        seen = replace(self, **changes)
        return preference(name).utility(seen.music, seen.listeners, seen.listener, seen.context, seen.tracks)


@pytest.fixture(scope="module")
def moments() -> Moments:
    settings = WorldSettings(seed=3)
    rng = np.random.default_rng(3)
    music = Music.draw(rng, settings)
    listeners = Listeners.draw(rng, settings, music)
    listener = rng.integers(0, len(listeners), ROWS)
    context = Context.draw(rng, listeners, listener, rng.integers(0, settings.days, ROWS).astype(np.int32))
    return Moments(music, listeners, listener, context, rng.integers(0, len(music), (ROWS, 4)).astype(np.int32))


def picked(moments: Moments, name: str, seed: int = 0) -> Int32:
    """(n, 1) the track that each listener takes out of four from the scenes of the day's taste."""
    rng = np.random.default_rng(seed)
    scenes = moments.listeners.scenes(moments.listener, moments.context.day)
    offered = np.column_stack(
        [moments.music.sample_scene(rng, rng.permuted(scenes, axis=1)[:, 0].astype(np.int64)) for _ in range(4)]
    )
    utility = moments.utility(name, tracks=offered)
    return np.take_along_axis(offered, (utility + rng.gumbel(size=offered.shape)).argmax(axis=1)[:, None], axis=1)


def mean_play(utility: np.ndarray) -> float:
    return float(play_probability(utility[np.isfinite(utility)]).mean())


@every_preference
def test_a_utility_for_each_track_a_number_or_minus_infinity_where_it_cannot_be_played(
    name: str, moments: Moments
) -> None:
    utility = moments.utility(name)
    assert utility.shape == moments.tracks.shape
    assert utility.dtype == np.float32
    open_to = playable(moments.music, moments.listeners, moments.listener, moments.context, moments.tracks)
    assert 0.5 < open_to.mean() < 1
    np.testing.assert_array_equal(np.isfinite(utility), open_to)
    assert (utility[~open_to] == -np.inf).all()


@every_preference
def test_a_row_and_a_track_depend_on_nothing_but_themselves(name: str, moments: Moments) -> None:
    utility = moments.utility(name)
    rows = np.random.default_rng(1).permutation(ROWS)[:50]
    alone = moments.utility(
        name, listener=moments.listener[rows], context=moments.context.take(rows), tracks=moments.tracks[rows, 2:3]
    )
    np.testing.assert_array_equal(alone, utility[rows, 2:3])
    np.testing.assert_array_equal(moments.utility(name), utility)


@every_preference
def test_no_rows_and_no_tracks_are_answered_in_their_shape(name: str, moments: Moments) -> None:
    nobody = np.zeros(0, dtype=np.int64)
    empty = moments.utility(name, listener=nobody, context=moments.context.take(nobody), tracks=moments.tracks[:0])
    assert empty.shape == (0, 4)
    assert moments.utility(name, tracks=moments.tracks[:, :0]).shape == (ROWS, 0)


@every_preference
def test_about_half_of_any_tracks_are_heard_to_the_end_and_most_of_those_picked(name: str, moments: Moments) -> None:
    anything = mean_play(moments.utility(name))
    own = mean_play(moments.utility(name, tracks=picked(moments, name)))
    assert 0.40 < anything < 0.52
    assert 0.70 < own < 0.80


@every_preference
def test_what_is_heard_to_the_end_is_louder_in_exercise_than_on_the_way_to_sleep(name: str, moments: Moments) -> None:
    energy = moments.music.energy[moments.tracks]

    def loudness(activity: str) -> float:
        doing = np.full(ROWS, ACTIVITIES.index(activity), dtype=np.int8)
        heard = play_probability(moments.utility(name, context=replace(moments.context, activity=doing)))
        return float(np.average(energy, weights=heard))

    assert loudness("exercise") - loudness("sleep") > 0.035


@every_preference
def test_what_is_explicit_elsewhere_or_not_yet_out_is_played_by_nobody_else(name: str, moments: Moments) -> None:
    music, market = moments.music, moments.listeners.market[moments.listener]
    free = replace(
        music,
        explicit=np.zeros(len(music), dtype=np.bool_),
        markets=np.full(len(music), EVERYWHERE, dtype=np.uint16),
        release_day=np.full(len(music), music.first_day, dtype=np.int32),
    )
    assert np.isfinite(moments.utility(name, music=free)).all()

    rude = replace(free, explicit=np.ones(len(music), dtype=np.bool_))
    hears = moments.listeners.explicit_ok[moments.listener]
    np.testing.assert_array_equal(np.isfinite(moments.utility(name, music=rude)).all(axis=1), hears)

    local = replace(free, markets=np.full(len(music), 1 << 2, dtype=np.uint16))
    np.testing.assert_array_equal(np.isfinite(moments.utility(name, music=local)).all(axis=1), market == 2)

    coming = replace(free, release_day=np.full(len(music), music.first_day + 40, dtype=np.int32))
    np.testing.assert_array_equal(
        np.isfinite(moments.utility(name, music=coming)).any(axis=1), moments.context.day >= 40
    )


@every_preference
def test_loud_music_suits_exercise_better_than_sleep(name: str, moments: Moments) -> None:
    loud = np.flatnonzero(moments.music.energy > np.quantile(moments.music.energy, 0.9))
    tracks = np.random.default_rng(2).choice(loud, (ROWS, 4)).astype(np.int32)

    def mean_at(activity: str) -> float:
        context = replace(moments.context, activity=np.full(ROWS, ACTIVITIES.index(activity), dtype=np.int8))
        utility = moments.utility(name, tracks=tracks, context=context)
        return float(utility[np.isfinite(utility)].mean())

    assert mean_at("exercise") > mean_at("sleep") + 0.2


@every_preference
def test_popularity_pleases_those_who_love_it(name: str, moments: Moments) -> None:
    def slope(mainstream: float) -> float:
        trait = np.full(len(moments.listeners), mainstream, dtype=np.float32)
        utility = moments.utility(name, listeners=replace(moments.listeners, mainstream=trait))
        known, heard = fame(moments.music, moments.tracks), np.isfinite(utility)
        return float(np.polyfit(known[heard], utility[heard], 1)[0])

    assert slope(2.0) > slope(-2.0) + 0.3


def test_the_forms_are_not_each_other_in_disguise(moments: Moments) -> None:
    """Within the listeners' own scenes, where a recommender has to choose, the forms order tracks differently."""
    scene = moments.listeners.scenes(moments.listener, moments.context.day)[:, 0].astype(np.int64)
    rng = np.random.default_rng(4)
    tracks = np.column_stack([moments.music.sample_scene(rng, scene) for _ in range(4)])
    utilities = np.stack([moments.utility(name, tracks=tracks) for name in PREFERENCES])
    heard = np.isfinite(utilities[0]).all(axis=1)
    centred = utilities[:, heard] - utilities[:, heard].mean(axis=2, keepdims=True)
    correlation = np.corrcoef(centred.reshape(len(PREFERENCES), -1))
    assert np.abs(correlation[~np.eye(len(PREFERENCES), dtype=bool)]).max() < 0.6


def test_nearest_taste_wants_neither_the_nearest_nor_the_far(moments: Moments) -> None:
    """Along a way from the middle of a scene to the far side, an inner product with that middle only falls."""
    adventurous = replace(moments.listeners, discovery=np.ones(len(moments.listeners), dtype=np.float32))
    rows = np.arange(len(moments.music) // 3)
    context = moments.context.take(rows)
    centre = adventurous.centres[adventurous.scenes(moments.listener[rows], context.day)[:, 0]]
    away = np.random.default_rng(5).standard_normal(centre.shape, dtype=np.float32)
    latent = np.stack([centre, centre + away / 4, -centre], axis=1)
    latent /= np.linalg.norm(latent, axis=2, keepdims=True)
    music = replace(moments.music, latent=moments.music.latent.copy())
    music.latent[: latent[..., 0].size] = latent.reshape(-1, latent.shape[2])
    utility = moments.utility(
        "nearest-taste",
        music=music,
        listeners=adventurous,
        listener=moments.listener[rows],
        context=context,
        tracks=np.arange(latent[..., 0].size).reshape(-1, 3),
    )
    near, middle, far = utility[np.isfinite(utility).all(axis=1)].mean(axis=0)
    assert middle > near + 0.3
    assert middle > far + 0.3


def test_tags_look_at_no_vector(moments: Moments) -> None:
    """The day's scenes come from the taste, and stay; the tracks' own vectors may be anything."""
    shuffled = np.random.default_rng(6).permutation(moments.music.latent)
    np.testing.assert_array_equal(
        moments.utility("tags", music=replace(moments.music, latent=shuffled)), moments.utility("tags")
    )


def test_an_unknown_preference_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"simulation\.preference: there is no 'magic'; one of inner-product, .*tags"):
        preference("magic")

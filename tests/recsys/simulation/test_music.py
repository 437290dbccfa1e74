"""The arrays of the simulated music agree with each other, and sampling follows keys and popularity."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from recsys.simulation.discography import DELUXE, LIVE, RADIO_EDIT, REMASTER, VERSION_SHARE
from recsys.simulation.music import EVERYWHERE, MARKETS, Music
from recsys.simulation.settings import SCENES, WorldSettings

WORLD = WorldSettings(tracks=6_000, artists=500)
ARRAYS = [field.name for field in fields(Music) if field.name != "first_day"]


def draw(world: WorldSettings) -> Music:
    return Music.draw(np.random.default_rng(world.seed), world)


@pytest.fixture(scope="module")
def music() -> Music:
    return draw(WORLD)


@settings(deadline=None, max_examples=25)
@given(
    artists=st.integers(SCENES, 90),
    more=st.integers(0, 300),
    seed=st.integers(0, 1_000),
    days=st.integers(1, 400),
)
def test_arrays_agree_in_worlds_of_any_size(artists: int, more: int, seed: int, days: int) -> None:
    music = draw(WorldSettings(tracks=artists + more, artists=artists, seed=seed, days=days))
    n = artists + more
    assert {name: len(getattr(music, name)) for name in ARRAYS} == dict.fromkeys(ARRAYS, n)
    assert np.unique(music.artist).tolist() == list(range(artists))
    assert np.unique(music.scene).tolist() == list(range(SCENES))
    for keys in (music.scene, music.artist, music.album):
        assert set(np.diff(keys).tolist()) <= {0, 1}
    # An album has one artist and one day, an artist one scene.
    for whole, part in (("artist", "scene"), ("album", "artist"), ("album", "release_day"), ("album", "markets")):
        pairs = np.unique(np.column_stack([getattr(music, whole), getattr(music, part)]), axis=0)
        assert len(pairs) == getattr(music, whole)[-1] + 1, (whole, part)
    original = music.version_of
    assert np.array_equal(original == np.arange(n), music.version == 0)
    assert (music.version[original] == 0).all()
    assert np.array_equal(music.artist[original], music.artist)
    assert np.bincount(original).max(initial=0) <= 2
    assert (music.album[original] != music.album)[music.version > 0].all()
    assert music.popularity.min() > 0
    assert music.popularity.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    assert np.allclose(np.linalg.norm(music.latent, axis=1), 1, atol=1e-5)
    assert (original[music.successors] != original[:, None]).all()
    assert ((music.successors >= 0) & (music.successors < n)).all()
    for name in ("energy", "valence", "acousticness", "danceability"):
        assert 0 <= getattr(music, name).min() <= getattr(music, name).max() <= 1, name
    assert (music.markets > 0).all()
    assert (music.markets <= EVERYWHERE).all()
    assert (music.duration_ms > 0).all()
    assert music.first_day == (WORLD.first_day - date(1970, 1, 1)).days
    assert music.release_day.max() < music.first_day + days


def test_equal_streams_give_equal_music_and_others_differ(music: Music) -> None:
    again, other = draw(WORLD), draw(WORLD.model_copy(update={"seed": 8}))
    for name in ARRAYS:
        assert np.array_equal(getattr(music, name), getattr(again, name)), name
        assert not np.array_equal(getattr(music, name), getattr(other, name)), name


def test_versions_come_out_after_their_original_and_an_edit_about_the_same_time(music: Music) -> None:
    later = music.release_day - music.release_day[music.version_of]
    edited = music.version == RADIO_EDIT
    assert later[edited].min() > -100
    assert abs(np.median(later[edited])) < 60
    for version, typical in ((REMASTER, 900), (LIVE, 300), (DELUXE, 200)):
        assert later[music.version == version].min() > -7, "an album moved to its Friday"
        assert np.median(later[music.version == version]) > typical


def test_versions_are_rare_and_sound_like_their_original(music: Music) -> None:
    copies = np.flatnonzero(music.version)
    assert VERSION_SHARE / 2 < len(copies) / len(music) <= VERSION_SHARE
    assert set(music.version.tolist()) == {0, 1, 2, 3, 4}
    original = music.version_of[copies]
    assert (np.einsum("nd,nd->n", music.latent[copies], music.latent[original]) > 0.98).all()
    assert np.abs(music.energy[copies] - music.energy[original]).mean() < 0.05
    assert np.abs(music.tempo[copies] - music.tempo[original]).mean() < 5
    edits = copies[music.version[copies] == RADIO_EDIT]
    assert (music.duration_ms[edits] < music.duration_ms[music.version_of[edits]]).all()
    assert not music.explicit[edits].any()
    live = copies[music.version[copies] == LIVE]
    assert (music.energy[live] - music.energy[music.version_of[live]]).mean() > 0.02


def test_the_calendar_has_a_back_catalogue_and_releases_while_people_listen(music: Music) -> None:
    """Decades of records; a few come out in the days of listening; most of the recent ones on a Friday."""
    new = music.release_day >= music.first_day
    assert 0.01 < new.mean() < 0.12
    decades = np.unique((music.release_day / 365.25 + 1970) // 10)
    assert len(decades) >= 5
    friday = music.release_day % 7 == 1
    assert friday[music.release_day > 17_000].mean() > 0.7
    assert friday[music.release_day < 16_000].mean() < 0.25


def test_most_music_is_licensed_everywhere(music: Music) -> None:
    limited = music.markets[music.markets != EVERYWHERE]
    assert 0.05 < len(limited) / len(music) < 0.2
    countries = (limited[:, None] >> np.arange(len(MARKETS)) & 1).sum(axis=1)
    assert 1 <= countries.min() <= countries.max() < len(MARKETS)


def test_music_is_nearer_by_scene_and_nearer_still_by_artist(music: Music) -> None:
    rng = np.random.default_rng(0)
    any_track = rng.integers(0, len(music), 4_000)

    def closeness(others: np.ndarray) -> float:
        return float(np.einsum("nd,nd->n", music.latent[any_track], music.latent[others]).mean())

    same_artist = closeness(music.sample_artist(rng, music.artist[any_track]))
    same_scene = closeness(music.sample_scene(rng, music.scene[any_track]))
    anything = closeness(music.sample(rng, 4_000))
    favourite = closeness(music.successors[any_track, 0])
    assert same_artist > same_scene + 0.1 > anything + 0.3
    assert favourite > same_scene + 0.05


def test_sampling_keeps_to_its_keys(music: Music) -> None:
    rng = np.random.default_rng(0)
    artist, scene = rng.integers(0, music.artists, 5_000), rng.integers(0, SCENES, 5_000)
    by_artist, by_scene = music.sample_artist(rng, artist), music.sample_scene(rng, scene)
    assert np.array_equal(music.artist[by_artist], artist)
    assert np.array_equal(music.scene[by_scene], scene)
    assert by_artist.dtype == by_scene.dtype == music.sample(rng, 3).dtype == np.int32


def test_sampling_follows_popularity(music: Music) -> None:
    draws = 200_000

    def fits(drawn: np.ndarray, members: np.ndarray) -> bool:
        """Pearson's test, on the tracks that are expected 5 times or more and all others together."""
        share = music.popularity[members].astype(np.float64) / music.popularity[members].sum(dtype=np.float64)
        seen = np.bincount(drawn, minlength=len(music))[members]
        often = share * draws >= 5
        observed = np.append(seen[often], seen[~often].sum())
        expected = np.append(share[often], share[~often].sum()) * draws
        keep = expected > 0
        return bool(chisquare(observed[keep], expected[keep] * observed.sum() / expected.sum()).pvalue > 0.001)

    rng = np.random.default_rng(1)
    everything = np.arange(len(music))
    assert fits(music.sample(rng, draws), everything)
    assert fits(music.sample_scene(rng, np.full(draws, 5)), np.flatnonzero(music.scene == 5))
    largest = int(np.bincount(music.artist).argmax())
    assert fits(music.sample_artist(rng, np.full(draws, largest)), np.flatnonzero(music.artist == largest))
    assert not fits(rng.integers(0, len(music), draws), everything)

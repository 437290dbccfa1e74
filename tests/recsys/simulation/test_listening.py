"""Sessions and plays: exact counts, times in order, nothing that could not be heard, and the laws kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.simulation.candidates import KINDS, Candidates
from recsys.simulation.contexts import Context
from recsys.simulation.feedback import play_probability
from recsys.simulation.laws import REPEAT, SESSION_LENGTH
from recsys.simulation.listeners import Listeners
from recsys.simulation.listening import RECENT, REPEATED, Listening, Plays, earlier_plays
from recsys.simulation.music import Music
from recsys.simulation.preferences import PREFERENCES, preference
from recsys.simulation.sessions import MAX_PLAYS_A_DAY, MIN_GAP_S, Sessions, blocks, plays_of
from recsys.simulation.settings import WorldSettings

SETTINGS = WorldSettings(events=60_000, listeners=300, tracks=4_000, days=90)
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def music() -> Music:
    return Music.draw(np.random.default_rng(1), SETTINGS)


@pytest.fixture(scope="module")
def listeners(music: Music) -> Listeners:
    return Listeners.draw(np.random.default_rng(2), SETTINGS, music)


def heard(music: Music, listeners: Listeners, form: str = "inner-product", seed: int = 3) -> Plays:
    rng = np.random.default_rng(seed)
    sessions = Sessions.draw(rng, listeners, 0, plays_of(listeners, SETTINGS.events))
    return Listening(music, listeners, preference(form), Candidates.of(music, SETTINGS.days)).plays(rng, sessions)


@pytest.fixture(scope="module")
def plays(music: Music, listeners: Listeners) -> Plays:
    return heard(music, listeners)


@given(events=st.integers(0, 20_000), days=st.integers(1, 3))
def test_plays_are_shared_out_exactly(listeners: Listeners, events: int, days: int) -> None:
    few = replace(listeners, days=days, arrival=np.zeros(len(listeners), np.int32))
    most = days * MAX_PLAYS_A_DAY
    plays = plays_of(few, events)
    assert plays.sum() == events
    assert 0 <= plays.min() <= plays.max() <= most
    wanted = few.activity * events
    if wanted.max() < most:
        assert abs(plays - wanted).max() < 1


def test_more_than_anybody_can_hear_is_refused(listeners: Listeners) -> None:
    with pytest.raises(InputError, match=r"simulation\.events: 300 listeners hear .* at most, not 9,999,999"):
        plays_of(listeners, 9_999_999)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(1, 200))
def test_blocks_are_all_listeners_in_order(plays: list[int], size: int) -> None:
    found = blocks(np.array(plays), size)
    assert [first for first, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == len(plays)
    assert all(first < end for first, end in found)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 5e4), st.floats(1, 9e3)), min_size=1, max_size=30))
def test_a_session_begins_as_planned_or_after_the_one_before(rows: list[tuple[int, float, float]]) -> None:
    rows = sorted(rows)
    listener, planned, duration = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    nothing = np.zeros(n, np.int8)
    context = Context(np.zeros(n, np.int32), nothing, nothing, nothing)
    begun = Sessions(listener, np.ones(n, np.int64), planned, context).begun(duration)
    free = dict.fromkeys(range(4), 0.0)
    for who, plan, took, begin in zip(listener, planned, duration, begun, strict=True):
        assert begin == pytest.approx(max(plan, free[who]), abs=1e-3)
        free[who] = begin + took + MIN_GAP_S


def test_everybody_hears_as_much_as_was_shared_out(plays: Plays, listeners: Listeners) -> None:
    assert len(plays) == SETTINGS.events
    by_listener = np.bincount(plays.listener, minlength=len(listeners))
    assert np.array_equal(by_listener, plays_of(listeners, SETTINGS.events))
    assert plays.begin_ms[plays.listener == np.flatnonzero(listeners.cold)[0]].min() >= 76 * DAY_MS


def test_plays_follow_each_other_and_sessions_lie_apart(plays: Plays) -> None:
    same = np.diff(plays.listener) == 0
    gap = (plays.begin_ms[1:] - plays.begin_ms[:-1] - plays.ms_played[:-1])[same]
    new = (np.diff(plays.session) != 0)[same]
    assert gap[new].min() >= MIN_GAP_S * 1000 - 1
    assert 0 <= gap[~new].min() <= gap[~new].max() < 30 * 60_000, "a pause within a session ends no session"
    assert plays.ms_played.min() > 0
    assert 0 <= plays.begin_ms.min() <= plays.begin_ms.max() < (SETTINGS.days + 1) * DAY_MS
    assert np.array_equal(np.flatnonzero(plays.position == 0), np.flatnonzero(np.diff(plays.session, prepend=-1)))


def test_a_day_has_its_rhythm(plays: Plays, listeners: Listeners) -> None:
    local = plays.begin_ms // 3_600_000 + listeners.utc_offset[plays.listener]
    hours = np.bincount(local % 24, minlength=24) / len(plays)
    assert hours[17:20].mean() > 3 * hours[2:5].mean()


@pytest.mark.parametrize("form", PREFERENCES)
def test_nothing_is_heard_that_is_not_out_not_licensed_or_not_wanted(
    music: Music, listeners: Listeners, form: str
) -> None:
    plays = heard(music, listeners, form)
    track, who = plays.track, plays.listener
    assert (music.release_day[track] <= music.first_day + plays.begin_ms // DAY_MS).all()
    assert (music.markets[track] >> listeners.market[who].astype(np.uint16) & 1 == 1).all()
    assert not (music.explicit[track] & ~listeners.explicit_ok[who]).any()
    assert (music.release_day[track] > music.first_day).any(), "what comes out meanwhile is heard too"
    assert np.isfinite(plays.utility).all()


@pytest.mark.parametrize("form", PREFERENCES)
def test_the_log_agrees_with_the_preference_model(music: Music, listeners: Listeners, form: str) -> None:
    plays = heard(music, listeners, form)
    context = plays.sessions.context.take(plays.session)
    utility = preference(form).utility(music, listeners, plays.listener, context, plays.track[:, None])[:, 0]
    assert np.allclose(utility, plays.utility, atol=1e-4)
    expected = play_probability(utility)
    tenth = np.argsort(expected).reshape(10, -1)
    assert np.abs(expected[tenth].mean(axis=1) - plays.played[tenth].mean(axis=1)).max() < 0.03
    assert 0.55 < plays.played.mean() < 0.85
    assert 0.01 < plays.liked.mean() < 0.1
    assert not (plays.liked & ~plays.played).any()
    assert not (plays.disliked & plays.played).any()
    assert not (plays.added & ~plays.liked).any()


def test_skips_are_short(plays: Plays, music: Music) -> None:
    share = plays.ms_played / music.duration_ms[plays.track]
    assert (share[plays.played] > 0.999).all()
    assert share[~plays.played].max() < 1
    assert 0.15 < share[~plays.played].mean() < 0.35


def test_repeats_keep_to_their_law(plays: Plays) -> None:
    rows = np.arange(len(plays))
    nth = rows - np.maximum.accumulate(np.where(np.diff(plays.listener, prepend=-1) != 0, rows, 0))
    _, first = np.unique(plays.listener * 10_000 + plays.track, return_index=True)
    again = np.ones(len(plays), dtype=bool)
    again[first] = False
    for low, high in ((1, 30), (30, 100), (100, 300), (300, 2_000)):
        these = (nth >= low) & (nth < high)
        assert again[these].mean() == pytest.approx(REPEAT.share(nth[these]).mean(), abs=0.04)


@given(st.integers(0, 10_000))
def test_pointers_lead_to_first_plays_of_the_same_listener(seed: int) -> None:
    listener = np.sort(np.random.default_rng(seed).integers(0, 3, 200))
    earlier = earlier_plays(np.random.default_rng(seed), listener)
    assert (earlier <= np.arange(200)).all()
    assert np.array_equal(earlier[earlier], earlier)
    assert np.array_equal(listener[earlier], listener)


def test_sessions_keep_to_their_law_and_repeat_nothing_soon(plays: Plays) -> None:
    lengths = plays.sessions.length
    law = SESSION_LENGTH.sample(np.random.default_rng(0), 20_000)
    assert np.median(lengths) == pytest.approx(np.median(law), abs=1)
    assert lengths.mean() == pytest.approx(law.mean(), rel=0.15)
    for back in range(1, RECENT):
        near = (plays.track[back:] == plays.track[:-back]) & (plays.session[back:] == plays.session[:-back])
        chosen = (plays.kind[back:] < REPEATED) & (plays.kind[:-back] < REPEATED)
        assert (near & chosen).mean() < 1e-3, "only where nothing else could be played"


def test_all_kinds_of_choice_happen_and_the_habit_of_following_leads(plays: Plays, music: Music) -> None:
    shares = np.bincount(plays.kind, minlength=REPEATED + 1) / len(plays)
    assert (shares > 0.02).all()
    assert shares[: len(KINDS)].argmax() == KINDS.index("successor")
    follows = (music.successors[plays.track[:-1]] == plays.track[1:, None]).any(axis=1)
    assert follows[np.diff(plays.session) == 0].mean() > 0.1


def test_what_is_heard_moves_with_the_taste(plays: Plays, music: Music, listeners: Listeners) -> None:
    day = plays.begin_ms // DAY_MS

    def nearer_to_the_end(days: np.ndarray) -> float:
        rows = days & ~listeners.cold[plays.listener]
        way = (listeners.end - listeners.start)[plays.listener[rows]]
        return float((music.latent[plays.track[rows]] * way).sum(axis=1).mean())

    early, late = nearer_to_the_end(day < 15), nearer_to_the_end(day >= 75)
    assert early < -0.02
    assert late > early + 0.04


def test_a_block_is_the_same_whatever_else_is_drawn(music: Music, listeners: Listeners, plays: Plays) -> None:
    again, other = heard(music, listeners), heard(music, listeners, seed=4)
    for column in ("track", "played", "begin_ms", "liked"):
        assert np.array_equal(getattr(again, column), getattr(plays, column))
        assert not np.array_equal(getattr(other, column), getattr(plays, column))

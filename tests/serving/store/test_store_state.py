"""The state of a listener as a function of a set of events, against a plain reference."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.events import Event
from serving.store.base import Listener, Plays, Session
from serving.store.state import Limits, joined, listener, sizes

MINUTE = 60_000_000
T0 = 1_760_000_000_000_000


def event(number: int, minute: float, action: str, track: str, session: str = "", context: str = "") -> Event:
    return Event(f"e{number}", "anna", track, T0 + int(minute * MINUTE), action, session_id=session, context=context)


EVENTS = st.lists(
    st.builds(
        event,
        number=st.integers(0, 40),
        minute=st.integers(0, 300),
        action=st.sampled_from(["play", "skip", "like", "dislike", "add", "remove"]),
        track=st.sampled_from("abc"),
        session=st.sampled_from(["", "", "s1", "s2"]),
        context=st.sampled_from(["", "car", "\x00\u2028"]),
    ),
    unique_by=lambda e: e.event_id,
    max_size=30,
)


def state_of(events: list[Event], limits: Limits = Limits()) -> Listener:
    return listener(joined(b"", events, limits))


def test_what_a_listener_did_as_readers_see_it() -> None:
    events = [
        event(1, 0, "play", "a"),
        event(2, 3, "skip", "b"),
        event(3, 4, "skip", "c"),
        event(4, 5, "play", "d", context="car"),
        event(5, 6, "like", "d"),
        event(6, 40, "play", "e"),
        event(7, 41, "dislike", "a"),
        event(8, 42, "add", "f"),
    ]
    seconds = T0 / 1e6
    assert state_of(events) == Listener(
        Plays(("a", "d", "e"), (seconds, seconds + 300, seconds + 2400), ("", "car", ""), (0, 2, 0)),
        likes=("d", "f"),
        dislikes=("a",),
        skipped=("b", "c"),
        skipped_ts=(seconds + 180, seconds + 240),
        session=Session("", seconds + 2400, seconds + 2400),
    ), "the like of d is no second play, and 34 minutes without a play end a session"


def test_opinions_change() -> None:
    assert state_of([event(1, 0, "like", "a"), event(2, 1, "dislike", "a")]).likes == ()
    assert state_of([event(1, 0, "dislike", "a"), event(2, 1, "like", "a")]).dislikes == ()
    taken_out = state_of([event(1, 0, "add", "a"), event(2, 1, "dislike", "b"), event(3, 2, "remove", "a")])
    assert (taken_out.likes, taken_out.dislikes) == ((), ("b",))
    assert state_of([event(1, 0, "dislike", "a"), event(2, 1, "remove", "a")]).dislikes == ("a",)


@pytest.mark.parametrize(
    ("second", "session"),
    [
        (event(2, 30, "play", "b"), Session("", T0 / 1e6, T0 / 1e6 + 1800)),
        (event(2, 31, "play", "b"), Session("", T0 / 1e6 + 1860, T0 / 1e6 + 1860)),
        (event(2, 1, "play", "b", "s1"), Session("s1", T0 / 1e6 + 60, T0 / 1e6 + 60)),
    ],
)
def test_a_session_ends_by_a_pause_or_by_its_name(second: Event, session: Session) -> None:
    assert state_of([event(1, 0, "play", "a"), second]).session == session


def test_a_named_session_may_pause() -> None:
    found = state_of([event(1, 0, "play", "a", "s1"), event(2, 90, "play", "b", "s1")]).session
    assert found == Session("s1", T0 / 1e6, T0 / 1e6 + 5400)


def test_a_track_that_is_heard_again_counts_again_but_not_at_once() -> None:
    tracks = [event(i, i, "play", track) for i, track in enumerate("aabba")]
    assert state_of(tracks).plays.track_ids == ("a", "b", "a")
    assert state_of([event(1, 0, "play", "a"), event(2, 60, "play", "a")]).plays.track_ids == ("a", "a"), (
        "a new session"
    )


def test_the_latest_are_kept() -> None:
    events = [event(i, i, "play", f"t{i}") for i in range(30)] + [event(100 + i, i, "like", f"t{i}") for i in range(9)]
    random.Random(7).shuffle(events)
    found = state_of(events, Limits(plays=5, opinions=3))
    assert found.plays.track_ids == ("t25", "t26", "t27", "t28", "t29")
    assert found.likes == ("t6", "t7", "t8")


def test_no_number_of_likes_brings_a_disliked_track_back() -> None:
    events = [event(1, 0, "dislike", "a"), *(event(2 + i, 1 + i, "like", f"t{i}") for i in range(9))]
    assert state_of(events, Limits(opinions=3)).dislikes == ("a",)


@settings(deadline=None)
@given(EVENTS, st.randoms(use_true_random=False), st.sampled_from([Limits(), Limits(plays=3, opinions=2)]))
def test_neither_order_nor_repetition_nor_batches_matter(
    events: list[Event], chance: random.Random, limits: Limits
) -> None:
    at_once = joined(b"", events, limits)
    told = events + chance.choices(events, k=len(events)) if events else []
    chance.shuffle(told)
    state = b""
    while told:
        batch, told = told[: (n := chance.randint(1, 5))], told[n:]
        state = joined(state, batch, limits)
    assert listener(state) == listener(at_once)


@settings(deadline=None)
@given(EVENTS)
def test_the_state_says_what_the_events_say(events: list[Event]) -> None:
    distinct = [replace(e, ts_us=e.ts_us + i) for i, e in enumerate(events)]  # times that tell the events apart
    found, in_order = state_of(distinct), sorted(distinct, key=lambda e: e.ts_us)
    last = {e.track_id: e.action for e in in_order if e.action in ("like", "add", "dislike", "remove")}
    assert set(found.likes) == {track for track, action in last.items() if action in ("like", "add")}
    last = {e.track_id: e.action for e in in_order if e.action in ("like", "add", "dislike")}
    assert set(found.dislikes) == {track for track, action in last.items() if action == "dislike"}
    skips = [e for e in in_order if e.action == "skip"]
    assert list(zip(found.skipped, found.skipped_ts, strict=True)) == [(e.track_id, e.ts_us / 1e6) for e in skips]

    plays: list[Event] = []
    before: Event | None = None
    for play in (e for e in in_order if e.action in ("play", "like")):
        by_gap = before is not None and not play.session_id and play.ts_us - before.ts_us > 30 * MINUTE
        if before is None or by_gap or (play.session_id, play.track_id) != (before.session_id, before.track_id):
            plays.append(play)
        before = play
    assert found.plays.track_ids == tuple(e.track_id for e in plays)
    assert found.plays.ts == tuple(e.ts_us / 1e6 for e in plays)
    assert found.plays.contexts == tuple(e.context for e in plays)
    between = [sum(a.ts_us < s.ts_us < b.ts_us for s in skips) for a, b in pairwise(plays)]
    assert found.plays.skips == tuple([0, *between] if plays else [])


def test_sizes_are_those_of_the_registers() -> None:
    state = joined(b"", [event(1, 0, "play", "a"), event(2, 1, "like", "b"), event(3, 2, "skip", "c")], Limits())
    assert sizes(state) == {"plays": 2, "skips": 1, "likes": 1, "dislikes": 0, "pardons": 1}


def test_a_state_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 9"):
        listener(b"\x09" + joined(b"", [event(1, 0, "play", "a")], Limits())[1:])

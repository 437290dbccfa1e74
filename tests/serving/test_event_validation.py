"""The limits of an event, each by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segue.v1 import feedback_pb2 as pb
from segue.v1.track_pb2 import SourceId, TrackName, TrackReference

from serving.rpc.event_validation import ACTIONS, check_events, fault, ts_us
from serving.rpc.validation import InvalidRequestError

NOW_US = 1_760_000_000_000_000
DAY_S = 86_400


def event(**changes: Any) -> pb.Event:
    sound = {
        "event_id": "e1",
        "user_id": "anna",
        "track": TrackReference(track_id="t1"),
        "action": pb.Event.ACTION_PLAY,
    }
    return pb.Event(**{**sound, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"event_id": "~" * 128, "user_id": "ü" * 128, "session_id": "s" * 128, "context": "c" * 512},
        {"track": TrackReference(source_id=SourceId(source="spotify", id="x"))},
        {"track": TrackReference(name=TrackName(artist="Abba", title="SOS"))},
        {"ts": {"seconds": NOW_US // 1_000_000 + DAY_S}},
        {"ts": {"seconds": 0}},
        {"ms_played": 0, "source": "radio", "request_id": "r1", "action": pb.Event.ACTION_REMOVE},
    ],
)
def test_within_the_limits(changes: dict[str, Any]) -> None:
    assert fault(event(**changes), NOW_US) is None


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("event_id", {"event_id": ""}),
        ("event_id", {"event_id": "x" * 129}),
        ("event_id", {"event_id": "e\n1"}),
        ("event_id", {"event_id": "é"}),
        ("user_id", {"user_id": ""}),
        ("user_id", {"user_id": "ü" * 129}),
        ("track", {"track": TrackReference()}),
        ("track.track_id", {"track": TrackReference(track_id="")}),
        ("track.track_id", {"track": TrackReference(track_id="x" * 513)}),
        ("track.source_id", {"track": TrackReference(source_id=SourceId(source="spotify"))}),
        ("track.name", {"track": TrackReference(name=TrackName(artist="Abba"))}),
        ("action", {"action": pb.Event.ACTION_UNSPECIFIED}),
        ("action", {"action": 99}),
        ("ts", {"ts": {"seconds": NOW_US // 1_000_000 + DAY_S + 1}}),
        ("ts", {"ts": {"seconds": -1}}),
        ("ts", {"ts": {"seconds": 1, "nanos": 1_000_000_000}}),
        ("ts", {"ts": {"seconds": 1, "nanos": -1}}),
        ("ts", {"ts": {"seconds": 2**62}}),
        ("session_id", {"session_id": "s" * 129}),
        ("source", {"source": "s" * 129}),
        ("context", {"context": "c" * 513}),
        ("request_id", {"request_id": "\x00"}),
    ],
)
def test_a_field_beyond_its_limits_is_named(field: str, changes: dict[str, Any]) -> None:
    found = fault(event(**changes), NOW_US)
    assert found is not None
    assert found[0] == field


@settings(deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 999_999_999))
def test_times_are_cut_to_microseconds(seconds: int, nanos: int) -> None:
    assert ts_us(event(ts={"seconds": seconds, "nanos": nanos})) == (seconds * 10**9 + nanos) // 1000


def test_actions_are_those_of_the_tables() -> None:
    from recsys.schema import ACTIONS as COLUMN

    assert sorted(ACTIONS.values()) == sorted(COLUMN)


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("events", pb.RecordEventsRequest()),
        ("events", pb.RecordEventsRequest(events=[event()] * 1001)),
        ("request_id", pb.RecordEventsRequest(request_id="x" * 129, events=[event()])),
    ],
)
def test_a_call_beyond_its_limits_is_refused_whole(field: str, request_: pb.RecordEventsRequest) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_events(request_)
    assert [name for name, _ in refused.value.violations] == [field]


def test_a_call_within_its_limits() -> None:
    check_events(pb.RecordEventsRequest(request_id="r", events=[event(event_id="")] * 1000))

"""FeedbackService on a real log and a real store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from segue.v1 import feedback_pb2 as pb
from segue.v1.track_pb2 import SourceId, TrackName, TrackReference

from recsys.workspace import Workspace
from serving.eventlog import LogSettings, LogUnavailableError, open_log
from serving.events import Event
from serving.pipeline.batcher import ExpiredError, OverloadedError
from serving.rpc.gate import GateClosedError
from serving.services.feedback import FeedbackService
from serving.store.base import Store, StoreUnavailableError
from serving.store.opening import open_store
from serving.store.settings import StateSettings

CATALOGUE = ["t0", "t1", "t2"]
SOS = TrackReference(name=TrackName(artist="Abba", title="SOS"))
NOW_S = 1_760_000_000


@dataclass
class Caller:
    """One who waits until told otherwise."""

    gone: bool = False
    left: float | None = None

    def waits(self) -> bool:
        return not self.gone

    def seconds_left(self) -> float | None:
        return self.left


class ToyCatalogue:
    """Knows CATALOGUE by track_id, and SOS as t1."""

    def find(self, references: Sequence[TrackReference]) -> list[Any]:
        known = {**{TrackReference(track_id=t).SerializeToString(): i for i, t in enumerate(CATALOGUE)}}
        known[SOS.SerializeToString()] = 1
        places = [known.get(reference.SerializeToString()) for reference in references]
        return [None if place is None else SimpleNamespace(index=place) for place in places]

    def track_id(self, index: int) -> str:
        return CATALOGUE[index]


@dataclass
class Failing:
    """A log or a state that fails as often as told, and counts what it is asked."""

    real: Any
    errors: list[Exception] = field(default_factory=list)
    appended: list[int] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    def append(self, events: Sequence[Event]) -> list[bool]:
        self.appended.append(len(events))
        self.hold.wait()
        self._fail()
        return self.real.append(events)

    def apply(self, events: Sequence[Event]) -> None:
        self._fail()
        self.real.apply(events)

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop()


@dataclass
class Counted:
    """What metrics are told."""

    calls: list[tuple[int, int, int]] = field(default_factory=list)
    newest: float = 0.0

    def events(self, stored: int, duplicates: int, rejected: int, seconds: float) -> None:
        assert seconds > 0
        self.calls.append((stored, duplicates, rejected))

    def event_applied(self, ts: float) -> None:
        self.newest = ts


@dataclass
class World:
    """The service and what it writes to."""

    service: FeedbackService
    log: Failing
    state: Failing
    store: Store
    metrics: Counted

    def logged(self) -> list[Event]:
        return [event for page in self.log.real.events() for event in page.rows]

    def heard(self, user_id: str = "anna") -> tuple[str, ...]:
        return self.store.listeners.get(user_id).plays.track_ids


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    workspace = Workspace(tmp_path)
    store = open_store(StateSettings(timeout_s=5), workspace)
    log, state = Failing(open_log(LogSettings(), workspace)), Failing(store.listeners)
    log.hold.set()
    metrics = Counted()
    service = FeedbackService(ToyCatalogue, log, state, max_streams=2, metrics=metrics)
    yield World(service, log, state, store, metrics)
    service.close()


def event(number: int, track: str | TrackReference = "t0", **changes: Any) -> pb.Event:
    reference = TrackReference(track_id=track) if isinstance(track, str) else track
    sound = {"event_id": f"e{number}", "user_id": "anna", "action": pb.Event.ACTION_PLAY}
    return pb.Event(**{**sound, "track": reference, "ts": {"seconds": NOW_S + number}, **changes})


def request(*events: pb.Event) -> pb.RecordEventsRequest:
    return pb.RecordEventsRequest(request_id="r1", events=events)


def test_events_are_logged_and_in_the_state_when_they_are_acknowledged(world: World) -> None:
    told = event(1, SOS, ms_played=0, session_id="s", source="radio", context="car", request_id="r0")
    response = world.service.RecordEvents(request(told, event(2, "t2", action=pb.Event.ACTION_SKIP)), Caller())
    assert response == pb.RecordEventsResponse(request_id="r1", stored=2)
    ts_us = NOW_S * 1_000_000
    assert world.logged() == [
        Event("e1", "anna", "t1", ts_us + 1_000_000, "play", 0, "s", "radio", "car", "r0"),
        Event("e2", "anna", "t2", ts_us + 2_000_000, "skip"),
    ]
    assert (world.heard(), world.store.listeners.get("anna").skipped) == (("t1",), ("t2",))


def test_an_event_without_a_time_happens_now(world: World) -> None:
    before = time.time_ns() // 1_000
    told = event(1)
    told.ClearField("ts")
    world.service.RecordEvents(request(told), Caller())
    assert before <= world.logged()[0].ts_us <= time.time_ns() // 1_000


def test_faults_are_rejected_by_name_and_the_rest_is_stored(world: World) -> None:
    elsewhere = TrackReference(source_id=SourceId(source="spotify", id="x"))
    response = world.service.RecordEvents(
        request(event(1), event(2, user_id=""), event(3, elsewhere), event(4, "in no catalogue"), event(1)),
        Caller(),
    )
    assert (response.stored, response.duplicates) == (2, 1)
    assert [(r.index, r.event_id, r.field) for r in response.rejected] == [(1, "e2", "user_id"), (2, "e3", "track")]
    assert world.heard() == ("t0", "in no catalogue")
    assert (world.metrics.calls, world.metrics.newest) == ([(2, 1, 2)], NOW_S + 4)


def test_a_call_of_faults_alone_needs_no_log(world: World) -> None:
    response = world.service.RecordEvents(request(event(1, user_id="")), Caller())
    assert (len(response.rejected), world.log.appended) == (1, [])


def test_sending_again_changes_nothing(world: World) -> None:
    told = request(*(event(i, f"t{i}") for i in range(5)))
    assert world.service.RecordEvents(told, Caller()).stored == 5
    before = (world.logged(), world.store.listeners.get("anna"))
    assert world.service.RecordEvents(told, Caller()).duplicates == 5
    assert (world.logged(), world.store.listeners.get("anna")) == before


def test_a_log_that_is_away_acknowledges_nothing(world: World) -> None:
    world.log.errors.append(LogUnavailableError("the disk is full"))
    with pytest.raises(LogUnavailableError):
        world.service.RecordEvents(request(event(1)), Caller())
    assert (world.logged(), world.heard()) == ([], ())
    assert world.service.RecordEvents(request(event(1)), Caller()).stored == 1


def test_a_store_that_is_away_is_made_up_for_by_sending_again(world: World) -> None:
    world.state.errors.append(StoreUnavailableError("Redis is away"))
    with pytest.raises(StoreUnavailableError):
        world.service.RecordEvents(request(event(1)), Caller())
    assert (len(world.logged()), world.heard()) == (1, ())
    assert world.service.RecordEvents(request(event(1)), Caller()).duplicates == 1
    assert (len(world.logged()), world.heard()) == (1, ("t0",))


def test_calls_that_wait_share_one_write(world: World) -> None:
    world.log.hold.clear()
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(world.service.RecordEvents, request(event(0)), Caller())
        while not world.log.appended:
            time.sleep(0.001)
        others = [pool.submit(world.service.RecordEvents, request(event(i), event(0)), Caller()) for i in range(1, 21)]
        time.sleep(0.2)  # all of them wait behind the first by now
        world.log.hold.set()
        assert first.result().stored == 1
        assert [(o.result().stored, o.result().duplicates) for o in others] == [(1, 1)] * 20
    assert len(world.log.appended) < 10
    assert len(world.logged()) == 21


def test_a_caller_whose_time_is_over_is_told_so(world: World) -> None:
    world.log.hold.clear()
    with pytest.raises(ExpiredError):
        world.service.RecordEvents(request(event(1)), Caller(left=0.05))
    world.log.hold.set()


def test_a_stream_is_acknowledged_in_order(world: World) -> None:
    told = [event(i, f"track{i}") for i in range(600)]
    told[300] = event(300, action=pb.Event.ACTION_UNSPECIFIED)
    told[599] = event(5)
    found = list(world.service.StreamEvents(iter(told), Caller()))
    assert [a.event_id for a in found] == [e.event_id for e in told]
    assert [i for i, a in enumerate(found) if a.HasField("rejected")] == [300]
    assert (found[300].rejected.index, found[300].rejected.field) == (300, "action")
    assert [i for i, a in enumerate(found) if a.duplicate] == [599]
    assert len(world.logged()) == 598
    assert len(world.log.appended) < 599, "what has come is written together"


def test_a_stream_that_pauses_gets_what_it_has_sent_acknowledged(world: World) -> None:
    acknowledged = threading.Event()

    def slow() -> Iterator[pb.Event]:
        yield event(1)
        assert acknowledged.wait(10), "the acknowledgement does not wait for the next event"
        yield event(2)

    found = world.service.StreamEvents(slow(), Caller())
    assert next(found).event_id == "e1"
    acknowledged.set()
    assert [a.event_id for a in found] == ["e2"]


def test_a_stream_ends_with_its_caller(world: World) -> None:
    caller, silence = Caller(), threading.Event()

    def silent() -> Iterator[pb.Event]:
        yield event(1)
        silence.wait()

    found = world.service.StreamEvents(silent(), caller)
    next(found)
    caller.gone = True
    with pytest.raises(ExpiredError):
        next(found)
    silence.set()


def test_draining_ends_streams_after_what_they_took_in(world: World) -> None:
    silence = threading.Event()

    def silent() -> Iterator[pb.Event]:
        yield event(1)
        silence.wait()

    found = world.service.StreamEvents(silent(), Caller())
    assert next(found).event_id == "e1"
    world.service.drain()
    with pytest.raises(GateClosedError):
        next(found)
    silence.set()


def test_streams_are_counted(world: World) -> None:
    hung = threading.Event()

    def silent() -> Iterator[pb.Event]:
        yield event(1)
        hung.wait()

    streams = [world.service.StreamEvents(silent(), Caller()) for _ in range(2)]
    for stream in streams:
        next(stream)
    with pytest.raises(OverloadedError):
        next(world.service.StreamEvents(silent(), Caller()))
    streams[0].close()  # as gRPC does at the end of a call
    assert next(world.service.StreamEvents(silent(), Caller())).duplicate
    hung.set()

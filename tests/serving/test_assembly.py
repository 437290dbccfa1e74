"""The whole server in one process: events that count in the next answer, tracks that come, listeners who go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from segue.v1 import admin_pb2, feedback_pb2
from segue.v1.admin_pb2_grpc import AdminServiceStub
from segue.v1.feedback_pb2_grpc import FeedbackServiceStub
from segue.v1.recommendation_pb2 import RecommendRequest
from segue.v1.recommendation_pb2_grpc import RecommendationServiceStub
from segue.v1.track_pb2 import TrackReference

from recsys.errors import InputError
from recsys.workspace import Champion, Workspace
from serving.assembly import assembled
from serving.eventlog.base import LogUnavailableError
from serving.settings import ServeSettings


@pytest.fixture
def champion(workspace: Path, write_small_bundle: Callable[..., Path]) -> Workspace:
    made = Workspace()
    write_small_bundle(made.bundles / "first")
    made.set_champion(Champion(bundle="first", dataset="small", promoted_at="2026-01-01", reason="better"))
    return made


@pytest.fixture
def channel(champion: Workspace) -> Iterator[grpc.Channel]:
    settings = ServeSettings.load(port=0, lame_duck_s=0)
    with assembled(settings, champion, None, alone=True) as parts:
        with grpc.insecure_channel(f"localhost:{parts.server.start()}") as made:
            yield made
        parts.server.drain()


def event(number: int, track_id: str, user_id: str = "anna") -> feedback_pb2.Event:
    return feedback_pb2.Event(
        event_id=f"{user_id}-{number}",
        user_id=user_id,
        track=TrackReference(track_id=track_id),
        action=feedback_pb2.Event.ACTION_PLAY,
    )


def history(channel: grpc.Channel, user_id: str = "anna") -> int:
    """How many tracks counted."""
    return int(RecommendationServiceStub(channel).Recommend(RecommendRequest(user_id=user_id), timeout=10).history)


def test_an_acknowledged_event_counts_in_the_next_answer_until_its_listener_is_forgotten(
    channel: grpc.Channel,
) -> None:
    feedback, admin = FeedbackServiceStub(channel), AdminServiceStub(channel)
    assert history(channel) == 0
    request = feedback_pb2.RecordEventsRequest(events=[event(1, "t0"), event(2, "t2")])
    assert feedback.RecordEvents(request, timeout=10).stored == 2
    assert feedback.RecordEvents(request, timeout=10).duplicates == 2
    assert history(channel) == 2
    stream = feedback.StreamEvents(iter([event(3, "t4"), event(3, "t4"), event(4, "")]), timeout=10)
    outcomes = [(ack.event_id, ack.duplicate, ack.rejected.field) for ack in stream]
    assert outcomes == [("anna-3", False, ""), ("anna-3", True, ""), ("anna-4", False, "track.track_id")]
    assert history(channel) == 3
    erased = admin.ForgetListener(admin_pb2.ForgetListenerRequest(user_id="anna"), timeout=10).erased
    assert erased["events"] == 3
    assert history(channel) == 0


def test_tracks_come_and_go_and_answers_are_explained(channel: grpc.Channel) -> None:
    admin, recommendation = AdminServiceStub(channel), RecommendationServiceStub(channel)
    admin.RemoveTracks(admin_pb2.RemoveTracksRequest(track_ids=["t0"]), timeout=10)
    asked = RecommendRequest(user_id="zoe", request_id="r-1", limit=40)
    assert "t0" not in {each.track.track_id for each in recommendation.Recommend(asked, timeout=10).tracks}
    explain = admin_pb2.ExplainRequest(asked_request_id="r-1")
    end = time.monotonic() + 10
    while True:  # records are written soon, and no answer waits for them
        try:
            record = admin.Explain(explain, timeout=10).record
            break
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND or time.monotonic() > end:
                raise
            time.sleep(0.02)
    assert (record.bundle, record.surface, len(record.impressions)) == ("first", "home", 38)


def test_garbage_in_a_stream_ends_it_and_what_came_before_is_acknowledged(channel: grpc.Channel) -> None:
    raw = channel.stream_stream("/segue.v1.FeedbackService/StreamEvents")
    call = raw(iter([event(1, "t0").SerializeToString(), b"\xff" * 20]), timeout=10)
    assert feedback_pb2.EventAcknowledgement.FromString(next(call)).event_id == "anna-1"
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_log_that_cannot_be_written_is_unavailable_and_recommending_goes_on(
    channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LogUnavailableError("no space left")

    monkeypatch.setattr("serving.eventlog.embedded.EmbeddedLog.append", full)
    with pytest.raises(grpc.RpcError) as caught:
        FeedbackServiceStub(channel).RecordEvents(feedback_pb2.RecordEventsRequest(events=[event(1, "t0")]), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "no space" not in caught.value.details()
    assert history(channel) == 0


def test_health_names_every_service(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    names = ["", "overload", *(f"segue.v1.{kind}Service" for kind in ("Recommendation", "Feedback", "Admin"))]
    for name in names:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, name


def test_an_open_door_is_refused_before_anything_is_loaded(champion: Workspace) -> None:
    settings = ServeSettings.load(host="0.0.0.0", port=0)
    refused = pytest.raises(InputError, match="reachable from other machines")
    with refused, assembled(settings, champion, None, alone=True):
        pass
    assert not champion.serving.exists()

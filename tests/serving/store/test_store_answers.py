"""What one worker was told, the next answer of the other reflects: two servers over one store, over real gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from segue.v1.recommendation_pb2 import Fallback, RecommendResponse

from recsys.workspace import Workspace
from serving.client import Client, event, track
from serving.eventlog import LogSettings, open_log
from serving.listeners.listeners import KnownListeners, StoredListeners
from serving.models.model import Model
from serving.server import Beside, Server
from serving.services.feedback import FeedbackService
from serving.settings import ServeSettings
from serving.store.base import Store

Opening = Callable[..., Store]


@pytest.fixture
def workers(opened: Opening, model: Model, tmp_path: Path) -> Iterator[list[Client]]:
    """Clients of two of them; each has handles of its own."""
    models = SimpleNamespace(get=lambda name="": model)
    with ExitStack() as cleanup:
        clients = []
        for _ in range(2):
            store, log = opened(), open_log(LogSettings(), Workspace(tmp_path))
            cleanup.callback(log.close)
            feedback = FeedbackService(lambda: model.catalogue, log, store.listeners, max_streams=2)
            known = StoredListeners(store.listeners, KnownListeners({"ben": ["t0", "t2"]}), length=50)
            settings = ServeSettings.load(port=0, lame_duck_s=0)
            server = Server(models, known, settings, Beside(feedback=feedback))
            clients.append(cleanup.enter_context(Client(f"localhost:{server.start()}")))
            cleanup.callback(server.drain)
        yield clients


def unknown(answer: RecommendResponse) -> bool:
    return Fallback.CODE_UNKNOWN_LISTENER in [fallback.code for fallback in answer.fallbacks]


def test_what_was_heard_counts_in_the_next_answer(workers: list[Client]) -> None:
    one, other = workers
    assert unknown(other.recommend("anna"))
    told = [event("anna", track(track_id), "play") for track_id in ("t0", "t2", "gone from the catalogue")]
    assert one.record_events(told).stored == 3
    answer = other.recommend("anna")
    assert (answer.history, unknown(answer)) == (2, False)
    assert other.record_events(told).duplicates == 3, "the log is shared as well"
    assert one.recommend("anna").history == 2


def test_what_was_heard_before_counts_too(workers: list[Client]) -> None:
    one, other = workers
    assert other.recommend("ben").history == 2
    one.record_events([event("ben", track("t1"), "play")])
    assert other.recommend("ben").history == 3


def test_a_disliked_track_is_not_recommended_again(workers: list[Client]) -> None:
    one, other = workers
    disliked = other.recommend("anna").tracks[0].track.track_id
    one.record_events([event("anna", track(disliked), "dislike")])
    assert disliked not in [each.track.track_id for each in other.recommend("anna").tracks]
    assert disliked in [each.track.track_id for each in other.recommend("zoe").tracks]
    one.record_events([event("anna", track(disliked), "like")])
    assert other.recommend("anna").history == 1, "the like counts as a play, as in training"


def test_streams_on_both_workers_count_together(workers: list[Client]) -> None:
    one, other = workers
    first = one.stream_events(event("anna", track(track_id), "play") for track_id in ("t0", "t1"))
    second = other.stream_events(event("anna", track(track_id), "play") for track_id in ("t2",))
    assert [each.duplicate for each in (*first, *second)] == [False] * 3
    assert [worker.recommend("anna").history for worker in workers] == [3, 3]


def test_a_forgotten_listener_is_unknown_on_both(workers: list[Client], opened: Opening) -> None:
    one, other = workers
    one.record_events([event("anna", track("t0"), "play")])
    opened().listeners.forget("anna")
    assert [unknown(worker.recommend("anna")) for worker in (one, other)] == [True, True]

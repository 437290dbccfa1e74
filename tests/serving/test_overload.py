"""Deadlines, bounded work, and an end that loses no request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from segue.v1.recommendation_pb2 import Fallback, RecommendRequest
from segue.v1.recommendation_pb2_grpc import RecommendationServiceStub

from recsys.policy import Policy
from recsys.ragged import Int32
from recsys.retrieval.sources import Asked, Proposal
from recsys.retrieval.vectors import Rows
from recsys.scoring.base import Evidence
from serving.client import Client, track
from serving.listeners.listeners import KnownListeners
from serving.models.model import Model
from serving.pipeline.query import Fallen, Query, Work
from serving.server import OVERLOAD, Server
from serving.settings import ServeSettings

Serving = Callable[..., AbstractContextManager[str]]


@dataclass
class Held:
    """A source that answers, with nothing, when it is let go."""

    name: str = "held"
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let_go: threading.Event = field(default_factory=threading.Event)

    def candidates(self, asked: Asked, k: int) -> list[Proposal]:
        self.asked.release()
        self.let_go.wait(30)
        return [(np.zeros(0, np.int32), np.zeros(0, np.float32))] * len(asked)

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        return Evidence(np.full(len(items), -1, np.int32), np.zeros(len(items), np.int64))

    def with_later(self, n_items: int, rows: Rows | None) -> Held:
        return self


def held_before(model: Model, *sources: Held) -> Model:
    named = {source.name: source for source in sources}
    policy = model.policy("playlist")
    changed = policy.with_changes({"sources": [*named, *policy.sources]})
    surfaces = {**model.bundle.policy.surfaces, "playlist": changed}
    bundle = replace(model.bundle, policy=Policy(surfaces=surfaces))
    return replace(model, bundle=bundle, sources={**model.sources, "playlist": {**named, **model.sources["playlist"]}})


def test_a_passed_deadline_ends_the_work(model: Model, serving: Serving) -> None:
    first, second = Held("first"), Held("second")
    with serving(held_before(model, first, second)) as address, Client(address, timeout_s=0.3) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.continue_playlist([track("t0")])
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        time.sleep(0.3)  # the server's clock may be a little behind the client's
        first.let_go.set()
        second.let_go.set()
    assert first.asked.acquire(timeout=5)
    assert not second.asked.acquire(blocking=False)


def test_more_than_the_server_takes_is_refused_at_once(model: Model, serving: Serving) -> None:
    held = Held()
    with serving(held_before(model, held), max_concurrent=1) as address, Client(address, timeout_s=30) as client:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(client.continue_playlist, [track("t0")])
            assert held.asked.acquire(timeout=10)
            with pytest.raises(grpc.RpcError) as caught:
                client.recommend("anna")
            held.let_go.set()
            assert running.result().tracks
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_request_that_is_too_large_is_refused(model: Model, serving: Serving) -> None:
    with serving(model, max_message_bytes=2048) as address, Client(address) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.continue_playlist([track("x" * 500)] * 10)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert client.continue_playlist([track("t0")]).tracks


def test_a_source_that_fails_is_named_and_the_next_answers(model: Model, serving: Serving) -> None:
    class Broken(Held):
        def candidates(self, asked: Asked, k: int) -> list[Proposal]:
            raise ZeroDivisionError("secret")

    with serving(held_before(model, Broken("broken"))) as address, Client(address) as client:
        answer = client.continue_playlist([track("t0")])
        assert answer.tracks
        assert {each.source for each in answer.tracks} <= {"main", "popularity"}
        assert [each.code for each in answer.fallbacks] == [Fallback.CODE_SOURCE_FAILED]
        assert answer.fallbacks[0].message.startswith("broken failed")
        assert "secret" not in str(answer)


def test_one_request_that_a_source_throws_on_takes_no_other_with_it(model: Model) -> None:
    class Picky(Held):
        def candidates(self, asked: Asked, k: int) -> list[Proposal]:
            if (asked.histories.values == 7).any():
                raise ZeroDivisionError
            found = np.array([5], np.int32), np.ones(1, np.float32)
            return [found] * len(asked)

    pipeline = held_before(model, Picky("picky")).pipeline("playlist")
    works = [Work(Query(np.array([item], np.int32), 1)) for item in (3, 7, 4)]
    pipeline.run(works)
    assert [[f.code for f in work.fallbacks] for work in works] == [[], [Fallback.CODE_SOURCE_FAILED], []]
    assert [work.slate.candidates.items.tolist() for work in works][::2] == [[5], [5]]
    assert len(works[1].slate.candidates) == 1


def test_a_source_that_is_late_is_left_out(model: Model) -> None:
    held = Held("slow")
    slow = held_before(model, held)
    pipeline = slow.pipeline("playlist", slow.policy("playlist").with_changes({"budget_ms": 100}))
    for _ in range(2):  # the second finds it still at the first
        work = Work(Query(np.array([3], np.int32), 3))
        pipeline.run([work])
        assert [f.code for f in work.fallbacks] == [Fallback.CODE_SOURCE_LATE]
        assert len(work.slate.candidates) == 3
    held.let_go.set()
    assert held.asked.acquire(timeout=5)
    assert not held.asked.acquire(blocking=False)


def test_a_fault_of_ours_is_internal_and_the_server_lives_on(
    model: Model, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    with serving(model) as address, Client(address) as client:
        with monkeypatch.context() as patch:
            patch.setattr("serving.services.reasons.fill", broken)
            with pytest.raises(grpc.RpcError) as caught:
                client.continue_playlist([track("t0")], request_id="r-1")
        assert caught.value.code() == grpc.StatusCode.INTERNAL
        assert "r-1" in caught.value.details()
        assert "secret" not in caught.value.details()
        assert client.recommend("anna").tracks


def test_a_full_queue_sheds_at_once_with_a_hint_and_health_tells(model: Model, serving: Serving) -> None:
    held = Held()
    with (
        serving(held_before(model, held), max_batch=1, max_waiting=2) as address,
        grpc.insecure_channel(address) as channel,  # without the client's retries
        Client(address, timeout_s=30) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        stub, health = RecommendationServiceStub(channel), health_pb2_grpc.HealthStub(channel)

        def says(status: str) -> bool:
            answer = health.Check(health_pb2.HealthCheckRequest(service=OVERLOAD))
            return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) == status

        assert says("SERVING")
        running = pool.submit(client.continue_playlist, [track("t0")])
        assert held.asked.acquire(timeout=10)
        calls = [stub.Recommend.future(RecommendRequest(user_id="anna"), timeout=30) for _ in range(30)]
        refused = [call for call in calls if not _waits(call)]
        assert len(refused) == 28
        assert {call.code() for call in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        hint = error_details_pb2.RetryInfo()
        assert rpc_status.from_call(refused[0]).details[0].Unpack(hint)
        assert dict(refused[0].trailing_metadata())["grpc-retry-pushback-ms"] == str(hint.retry_delay.ToMilliseconds())
        until(lambda: says("NOT_SERVING"))
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        held.let_go.set()
        assert running.result().tracks
        assert all(call.result().tracks for call in calls if call not in refused)
        until(lambda: says("SERVING"))  # by itself


def _waits(call: grpc.Future) -> bool:
    """Whether the call is still on its way after a while that is long for a refusal."""
    try:
        call.exception(timeout=0.5)
    except grpc.FutureTimeoutError:
        return True
    return False


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_draining_lets_running_requests_end_and_refuses_new_ones(model: Model) -> None:
    held = Held()
    held_model = held_before(model, held)
    now = SimpleNamespace(get=lambda name="": held_model)
    server = Server(now, KnownListeners({}), ServeSettings.load(port=0, lame_duck_s=0, drain_s=30))
    address = f"localhost:{server.start()}"
    with (
        ThreadPoolExecutor(2) as pool,
        grpc.insecure_channel(address) as channel,
        Client(address, timeout_s=30) as client,
    ):
        running = pool.submit(client.continue_playlist, [track("t0")])
        assert held.asked.acquire(timeout=10)
        draining = pool.submit(server.drain)
        codes: list[grpc.StatusCode] = []

        def refused() -> bool:
            """One that came before the drain began waits behind the batch that is held."""
            ask = RecommendationServiceStub(channel).Recommend.future(RecommendRequest(user_id="anna"), timeout=0.5)
            codes.append(ask.code())
            return codes[-1] == grpc.StatusCode.UNAVAILABLE

        until(refused)
        assert set(codes) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        assert not draining.done()
        held.let_go.set()
        assert running.result(timeout=10).tracks
        draining.result(timeout=10)


def test_a_lame_duck_still_answers_and_says_that_it_goes(model: Model) -> None:
    settings = ServeSettings.load(port=0, lame_duck_s=1.0)
    server = Server(SimpleNamespace(get=lambda name="": model), KnownListeners({}), settings)
    address = f"localhost:{server.start()}"
    with ThreadPoolExecutor(1) as pool, grpc.insecure_channel(address) as channel, Client(address) as client:
        stub = health_pb2_grpc.HealthStub(channel)
        draining = pool.submit(server.drain)
        while stub.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING:
            time.sleep(0.01)
        assert client.continue_playlist([track("t0")]).tracks
        draining.result(timeout=10)


def test_a_source_that_hangs_holds_one_thread_while_the_catalogue_changes(model: Model) -> None:
    held = Held("main")
    named = {**model.sources["playlist"], "main": held}
    policy = model.policy("playlist").with_changes({"budget_ms": 500})
    with ThreadPoolExecutor(2) as executor:
        try:
            latest = replace(model, executor=executor, sources={"playlist": named})
            for version in (1, 2, 3):
                work = Work(Query(np.array([0], np.int32), 3))
                latest.pipeline("playlist", policy).run([work])
                assert work.fallbacks == [Fallen(Fallback.CODE_SOURCE_LATE, "main")]
                assert len(work.slate.candidates) == 3
                latest = latest.with_changes(latest.changes.after(version, [], {}))
        finally:
            held.let_go.set()

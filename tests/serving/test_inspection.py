"""One request through a real server, and all that is told of it: figures, trace, log line, record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from segue.v1.admin_pb2 import RequestRecord

from recsys.errors import InputError
from serving.client import Client, track
from serving.eventlog.embedded import EmbeddedLog
from serving.inspection.inspection import Inspection
from serving.inspection.metrics import Metrics
from serving.inspection.pseudonyms import Pseudonyms
from serving.inspection.records import Records
from serving.inspection.tracing import Tracing, TracingSettings
from serving.listeners.listeners import KnownListeners
from serving.models.model import Model
from serving.server import Beside, Server
from serving.settings import ServeSettings
from serving.store.embedded import EmbeddedStore
from serving.store.settings import StateSettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Watched:
    """A server, and whatever it tells."""

    def __init__(self, model: Model, folder: Path, calls: float = 1.0) -> None:
        self.spans = InMemorySpanExporter()
        self.metrics = Metrics()
        self.log = EmbeddedLog(folder / "log.db", 5)
        self.store = EmbeddedStore(folder / "store", StateSettings.load())
        self.inspection = Inspection(
            self.metrics,
            Tracing(TracingSettings.load(share=0), self.spans),
            Records(self.log, self.store.requests, self.metrics),
            Pseudonyms("salt"),
            calls,
        )
        models = SimpleNamespace(get=lambda name="": model, loaded=lambda: (model,))
        self.inspection.watch(models)
        beside = Beside(inspection=self.inspection)
        settings = ServeSettings.load(port=0, lame_duck_s=0)
        self.server = Server(models, KnownListeners({"anna": ["t0", "t2"]}), settings, beside)
        self.client = Client(f"localhost:{self.server.start()}")

    def close(self) -> None:
        self.client.close()
        self.server.drain()
        self.inspection.close()
        self.log.close()
        self.store.close()

    def value(self, name: str, **labels: str) -> float | None:
        found: float | None = self.metrics.registry.get_sample_value(f"segue_{name}", labels)
        return found


@pytest.fixture
def watched(model: Model, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(model, tmp_path)
    yield made
    made.close()


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as found:
        yield found


def test_an_answer_is_told_everywhere(watched: Watched, lines: list[Any], model: Model) -> None:
    answer = watched.client.recommend("anna", limit=4)
    watched.client.recommend("zoe", limit=3)
    watched.server.drain()
    watched.inspection.close()

    assert watched.value("request_seconds_count", method="Recommend", code="OK") == 2
    assert watched.value("requests_in_flight") == 0
    assert watched.value("batch_size_sum") == 2
    assert watched.value("stage_requests_total", stage="candidates") == 2
    assert watched.value("fallbacks_total", code="unknown_listener", source="") == 1
    assert watched.value("tracks_served_total", bundle=model.name) == 7
    assert watched.value("bundle_info", bundle=model.name, role="champion") == 1
    assert watched.value("records_total", where="log", outcome="written") == 2

    first, second = (line for line in lines if line["event"] == "call")
    assert first["request_id"] == answer.request_id
    assert (first["method"], first["code"], first["bundle"], first["tracks"]) == ("Recommend", "OK", model.name, 4)
    assert first["user"] == Pseudonyms("salt").of("anna")
    assert second["fallbacks"] == ["UNKNOWN_LISTENER"]
    assert "anna" not in str(lines)

    body = watched.store.requests.get(answer.request_id)
    assert body is not None
    record = RequestRecord.FromString(body)
    assert [shown.track_id for shown in record.impressions] == [each.track.track_id for each in answer.tracks]
    assert [stage.name for stage in record.stages] == ["filters", "candidates", "ranker", "policies"]
    assert record.user_id == "anna"


def test_the_callers_trace_goes_through_to_the_stages_and_the_log(watched: Watched, lines: list[Any]) -> None:
    channel_metadata = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),)
    watched.client._metadata = lambda: channel_metadata  # type: ignore[method-assign]
    watched.client.similar_tracks([track("t0")])
    watched.server.drain()
    watched.inspection.close()
    spans = watched.spans.get_finished_spans()
    assert {span.context.trace_id for span in spans if span.context} == {int(TRACE, 16)}
    assert [span.name for span in spans] == [
        "filters", "candidates", "ranker", "policies", "batch", "segue.v1.RecommendationService/SimilarTracks",
    ]  # fmt: skip
    root, batch = spans[-1], spans[-2]
    assert root.start_time is not None
    assert batch.start_time is not None
    assert batch.end_time is not None
    assert root.end_time is not None
    assert root.start_time < batch.start_time < batch.end_time < root.end_time
    assert [line["trace_id"] for line in lines if line["event"] == "call"] == [TRACE]


def test_a_refusal_is_told_too(watched: Watched, lines: list[Any]) -> None:
    with pytest.raises(grpc.RpcError):
        watched.client.continue_playlist([])
    assert watched.value("request_seconds_count", method="ContinuePlaylist", code="INVALID_ARGUMENT") == 1
    assert watched.value("requests_in_flight") == 0
    (line,) = (line for line in lines if line["event"] == "call")
    assert line["code"] == "INVALID_ARGUMENT"
    assert "seeds" in line["error"]


def test_a_share_of_the_log_keeps_what_failed(model: Model, tmp_path: Path, lines: list[Any]) -> None:
    watched = Watched(model, tmp_path, calls=0.0)
    watched.client.recommend("anna")
    with pytest.raises(grpc.RpcError):
        watched.client.recommend("")
    watched.close()
    assert [line["code"] for line in lines if line["event"] == "call"] == ["INVALID_ARGUMENT"]
    assert watched.value("request_seconds_count", method="Recommend", code="OK") == 1


def test_a_stream_that_is_left_is_cancelled(lines: list[Any]) -> None:
    inspection = Inspection()
    context = SimpleNamespace(invocation_metadata=tuple)

    def stream() -> Iterator[int]:
        with inspection.call("s", "StreamEvents", context):
            yield 1

    running = stream()
    next(running)
    running.close()
    assert [(line["method"], line["code"]) for line in lines] == [("StreamEvents", "CANCELLED")]
    assert inspection.metrics.registry.get_sample_value("segue_requests_in_flight") == 0


def test_answers_that_wait_to_be_written_keep_no_call_open(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC takes `max_calls_per_connection` at once, and counts a call as open while anything holds it."""
    monkeypatch.setattr("serving.inspection.background.EVERY_S", 60.0)
    watched = Watched(model, tmp_path)
    for _ in range(ServeSettings.load().max_calls_per_connection + 20):
        watched.client.recommend("anna", limit=1)
    assert not watched.value("records_total", where="log", outcome="written")
    watched.close()
    assert watched.value("records_total", where="log", outcome="written") == 120


def test_loads_are_counted(model: Model) -> None:
    inspection = Inspection()

    def load(folder: Path) -> Model:
        if folder.name == "damaged":
            raise InputError("damaged")
        return model

    counted = inspection.counted(load)
    assert counted(Path("sound")) is model
    with pytest.raises(InputError):
        counted(Path("damaged"))
    found = inspection.metrics.registry.get_sample_value
    assert found("segue_bundle_loads_total", {"outcome": "loaded"}) == 1
    assert found("segue_bundle_loads_total", {"outcome": "refused"}) == 1

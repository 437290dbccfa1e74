"""Traces as a collector gets them, and calls that do not care whether one is there."""

from __future__ import annotations

import gzip
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from recsys.errors import MissingError
from serving.inspection.tracing import Tracing, TracingSettings
from serving.pipeline.query import Passed

SERVICE = "segue.v1.RecommendationService"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PASSED = [Passed("candidates", 2.0, 200), Passed("ranker", 1.0, 50, "trees")]
NOW = 1_700_000_000_000_000_000


def traced(share: float, *calls: tuple[tuple[str, str], ...], code: int = 0) -> tuple[list[ReadableSpan], list[str]]:
    """The spans of some calls, each with its metadata, and the trace ids that the log would get."""
    exporter = InMemorySpanExporter()
    tracing = Tracing(TracingSettings.load(share=share), exporter)
    ids = []
    for metadata in calls:
        with tracing.call(SERVICE, "Recommend", lambda given=metadata: given) as call:
            tracing.stages(PASSED, NOW)
            call.ended(code, "NOT_FOUND" if code else "OK", "r1")
        ids.append(call.trace_id)
    tracing.close()
    return list(exporter.get_finished_spans()), ids


def test_a_call_its_batch_and_the_stages() -> None:
    spans, ids = traced(1.0, ())
    by_name = {span.name: span for span in spans}
    assert [*by_name] == ["candidates", "ranker", "batch", f"{SERVICE}/Recommend"]
    root, batch = by_name[f"{SERVICE}/Recommend"], by_name["batch"]
    assert root.parent is None
    assert root.context is not None
    assert batch.context is not None
    assert f"{root.context.trace_id:032x}" == ids[0]
    assert batch.parent is not None
    assert batch.parent.span_id == root.context.span_id
    for name, start, end in (("candidates", -3, -1), ("ranker", -1, 0), ("batch", -3, 0)):
        assert (by_name[name].start_time, by_name[name].end_time) == (NOW + start * 10**6, NOW + end * 10**6)
    for name in ("candidates", "ranker"):
        parent = by_name[name].parent
        assert parent is not None
        assert parent.span_id == batch.context.span_id
    assert dict(by_name["ranker"].attributes or {}) == {"segue.tracks": 50, "segue.note": "trees"}
    assert (root.attributes or {})["segue.request_id"] == "r1"


def test_a_status_that_is_no_answer_is_an_error() -> None:
    spans, _ = traced(1.0, (), code=5)
    assert spans[-1].status.description == "NOT_FOUND"
    assert not spans[-1].status.is_ok
    assert (spans[-1].attributes or {})["rpc.grpc.status_code"] == 5


@pytest.mark.parametrize(
    ("share", "header", "recorded", "trace_id"),
    [
        (0.0, f"00-{TRACE}-{PARENT}-01", True, TRACE),
        (1.0, f"00-{TRACE}-{PARENT}-00", False, TRACE),
        (0.0, "", False, ""),
        (0.0, "nonsense", False, ""),
    ],
)
def test_the_callers_trace_decides(share: float, header: str, recorded: bool, trace_id: str) -> None:
    spans, ids = traced(share, (("user-agent", "x"), ("traceparent", header)) if header else ())
    assert ids == [trace_id]
    assert bool(spans) == recorded
    if recorded:
        assert spans[-1].parent is not None
        assert f"{spans[-1].parent.span_id:016x}" == PARENT


def test_a_share_of_the_others() -> None:
    spans, ids = traced(0.3, *[()] * 1000)
    assert 200 < sum(map(bool, ids)) < 400
    assert len(spans) == 4 * sum(map(bool, ids))


def test_off_is_nothing() -> None:
    tracing = Tracing(TracingSettings.load(share=1.0))
    with tracing.call(SERVICE, "Recommend", lambda: [("traceparent", f"00-{TRACE}-{PARENT}-01")]) as call:
        tracing.stages(PASSED, NOW)
        call.ended(0, "OK", "r1")
    assert call.trace_id == ""
    tracing.close()


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingError, match="segue\\[trace\\]"):
        Tracing(TracingSettings.load(endpoint="http://localhost:1/v1/traces"))


class Collector(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP."""

    taken: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.taken.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    taken: list[ExportTraceServiceRequest] = []
    server = ThreadingHTTPServer(("localhost", 0), type("Mine", (Collector,), {"taken": taken}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/v1/traces", taken
    server.shutdown()
    server.server_close()


def test_a_collector_gets_them(collector: tuple[str, list[ExportTraceServiceRequest]]) -> None:
    endpoint, taken = collector
    tracing = Tracing(TracingSettings.load(endpoint=endpoint, share=1.0))
    with tracing.call(SERVICE, "Recommend", tuple):
        tracing.stages(PASSED, time.time_ns())
    tracing.close()
    resource = taken[0].resource_spans[0]
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert attributes["service.name"] == "segue"
    names = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert names == ["candidates", "ranker", "batch", f"{SERVICE}/Recommend"]


def test_nobody_there_to_take_them_fails_no_call() -> None:
    tracing = Tracing(TracingSettings.load(endpoint="http://localhost:1/v1/traces", share=1.0, timeout_s=0.5))
    for _ in range(5000):  # more than the queue holds
        with tracing.call(SERVICE, "Recommend", tuple) as call:
            pass
        assert call.trace_id
    tracing.close()

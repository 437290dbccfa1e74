"""OpenTelemetry traces: a span a call, below it the batch that it was part of, and the batch's stages.

Off unless `[tracing]` names an endpoint; then opentelemetry is not even imported. Spans are sent by a background thread
from a bounded queue: where nobody takes them they are dropped, and no call waits.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field

from recsys.errors import MissingError
from recsys.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter


class TracingSettings(Settings, table="tracing"):
    """Where traces go, and how many."""

    endpoint: str = ""
    """An OTLP collector's address over HTTP, "http://localhost:4318/v1/traces". Empty: no traces."""
    share: float = Field(default=0.01, ge=0, le=1)
    """Of calls that come without a W3C `traceparent`; one that comes with it is traced if its caller's is."""
    timeout_s: float = Field(default=5.0, gt=0)
    """Seconds that the collector may take for a batch of spans, and that they may hold up a stop."""


class Stage(Protocol):
    """A stage that a batch has passed."""

    @property
    def name(self) -> str: ...
    @property
    def ms(self) -> float: ...
    @property
    def tracks(self) -> int: ...
    @property
    def note(self) -> str: ...


class Call:
    """A call that is not traced."""

    trace_id = ""
    """32 hex digits, for the log; empty where the caller's is not known."""

    def ended(self, code: int, name: str, request_id: str) -> None:
        """Which status it ended with (google.rpc.Code), also by its name."""


UNTRACED = Call()


class _TracedCall(Call):
    def __init__(self, span: Any) -> None:
        self._span = span
        self.trace_id = f"{span.get_span_context().trace_id:032x}"

    def ended(self, code: int, name: str, request_id: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attributes({"rpc.grpc.status_code": code, "segue.request_id": request_id})
        if code:
            self._span.set_status(Status(StatusCode.ERROR, name))


class Tracing:
    """Raises MissingError where an endpoint is set and opentelemetry is not installed.

    ``exporter`` takes the spans instead of the endpoint.
    """

    def __init__(self, settings: TracingSettings, exporter: SpanExporter | None = None) -> None:
        self._share = settings.share
        self._on = bool(settings.endpoint) or exporter is not None
        if not self._on:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise MissingError("tracing.endpoint is set: pip install 'segue[trace]', or leave it empty") from error
        resource = Resource.create({"service.name": "segue", "service.instance.id": str(os.getpid())})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        sent = exporter or OTLPSpanExporter(settings.endpoint, timeout=settings.timeout_s)
        self._provider.add_span_processor(BatchSpanProcessor(sent, schedule_delay_millis=1000))
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = self._provider.get_tracer("segue")

    def call(
        self, service: str, method: str, metadata: Callable[[], Iterable[tuple[str, str | bytes]]]
    ) -> AbstractContextManager[Call]:
        """Around a call; what `stages` is told within it, in the same thread, is part of it."""
        if not self._on:
            return _NOT_TRACED
        parent = next((value for name, value in metadata() if name == "traceparent"), "")
        context = self._propagator.extract({"traceparent": str(parent)}) if parent else None
        if not context and random.random() >= self._share:  # noqa: S311 - no secret
            return _NOT_TRACED
        return self._traced(service, method, context)

    def stages(self, passed: Sequence[Stage], ended_ns: int) -> None:
        """The batch that the call of this thread was part of: its stages in order, the last of which has ended at
        ``ended_ns``, nanoseconds since 1970."""
        if not self._on:
            return
        from opentelemetry import trace

        if not trace.get_current_span().is_recording():
            return
        began_ns = ended_ns - sum(int(stage.ms * 1e6) for stage in passed)
        batch = self._tracer.start_span("batch", start_time=began_ns)
        within = trace.set_span_in_context(batch)
        for stage in passed:
            attributes: dict[str, str | int] = {"segue.tracks": stage.tracks, "segue.note": stage.note}
            span = self._tracer.start_span(stage.name, within, start_time=began_ns, attributes=attributes)
            began_ns += int(stage.ms * 1e6)
            span.end(began_ns)
        batch.end(ended_ns)

    def close(self) -> None:
        """Send what waits, as far as somebody takes it."""
        if self._on:
            self._provider.shutdown()

    @contextmanager
    def _traced(self, service: str, method: str, context: Context | None) -> Iterator[Call]:
        from opentelemetry.trace import SpanKind, use_span

        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        span = self._tracer.start_span(f"{service}/{method}", context, SpanKind.SERVER, attributes)
        with use_span(span, end_on_exit=True):
            yield _TracedCall(span)


_NOT_TRACED = nullcontext(UNTRACED)

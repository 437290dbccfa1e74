"""What is told of every call: its figures, its trace, and its line in the log."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import grpc
import numpy as np
import structlog
from google.protobuf.message import Message
from google.rpc import code_pb2
from segue.v1 import recommendation_pb2 as pb
from segue.v1.feedback_pb2 import RecordEventsResponse

from serving.inspection.answered import Answered
from serving.inspection.metrics import LoadedBundle, Metrics
from serving.inspection.pseudonyms import Pseudonyms
from serving.inspection.records import Records
from serving.inspection.tracing import Tracing, TracingSettings
from serving.models.model import Model
from serving.security.guard import caller

log = structlog.get_logger("segue.access")

CODES: dict[int, str] = {value: name for name, value in code_pb2.Code.items()}
ANSWERS = (pb.RecommendResponse, pb.ContinuePlaylistResponse, pb.SimilarTracksResponse)
FALLBACKS = {value: name.removeprefix("CODE_") for name, value in pb.Fallback.Code.items()}


class HasLoaded(Protocol):
    """The models of a server."""

    def loaded(self) -> Sequence[Model]:
        """Each once, the champion first."""
        ...


class Told:
    """What a call's line in the log will say; `rpc` adds to ``entry`` as it learns more."""

    __slots__ = ("code", "entry", "shed", "trace_id")

    def __init__(self, method: str) -> None:
        self.entry: dict[str, Any] = {"method": method}
        self.code: int = code_pb2.OK
        self.trace_id = ""
        self.shed = ""
        """Why the call was turned away: "queue", "draining"."""

    def response(self, response: Message) -> None:
        """What an answer was, in a few figures."""
        if isinstance(response, ANSWERS):
            self.entry["bundle"] = response.bundle
            self.entry["tracks"] = len(response.tracks)
            self.entry["unknown_seeds"] = len(response.unknown_seeds)
            if response.fallbacks:
                self.entry["fallbacks"] = [FALLBACKS[each.code] for each in response.fallbacks]
        elif isinstance(response, RecordEventsResponse):
            self.entry["stored"] = response.stored
            self.entry["duplicates"] = response.duplicates
            self.entry["rejected"] = len(response.rejected)


class Inspection:
    """One for a server: told of calls by `rpc`, of answers by the service. Without arguments it only counts.

    ``calls``: share of the answered calls that are logged; those that failed always are.
    """

    def __init__(
        self,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
        records: Records | None = None,
        pseudonyms: Pseudonyms | None = None,
        calls: float = 1.0,
    ) -> None:
        self.metrics = metrics or Metrics()
        self._tracing = tracing or Tracing(TracingSettings(endpoint=""))
        self._records = records
        self._pseudonyms = pseudonyms or Pseudonyms()
        self._calls = calls
        self._ended = threading.Event()

    @contextmanager
    def call(self, service: str, method: str, context: grpc.ServicerContext) -> Iterator[Told]:
        """Around a call, from its bytes to its status; a stream that its caller leaves counts as cancelled."""
        started = time.perf_counter()
        told = Told(method)
        self.metrics.entered()
        try:
            with self._tracing.call(service, method, context.invocation_metadata) as traced:
                told.trace_id = traced.trace_id
                try:
                    yield told
                except GeneratorExit:
                    told.code = code_pb2.CANCELLED
                    raise
                finally:
                    traced.ended(told.code, CODES[told.code], told.entry.get("request_id", ""))
        finally:
            self.metrics.left()
            self._tell(told, time.perf_counter() - started)

    def _tell(self, told: Told, seconds: float) -> None:
        code = CODES[told.code]
        self.metrics.request(told.entry["method"], code, seconds)
        if told.shed:
            self.metrics.shed(told.shed)
        if told.code == code_pb2.OK and self._calls < 1 and random.random() >= self._calls:  # noqa: S311 - no secret
            return
        if told.trace_id:
            told.entry["trace_id"] = told.trace_id
        if client := caller():
            told.entry["client"] = client
        log.info("call", **told.entry, code=code, ms=round(1000 * seconds, 2))

    def refused(self, method: str, code: str) -> None:
        """A call that did not get as far as `call`."""
        self.metrics.request(method.rpartition("/")[2], code, 0.0)
        if code == "RESOURCE_EXHAUSTED":
            self.metrics.shed("quota")

    def user(self, user_id: str) -> str:
        """A listener in the log."""
        return self._pseudonyms.of(user_id)

    def answered(self, answer: Answered) -> None:
        """Within `call`, in its thread."""
        work = answer.work
        self._tracing.stages(work.passed, work.finished_ns)
        for fallen in work.fallbacks:
            self.metrics.fallback(fallen.code, fallen.source)
        explored = int(np.count_nonzero(~np.isnan(work.slate.propensities)))
        self.metrics.served(answer.model.name, work.slate.candidates.items, explored)
        if self._records is not None:
            # It knows the call, and a call counts as open for as long as somebody knows it: too many, and gRPC refuses
            # all others of that connection.
            work.waited_for = _nobody_waits
            self._records.add(answer)

    def counted(self, load: Callable[[Path], Model]) -> Callable[[Path], Model]:
        """``load``, and what became of the bundle."""

        def counting(folder: Path) -> Model:
            try:
                model = load(folder)
            except Exception:
                self.metrics.load("refused")
                raise
            self.metrics.load("loaded")
            return model

        return counting

    def watch(self, models: HasLoaded, every_s: float = 5.0) -> None:
        """Tell what is loaded, and what was shown of it, from now on until `close`."""

        def run() -> None:
            while not self._ended.wait(every_s):
                try:
                    self._look(models)
                except Exception:
                    # Figures that are late are better than none for ever after.
                    log.exception("figures not told")

        self._look(models)
        threading.Thread(target=run, name="inspection", daemon=True).start()

    def close(self, within_s: float = 10.0) -> None:
        """Write the records and send the traces that wait, within about that time."""
        self._ended.set()
        if self._records is not None:
            self._records.close(within_s)
        self._tracing.close()

    def _look(self, models: HasLoaded) -> None:
        self.metrics.bundles(
            [
                LoadedBundle(model.name, _timestamp(model.bundle.manifest.created_at), model.columns.artists)
                for model in models.loaded()
            ]
        )


def _nobody_waits() -> bool:
    return False


def _timestamp(text: str) -> float:
    """0 where a manifest holds another text than a time."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0

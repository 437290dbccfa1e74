"""What the server tells Prometheus. `Metrics` has a method for each thing that happens, cheap enough for every request.

With FOLDER in the environment prometheus_client keeps the values in memory-mapped files there, and
`serving.inspection.metrics_page` adds up those of all workers.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from segue.v1.recommendation_pb2 import Fallback

from recsys.ragged import Int32
from serving.inspection.coverage import Shown, concentration

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

SECONDS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0,
)  # fmt: skip
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class LoadedBundle(NamedTuple):
    """A bundle that answers requests."""

    name: str
    created: float
    """Seconds since 1970 UTC."""
    artists: Int32
    """(n,) dense artist of each track of its catalogue as it is now."""


ROLES = ("champion", "named")


class _Bound(dict[Hashable, Any]):
    """The children of a metric by their labels, each looked up once: labels() costs more than all the rest."""

    def __init__(self, metric: Counter | Gauge | Histogram) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: Hashable) -> Any:
        child = self._metric.labels(*(labels if isinstance(labels, tuple) else (labels,)))
        self[labels] = child
        return child


class Metrics:
    """The figures of one process, in a registry of its own; of one worker where FOLDER is set.

    Times are seconds, codes the names of google.rpc's. Every method may be called from any thread.
    """

    def __init__(self, window_s: float = 3600.0) -> None:
        self.registry = CollectorRegistry()
        folder = os.environ.get(FOLDER)
        self._shown = Shown(Path(folder) if folder else None, window_s)
        self._known: set[str] = set()

        self._requests = self._histogram("request_seconds", "Time of a call.", SECONDS, "method", "code")
        self._stages = self._histogram("stage_seconds", "Time of a stage, a batch at once.", SECONDS, "stage")
        self._staged = self._counter("stage_requests", "Requests that passed a stage.", "stage")
        self._in_flight = self._gauge("requests_in_flight", "Calls that are inside.", "livesum")[()]
        self._queue = self._gauge("queue_length", "Requests that wait for a batch.", "livesum")[()]
        self._waits = self._histogram("queue_wait_seconds", "Wait of the oldest request of a batch.", SECONDS)[()]
        self._sizes = self._histogram("batch_size", "Requests of a batch.", SIZES)[()]
        self._busy = self._counter("batch_busy_seconds", "Time in which batches were worked on.")[()]
        self._dropped = self._counter("requests_dropped", "Requests whose caller had left before their batch.")[()]
        self._sheds = self._counter("requests_shed", "Requests that were turned away.", "reason")
        self._fallbacks = self._counter("fallbacks", "Steps that were not the first choice.", "code", "source")
        self._tracks = self._counter("tracks_served", "Tracks in answers.", "bundle")
        self._explored = self._counter("slots_explored", "Slots that were left to chance.", "bundle")
        self._coverage = self._gauge("coverage_ratio", "Share of the catalogue that was shown.", "mostrecent", "bundle")
        self._gini = self._gauge(
            "artist_gini", "Concentration of what was shown on few artists.", "mostrecent", "bundle"
        )
        self._catalogue = self._gauge("catalogue_tracks", "Tracks of the catalogue.", "mostrecent", "bundle")
        self._events = self._counter("events", "Events that came in.", "outcome")
        self._appends = self._histogram("event_store_seconds", "Time to make a call's events durable.", SECONDS)[()]
        self._event_ts = self._gauge("event_newest_timestamp_seconds", "Time of the newest event applied.", "max")[()]
        self._records = self._counter("records", "Records of answers, by where they went.", "where", "outcome")
        self._waiting = self._gauge("records_waiting", "Records that are to be written.", "livesum", "where")
        self._errors = self._counter("dependency_errors", "Failures of a store or log.", "part")
        self._loads = self._counter("bundle_loads", "New bundles, by what became of them.", "outcome")
        self._info = self._gauge("bundle_info", "1: this bundle is loaded.", "livemax", "bundle", "role")
        self._created = self._gauge("bundle_created_timestamp_seconds", "When a bundle was made.", "livemax", "bundle")
        self._log_read = self._gauge(
            "catalogue_read_timestamp_seconds", "When the slowest worker last read the catalogue log.", "livemin"
        )[()]
        self._log_version = self._gauge("catalogue_version", "Version that the slowest worker has.", "livemin")[()]

    def request(self, method: str, code: str, seconds: float) -> None:
        """A call has ended."""
        self._requests[method, code].observe(seconds)

    def entered(self) -> None:
        self._in_flight.inc()

    def left(self) -> None:
        self._in_flight.dec()

    def stage(self, name: str, seconds: float, requests: int) -> None:
        """So many requests have passed a stage together."""
        self._stages[name].observe(seconds)
        self._staged[name].inc(requests)

    def batch(self, size: int, waited_s: float, busy_s: float) -> None:
        """A batch is done, whose oldest request had waited so long."""
        self._sizes.observe(size)
        self._waits.observe(waited_s)
        self._busy.inc(busy_s)

    def queue(self, length: int) -> None:
        self._queue.set(length)

    def dropped(self) -> None:
        """A caller left before its request was worked on."""
        self._dropped.inc()

    def shed(self, reason: str) -> None:
        """A request was turned away: "queue", "quota", "draining"."""
        self._sheds[reason].inc()

    def fallback(self, code: Fallback.Code.ValueType, source: str = "") -> None:
        """``source``: the one that was late or failed."""
        key = (code, source)
        child = dict.get(self._fallbacks, key)
        if child is None:
            name = Fallback.Code.Name(code).removeprefix("CODE_").lower()
            child = self._fallbacks[key] = self._fallbacks[name, source]
        child.inc()

    def served(self, bundle: str, items: Int32, explored: int = 0) -> None:
        """A slate: item indices, each once, and how many of its slots were left to chance."""
        self._shown.add(bundle, items)
        self._tracks[bundle].inc(len(items))
        if explored:
            self._explored[bundle].inc(explored)

    def events(self, stored: int, duplicates: int, rejected: int, seconds: float) -> None:
        """A call's events were made durable."""
        for outcome, n in (("stored", stored), ("duplicate", duplicates), ("rejected", rejected)):
            if n:
                self._events[outcome].inc(n)
        self._appends.observe(seconds)

    def event_applied(self, ts: float) -> None:
        """The newest event that the state reflects; seconds since 1970."""
        self._event_ts.set(ts)

    def records(self, where: str, outcome: str, n: int) -> None:
        """Records of answers were "written" to the "log" or the "state", or "dropped"."""
        self._records[where, outcome].inc(n)

    def records_waiting(self, where: str, n: int) -> None:
        self._waiting[where].set(n)

    def dependency_error(self, part: str) -> None:
        """The "state", "log", "quota" or "catalogue" could not be reached."""
        self._errors[part].inc()

    def catalogue_read(self, version: int, ts: float) -> None:
        """This worker has the catalogue of that version, as of ``ts``, seconds since 1970."""
        self._log_version.set(version)
        self._log_read.set(ts)

    def load(self, outcome: str) -> None:
        """A bundle was "loaded" or "refused"."""
        self._loads[outcome].inc()

    def bundles(self, loaded: Sequence[LoadedBundle]) -> None:
        """What is loaded now, the champion first; told now and then. Adds up what all workers have shown of each."""
        here = {bundle.name for bundle in loaded}
        for name in self._known - here:
            self._shown.close(name)
            for role in ROLES:
                self._info[name, role].set(0)
        for place, bundle in enumerate(loaded):
            if bundle.name not in self._known:
                self._shown.open(bundle.name, len(bundle.artists))
            for role in ROLES:
                self._info[bundle.name, role].set(int(role == ROLES[min(place, 1)]))
            self._created[bundle.name].set(bundle.created)
            shown = self._shown.counts(bundle.name, len(bundle.artists))
            self._coverage[bundle.name].set(float((shown > 0).mean()))
            self._gini[bundle.name].set(concentration(shown, bundle.artists))
            self._catalogue[bundle.name].set(len(bundle.artists))
        self._known = here

    def _counter(self, name: str, what: str, *labels: str) -> _Bound:
        return self._bound(Counter(f"segue_{name}", what, labels, registry=self.registry), labels)

    def _gauge(self, name: str, what: str, mode: Any, *labels: str) -> _Bound:
        """``mode``: how the values of several workers become one."""
        gauge = Gauge(f"segue_{name}", what, labels, registry=self.registry, multiprocess_mode=mode)
        return self._bound(gauge, labels)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], *labels: str) -> _Bound:
        return self._bound(Histogram(f"segue_{name}", what, labels, registry=self.registry, buckets=buckets), labels)

    @staticmethod
    def _bound(metric: Counter | Gauge | Histogram, labels: tuple[str, ...]) -> _Bound:
        bound = _Bound(metric)
        if not labels:
            bound[()] = metric
        return bound

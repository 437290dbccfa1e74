"""What it costs a request to be told of: figures, coverage, log line, trace, record; slates of 50 tracks of 100,000.

    python benchmarks/bench_inspection.py [--tracks N] [--slate N] [--calls N]

Prints microseconds of one thread, the best of seven runs; measures, asserts nothing. Records are made in the
background, but by the same interpreter: what they cost is taken from answers too. Figures are kept as workers keep
them, in memory-mapped files.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from rich.table import Table

RUNS = 7


def microseconds(call: Callable[[], Any], times: int) -> float:
    best = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, time.perf_counter() - started)
    return 1e6 * best / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--slate", type=int, default=50)
    parser.add_argument("--calls", type=int, default=2_000)
    size = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # read when prometheus_client is imported
        with open(os.devnull, "w") as log, redirect_stderr(log):
            rows = measured(size.tracks, size.slate, size.calls)
    table = Table("told of a request", "µs", title=f"slates of {size.slate} among {size.tracks:,} tracks")
    for name, took in rows:
        table.add_row(name, f"{took:.1f}")
    Console().print(table)


def measured(tracks: int, slate: int, calls: int) -> list[tuple[str, float]]:
    import numpy as np
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    from recsys.ranking.slate import Candidates, Slate
    from serving.inspection import logs
    from serving.inspection.answered import Answered
    from serving.inspection.inspection import Inspection
    from serving.inspection.metrics import LoadedBundle, Metrics
    from serving.inspection.tracing import Tracing, TracingSettings
    from serving.pipeline.query import Passed, Query, Work

    class Nowhere(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    random = np.random.default_rng(0)
    items = random.choice(tracks, slate, replace=False).astype(np.int32)
    work = Work(Query(items, slate))
    work.slate = Slate.without_chance(
        Candidates(items, random.random(slate, np.float32), np.zeros(slate, np.int32)), slate
    )
    work.passed = [Passed(name, 1.0, 200) for name in ("filters", "candidates", "ranker", "policies")]
    model: Any = SimpleNamespace(name="bench", catalogue=SimpleNamespace(track_id=lambda item: f"track:{item}"))
    answer = Answered("0" * 32, 0, "home", "listener", model, {}, "0" * 12, ["main"], work)
    record = answer.record()

    metrics = Metrics()
    metrics.bundles([LoadedBundle("bench", 0.0, random.integers(0, tracks // 5, tracks).astype(np.int32))])
    context: Any = SimpleNamespace(invocation_metadata=tuple)

    def whole(inspection: Inspection) -> float:
        def call() -> None:
            with inspection.call("segue.v1.RecommendationService", "Recommend", context) as told:
                told.entry["request_id"] = answer.request_id
                told.entry["user"] = inspection.user(answer.user_id)
                inspection.answered(answer)

        return microseconds(call, calls)

    def traced(share: float, **given: Any) -> Inspection:
        return Inspection(metrics, Tracing(TracingSettings(share=share), **given), calls=0.0)

    logs.configure(logs.LoggingSettings())
    return [
        ("all, but records: figures, log line; traces off", whole(Inspection(metrics))),
        ("  without the log line", whole(traced(0.0))),
        ("  without the log line, 1% traced", whole(traced(0.01, exporter=Nowhere()))),
        ("  without the log line, all traced", whole(traced(1.0, exporter=Nowhere()))),
        ("coverage of the slate alone", microseconds(lambda: metrics.served("bench", items), calls)),
        ("a stage of a batch", microseconds(lambda: metrics.stage("ranker", 0.001, 8), calls)),
        ("a record, in the background", microseconds(answer.record, calls)),
        (f"  in bytes ({len(record.SerializeToString()):,})", microseconds(record.SerializeToString, calls)),
    ]


if __name__ == "__main__":
    main()

"""What an append to the event log costs, beside what the disk asks for one flush.

    python benchmarks/serving/eventlog.py [--seconds 3]

Embedded: threads of one process, and of two that write the same file. Kafka: librdkafka's mock cluster of three
brokers on this machine, which keeps nothing on disk: so the row tells what sealing and sending cost, not what a real
cluster takes. The floor is a write of the same bytes and one fsync.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
from confluent_kafka import Producer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from recsys.workspace import Workspace
from serving.eventlog import LogSettings, open_log
from serving.events import Event

BATCHES = (1, 10, 100)
Seconds = list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="per row of the table (3)")
    seconds = parser.parse_args().seconds
    cluster = Producer({"test.mock.num.brokers": 3, "log_level": 0})
    brokers = ",".join(f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=10).brokers.values())
    kafka = {"kind": "kafka", "brokers": brokers}
    table = Table("log", "a call", "processes", "threads", "events/s", "p50 ms", "p99 ms")
    rows: list[tuple[str, int, int, int, dict[str, object] | None]] = [
        row
        for batch in BATCHES
        for row in (
            ("write + fsync", batch, 1, 1, None),
            ("embedded", batch, 1, 1, {}),
            ("embedded", batch, 1, 8, {}),
            ("embedded", batch, 2, 8, {}),
            ("kafka, mock", batch, 1, 1, kafka),
            ("kafka, mock", batch, 1, 8, kafka),
        )
    ]
    for name, batch, processes, threads, settings in track(rows, "event log", transient=True):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            root = Path(folder)
            if settings is None:
                taken = [_floor(root, batch, seconds)]
            else:
                taken = _written(root, batch, processes, threads, seconds, settings)
        rate = sum(batch * len(calls) / sum(calls) for calls in taken)
        p50, p99 = 1e3 * np.percentile(np.concatenate(taken), (50, 99))
        table.add_row(name, str(batch), str(processes), str(threads), f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}")
    Console().print(table)


def _events(writer: str, call: int, batch: int) -> list[Event]:
    start = call * batch
    return [
        Event(f"{writer}-{n}", f"u{n % 1000}", "yes:1", 1_700_000_000_000_000, "play")
        for n in range(start, start + batch)
    ]


def _floor(root: Path, batch: int, seconds: float) -> Seconds:
    text = pickle.dumps(_events("floor", 0, batch))
    with (root / "floor").open("wb", buffering=0) as file:

        def flush(call: int) -> None:
            file.write(text)
            os.fsync(file.fileno())

        return _timed(flush, seconds)


def _written(
    root: Path, batch: int, processes: int, threads: int, seconds: float, settings: dict[str, object]
) -> list[Seconds]:
    """The calls of each thread of each process."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        each = pool.starmap(_writer, [(root, n, batch, threads, seconds, settings) for n in range(processes)])
        return list(chain(*each))


def _writer(
    root: Path, writer: int, batch: int, threads: int, seconds: float, settings: dict[str, object]
) -> list[Seconds]:
    log = open_log(LogSettings(**settings), Workspace(root))
    log.append(_events(f"{writer}-first", 0, batch))

    def write(thread: int) -> Seconds:
        return _timed(lambda call: log.append(_events(f"{writer}-{thread}", call, batch)), seconds)

    with ThreadPoolExecutor(threads) as pool:
        taken = list(pool.map(write, range(threads)))
    log.close()
    return taken


def _timed(act: Callable[[int], object], seconds: float) -> Seconds:
    taken: Seconds = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        act(len(taken))
        taken.append(time.perf_counter() - start)
    return taken


if __name__ == "__main__":
    main()

"""Does memory stay flat? `segue serve` under a steady load of distinct listeners and events, for half an hour.

    python benchmarks/serving/soak.py [--minutes 30] [--rate 100]

Every request is of another listener, and one in ten is followed by an event of that listener. Prints the memory of all
the server's processes each minute (Pss, which shares what is mapped by several) and the trend over the second half.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import process
import psutil
import world
from rich.console import Console
from rich.progress import track
from segue.v1.feedback_pb2 import Event

from recsys.files import write_json
from serving.client import Client
from serving.client import track as named

ROOT = Path(__file__).parents[2]
EVENT_EVERY = 10
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/serving/soak.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/serving", metavar="FOLDER")
    chosen = parser.parse_args()
    bundle = world.write(chosen.scratch / f"drawn-{chosen.items}", chosen.items)
    with process.serving(chosen.scratch / "soak", "--bundle", str(bundle)) as served:
        rows = soak(served, chosen)
    write_json(chosen.scratch / "soak.json", rows)
    show(rows)


def soak(served: process.Served, chosen: argparse.Namespace) -> list[dict[str, float]]:
    """One row a minute: minute, mib, failed so far."""
    random, failed = np.random.default_rng(0), 0
    rows: list[dict[str, float]] = []

    def one(number: int, history: list[str]) -> bool:
        user = f"soak-{number}"
        try:
            client.recommend(user, history=[named(track_id) for track_id in history], limit=20)
            if number % EVENT_EVERY == 0:
                event = Event(event_id=user, user_id=user, track=named(history[0]), action=Event.ACTION_PLAY)
                client.record_events([event])
        except grpc.RpcError:
            return True
        return False

    total = int(chosen.minutes * 60 * chosen.rate)
    with Client(f"127.0.0.1:{served.port}") as client, ThreadPoolExecutor(32) as pool:
        started, running = time.monotonic(), []
        for number in track(range(total), "requests", console=Console(stderr=True)):
            history = [f"drawn:{item:07d}" for item in random.integers(0, chosen.items, world.LENGTH)]
            time.sleep(max(0.0, started + number / chosen.rate - time.monotonic()))
            running.append(pool.submit(one, number, history))
            if number % int(60 * chosen.rate) == 0:
                failed += sum(each.result() for each in running)
                running = []
                minute = round((time.monotonic() - started) / 60, 1)
                rows.append({"minute": minute, "mib": memory(served.process.pid) / MIB, "failed": failed})
        failed += sum(each.result() for each in running)
    rows.append({"minute": chosen.minutes, "mib": memory(served.process.pid) / MIB, "failed": failed})
    return rows


def memory(pid: int) -> int:
    """Bytes of the process and those that it started, each page divided among those that map it."""
    process_ = psutil.Process(pid)
    return sum(each.memory_full_info().pss for each in (process_, *process_.children(recursive=True)))


def show(rows: list[dict[str, float]]) -> None:
    for row in rows:
        print(f"{row['minute']:6.1f} min {row['mib']:8.1f} MiB  failed {row['failed']:.0f}")
    half = rows[len(rows) // 2 :]
    if len(half) > 2:
        minutes, mib = np.array([r["minute"] for r in half]), np.array([r["mib"] for r in half])
        slope = np.polyfit(minutes, mib, 1)[0]
        print(f"trend of the second half: {slope:+.2f} MiB a minute, {slope * 30 / mib[0]:+.1%} in half an hour")


if __name__ == "__main__":
    main()

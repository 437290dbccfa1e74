"""A model is swapped, and swapped back, under load: how many requests fail, and how many are slowed.

    python benchmarks/serving/swap.py [--rate 100] [--seconds 10] [--workers 2]

Two bundles of the same size; the first is champion. Requests come at an even rate from outside; after a third of the
time the second is promoted, after two thirds `segue rollback` brings the first back. Prints who answered, failures, and
latency while a model changes (five seconds from each change) and at other times.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import process
import world
from rich.console import Console
from rich.progress import track
from rich.table import Table
from segue.v1 import recommendation_pb2 as pb

from recsys.files import write_json
from recsys.workspace import Champion, Workspace
from serving.client import SERVICE_CONFIG

ROOT = Path(__file__).parents[2]
METHOD = "/segue.v1.RecommendationService/Recommend"
DURING_S = 5.0
LISTENERS = 256
DEADLINE_S = 2.0


@dataclass(frozen=True)
class Call:
    """at_s: when it was due, from the start; bundle: who answered, or the code of the error."""

    at_s: float
    ms: float
    bundle: str
    failed: bool


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/serving/swap.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=10.0, help="before, between and after the two changes, each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--items", type=int, default=20_000, help="tracks of each bundle")
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/serving", metavar="FOLDER")
    chosen = parser.parse_args()
    workspace = Workspace(chosen.scratch / "swap")
    for seed, name in enumerate(("first", "second")):
        world.write(workspace.bundles / f"{name}-{chosen.items}", chosen.items, seed)
    first, second = (f"{name}-{chosen.items}" for name in ("first", "second"))
    crown(workspace, first)
    with process.serving(workspace.root, "--workers", str(chosen.workers)) as served:
        calls = drive(served.port, chosen, changes=[lambda: crown(workspace, second, first), lambda: back(workspace)])
    write_json(chosen.scratch / "swap.json", [call.__dict__ for call in calls])
    show(calls, chosen.seconds)


def crown(workspace: Workspace, bundle: str, *previous: str) -> None:
    workspace.set_champion(
        Champion(bundle=bundle, dataset="drawn", promoted_at="2026-01-01", reason="swap", previous=list(previous))
    )


def back(workspace: Workspace) -> None:
    """As an engineer would at 3 a.m."""
    command = [sys.executable, "-m", "recsys.cli", "--workspace", str(workspace.root), "rollback"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **process.ONE_THREAD})


def drive(port: int, chosen: argparse.Namespace, changes: list) -> list[Call]:
    """An open loop: every call is due at its own time, and its wait for a free thread counts."""
    bodies = itertools.cycle(world.bodies(chosen.items, LISTENERS))
    total = int(3 * chosen.seconds * chosen.rate)
    options = [("grpc.service_config", SERVICE_CONFIG), ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(4)]  # spread over the workers
    stubs = [channel.unary_unary(METHOD, None, pb.RecommendResponse.FromString) for channel in channels]
    started = time.monotonic() + 0.5

    def call(number: int, body: bytes) -> Call:
        due = number / chosen.rate
        try:
            bundle, failed = stubs[number % len(stubs)](body, timeout=DEADLINE_S).bundle, False
        except grpc.RpcError as error:
            bundle, failed = error.code().name, True
        return Call(due, 1000 * (time.monotonic() - started - due), bundle, failed)

    with ThreadPoolExecutor(64) as pool:
        for number, change in enumerate(changes, start=1):
            threading.Timer(0.5 + number * chosen.seconds, change).start()
        running = []
        for number in track(range(total), "requests", console=Console(stderr=True)):
            time.sleep(max(0.0, started + number / chosen.rate - time.monotonic()))
            running.append(pool.submit(call, number, next(bodies)))
        calls = [each.result() for each in running]
    for channel in channels:
        channel.close()
    return calls


def show(calls: list[Call], seconds: float) -> None:
    changes = (seconds, 2 * seconds)
    during = [any(at <= call.at_s < at + DURING_S for at in changes) for call in calls]
    table = Table(title=f"{len(calls):,} requests, two changes of the model", title_justify="left")
    for name in ("", "requests", "failed", "p50 ms", "p99 ms", "max ms"):
        table.add_column(name, justify="left" if not name else "right")
    for name, wanted in (("while a model changes", True), ("at other times", False)):
        part = [call for call, inside in zip(calls, during, strict=True) if inside == wanted]
        ms = np.array([call.ms for call in part])
        failed = sum(call.failed for call in part)
        table.add_row(
            name, f"{len(part):,}", f"{failed:,}", *(f"{np.percentile(ms, q):.1f}" for q in (50, 99)), f"{ms.max():.1f}"
        )
    Console().print(table)
    print("answered by:", ", ".join(f"{name} {n:,}" for name, n in Counter(call.bundle for call in calls).items()))
    print(f"failed: {sum(call.failed for call in calls)}")


if __name__ == "__main__":
    main()

"""How soon an event that was acknowledged counts in the next answer, on whichever worker.

    python benchmarks/serving/effect.py [--redis] [--events 500] [--load 0]

Through the store alone: one process writes an event to log and state as FeedbackService does, another looks the
listener up. Through gRPC: `segue serve` with several workers; an event of a new listener goes in by one connection, and
once it is acknowledged Recommend is asked on another, which mostly is another worker's, until `history` counts the
event. Each time is from the acknowledgement to the end of the first answer that knows the event, so that it holds that
answer's own time: see the row "an answer, by itself".
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import numpy as np
import process
import world
from rich.console import Console
from rich.progress import track
from rich.table import Table
from segue.v1 import feedback_pb2, track_pb2
from segue.v1 import recommendation_pb2 as pb

from recsys.files import write_json
from recsys.workspace import Champion, Workspace
from serving.eventlog import LogSettings, open_log
from serving.events import Event
from serving.store.opening import open_store
from serving.store.settings import StateSettings

ROOT = Path(__file__).parents[2]
CHANNELS = 8
STDERR = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/serving/effect.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--redis", action="store_true", help="a redis-server of this run, in place of SQLite")
    parser.add_argument("--events", type=int, default=500, help="events that are timed, each way (500)")
    parser.add_argument("--load", type=float, default=0.0, help="other listeners' events per second meanwhile (0)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--items", type=int, default=20_000, help="tracks of the bundle (20,000)")
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/serving", metavar="FOLDER")
    chosen = parser.parse_args()
    workspace = Workspace(chosen.scratch / "effect")
    bundle = f"first-{chosen.items}"
    world.write(workspace.bundles / bundle, chosen.items)
    workspace.set_champion(Champion(bundle=bundle, dataset="drawn", promoted_at="2026-01-01", reason="effect"))
    with redis_server() if chosen.redis else embedded():
        found = through_store(workspace, chosen.events)
        with process.serving(workspace.root, "--workers", str(chosen.workers)) as served:
            found |= through_grpc(served.port, chosen.events, chosen.load)
    write_json(chosen.scratch / "effect.json", {name: times.tolist() for name, times in found.items()})
    show(found, "Redis" if chosen.redis else "SQLite", chosen)


def through_store(workspace: Workspace, events: int) -> dict[str, np.ndarray]:
    """Seconds of each event."""
    log = open_log(LogSettings.load(), workspace)
    store = open_store(StateSettings.load(), workspace)
    here, there = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=_read, args=(workspace.root, there))
    reader.start()
    assert here.recv() == "ready"
    written, seen = [], []
    for number in track(range(events), "through the store", console=STDERR):
        user = f"store-{time.time_ns()}-{number}"
        started = time.monotonic()
        event = Event(user, user, f"drawn:{number:07d}", time.time_ns() // 1_000, "play")
        log.append([event])
        store.listeners.apply([event])
        acknowledged = time.monotonic()
        here.send(user)
        seen.append(here.recv() - acknowledged)
        written.append(acknowledged - started)
    here.send(None)
    reader.join()
    store.close()
    log.close()
    return {"store: written, to acknowledgement": np.array(written), "store: acknowledgement to effect": np.array(seen)}


def _read(root: Path, asked: Connection) -> None:
    """The other process: looks a listener up until there is a play."""
    store = open_store(StateSettings.load(), Workspace(root))
    store.ping()
    asked.send("ready")
    while (user := asked.recv()) is not None:
        while not store.listeners.get(user).plays:
            pass
        asked.send(time.monotonic())


def through_grpc(port: int, events: int, load: float) -> dict[str, np.ndarray]:
    """Seconds of each event."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(CHANNELS)]  # spread over workers
    recommend = [
        channel.unary_unary(
            "/segue.v1.RecommendationService/Recommend",
            pb.RecommendRequest.SerializeToString,
            pb.RecommendResponse.FromString,
        )
        for channel in channels
    ]
    record = [_record(channel) for channel in channels]
    for ask in recommend:  # The first call of a connection opens it.
        ask(pb.RecommendRequest(user_id="nobody"), wait_for_ready=True)
    ended = threading.Event()
    others = threading.Thread(target=_load, args=(record[0], load, ended))
    others.start()
    acknowledging, effect, plain, unaware = [], [], [], 0
    for number in track(range(events), "through gRPC", console=STDERR):
        user, here, there = f"grpc-{time.time_ns()}-{number}", number % CHANNELS, (5 * number + 3) % CHANNELS
        request = feedback_pb2.RecordEventsRequest(events=[_play(user, number)])
        started = time.monotonic()
        record[here](request, timeout=10)
        acknowledged = time.monotonic()
        while True:
            asked = time.monotonic()
            if recommend[there](pb.RecommendRequest(user_id=user, limit=20), timeout=10).history:
                break
            unaware += 1
        answered = time.monotonic()
        acknowledging.append(acknowledged - started)
        effect.append(answered - acknowledged)
        plain.append(answered - asked)
    ended.set()
    others.join()
    for channel in channels:
        channel.close()
    STDERR.print(f"answers that did not know of the event yet: {unaware}")
    return {
        "gRPC: sent, to acknowledgement": np.array(acknowledging),
        "gRPC: acknowledgement to effect": np.array(effect),
        "gRPC: an answer, by itself": np.array(plain),
    }


def _record(channel: grpc.Channel) -> grpc.UnaryUnaryMultiCallable:
    return channel.unary_unary(
        "/segue.v1.FeedbackService/RecordEvents",
        feedback_pb2.RecordEventsRequest.SerializeToString,
        feedback_pb2.RecordEventsResponse.FromString,
    )


def _play(user: str, number: int) -> feedback_pb2.Event:
    reference = track_pb2.TrackReference(track_id=f"drawn:{number:07d}")
    return feedback_pb2.Event(event_id=user, user_id=user, track=reference, action=feedback_pb2.Event.ACTION_PLAY)


def _load(record: grpc.UnaryUnaryMultiCallable, rate: float, ended: threading.Event) -> None:
    """Ten events a call, of a thousand listeners."""
    for call in count():
        if rate <= 0 or ended.wait(10 / rate):
            return
        events = [_play(f"load-{time.time_ns()}-{i}", i) for i in range(10)]
        for i, event in enumerate(events):
            event.user_id = f"load-{(10 * call + i) % 1_000}"
        record.future(feedback_pb2.RecordEventsRequest(events=events))


@contextmanager
def embedded() -> Iterator[None]:
    yield


@contextmanager
def redis_server() -> Iterator[None]:
    """Flushed to disk every second, as docs/serving.md advises."""
    if shutil.which("redis-server") is None:
        raise SystemExit("redis-server is not here; on Debian: apt-get install redis-server")
    port = process.free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--dir", folder, "--appendonly", "yes"]
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.environ["SEGUE_STATE_URL"] = f"redis://127.0.0.1:{port}/0"
        try:
            time.sleep(1)
            yield
        finally:
            del os.environ["SEGUE_STATE_URL"]
            started.terminate()
            started.wait(30)


def show(found: dict[str, np.ndarray], store: str, chosen: argparse.Namespace) -> None:
    table = Table(title=f"{store}, {chosen.workers} workers, {chosen.load:g} other events per second")
    for name in ("", "events", "p50 ms", "p99 ms", "max ms"):
        table.add_column(name, justify="left" if not name else "right")
    for name, times in found.items():
        ms = 1000 * times
        table.add_row(name, f"{len(ms):,}", *(f"{np.percentile(ms, q):.2f}" for q in (50, 99)), f"{ms.max():.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()

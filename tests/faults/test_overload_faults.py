"""Five times what the server can do, for a minute."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from platform_process import Platform, load, running, wait_for
from segue.v1 import recommendation_pb2 as pb
from segue.v1.track_pb2 import TrackReference

from recsys.workspace import Workspace
from serving.client import Client

pytestmark = pytest.mark.faults

METHOD = "/segue.v1.RecommendationService/Recommend"
SECONDS = float(os.environ.get("SEGUE_OVERLOAD_S", "60"))
CAPACITY_S = 5.0
DEADLINE_S = 1.0


@pytest.mark.timeout(600)
def test_five_times_overload(crowned: Workspace, tell: Callable[..., None]) -> None:
    """What is refused is refused at once, what is answered comes in time, and afterwards all is as before."""
    slow = {"SEGUE_SERVE_MAX_BATCH": "1"}  # so that the driver, on the same cores, has five times as much in it
    body = pb.RecommendRequest(
        user_id="u", history=[TrackReference(track_id=f"t{i % 39}") for i in range(50)], limit=20
    ).SerializeToString()
    with running(Platform(crowned.root, environment=slow)) as platform:
        capacity = closed_loop(platform.address, body)
        seen = open_loop(platform.address, body, 5 * capacity)
        ended = time.monotonic()
        with Client(platform.address) as client:
            wait_for(lambda: client.recommend("anna").tracks, 10)
            recovered = time.monotonic() - ended
        with load(platform.address, threads=1) as after:
            wait_for(lambda: len(after.rows) > 100, 30)
    statuses = Counter(status for status, _ in seen)
    # UNAVAILABLE: gRPC itself refused the stream (REFUSED_STREAM) before a byte of it was worked on.
    assert set(statuses) <= {"OK", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
    # The driver and the refusals share the cores with the answers.
    assert statuses["OK"] > 0.1 * capacity * SECONDS
    assert statuses["RESOURCE_EXHAUSTED"] + statuses["UNAVAILABLE"] > statuses["DEADLINE_EXCEEDED"]
    assert after.failed() == 0
    answered = np.percentile([ms for status, ms in seen if status == "OK"], 99)
    refused = np.percentile([ms for status, ms in seen if status == "RESOURCE_EXHAUSTED"], 50)
    shares = ", ".join(f"{status} {n / len(seen):.0%}" for status, n in statuses.most_common())
    tell(
        f"five times overload for {SECONDS:.0f} s",
        f"{statuses['OK'] / SECONDS:,.0f} of {len(seen) / SECONDS:,.0f} requests a second "
        f"(capacity {capacity:,.0f}); p99 {answered:,.0f} ms",
        f"{shares}; refused within {refused:,.0f} ms (median), with a hint when to try again",
        "nothing",
        f"{recovered:.1f} s",
    )


def closed_loop(address: str, body: bytes) -> float:
    """Requests per second with 16 at a time."""
    ended = time.monotonic() + CAPACITY_S

    def run(_: int) -> int:
        count = 0
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary(METHOD)
            while time.monotonic() < ended:
                call(body, timeout=DEADLINE_S)
                count += 1
        return count

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(run, range(16))) / CAPACITY_S


def open_loop(address: str, body: bytes, rate: float) -> list[tuple[str, float]]:
    """(status, ms) of requests that come at ``rate`` whatever becomes of them."""
    seen: list[tuple[str, float]] = []
    channels = [grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(8)]
    calls = [channel.unary_unary(METHOD) for channel in channels]
    started = time.monotonic()

    def note(future: grpc.Future, sent: float) -> None:
        seen.append((future.code().name, 1000 * (time.monotonic() - sent)))

    sent = 0
    while (elapsed := time.monotonic() - started) < SECONDS:
        for _ in range(int(elapsed * rate) - sent):
            now = time.monotonic()
            future = calls[sent % len(calls)].future(body, timeout=DEADLINE_S)
            future.add_done_callback(lambda done, now=now: note(done, now))
            sent += 1
        time.sleep(0.002)
    wait_for(lambda: len(seen) == sent, 30)
    for channel in channels:
        channel.close()
    return seen

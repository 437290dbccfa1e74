"""Processes that die, and models that are broken."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from platform_process import Platform, load, running, wait_for
from segue.v1.feedback_pb2 import Event

from recsys.bundle import Bundle, write_bundle
from recsys.policy import Policy, SurfacePolicy
from recsys.scoring.neural import Neural, NeuralConfig
from recsys.workspace import Workspace
from serving.client import Client, track
from serving.eventlog import LogSettings, open_log

pytestmark = pytest.mark.faults

Tell = Callable[..., None]


def test_a_worker_is_killed_under_load(crowned: Workspace, tell: Tell) -> None:
    with running(Platform(crowned.root, ("--workers", "2"))) as platform, load(platform.address, threads=8) as seen:
        wait_for(lambda: len(seen.rows) > 200, 30)
        before = platform.workers()
        assert len(before) == 2
        killed = time.time()
        before[0].kill()
        wait_for(lambda: len([w for w in platform.workers() if w.is_running() and w.status() != "zombie"]) == 2, 30)
        wait_for(lambda: '"worker replaced"' in platform.log.read_text(), 30)
        answered = len(seen.rows)
        wait_for(lambda: len(seen.rows) > answered + 200, 30)
    replaced = next(json.loads(li) for li in platform.log.read_text().splitlines() if '"worker replaced"' in li)
    assert seen.failed() == 0, seen.statuses()
    tell(
        "kill -9 of one of two workers under load",
        f"all {len(seen.rows):,} requests; those on the dead worker by the client's retry",
        "nothing",
        "nothing",
        f"{max(seen.whole_again_s(killed), replaced['away_s']):.1f} s until the worker was replaced",
    )


def test_the_server_is_killed_while_events_stream_in(crowned: Workspace, tell: Tell) -> None:
    """No acknowledged event is lost, none is there twice, and the listener's next answer reflects them."""
    acknowledged: set[str] = set()
    ended = threading.Event()

    def feed(client: Client) -> None:
        number = 0
        while not ended.is_set():
            batch = [
                Event(
                    event_id=f"e{number + i}", user_id=f"user-{i}", track=track(f"t{(number + i) % 39}"),
                    action=Event.ACTION_PLAY,
                )
                for i in range(10)
            ]  # fmt: skip
            try:
                client.record_events(batch)
            except grpc.RpcError:
                time.sleep(0.05)
                continue  # the same again
            acknowledged.update(event.event_id for event in batch)
            number += len(batch)

    with running(Platform(crowned.root, ("--workers", "2"))) as platform, Client(platform.address) as client:
        feeding = threading.Thread(target=feed, args=(client,))
        feeding.start()
        downtimes = []
        for goal in (300, 900):
            wait_for(lambda goal=goal: len(acknowledged) > goal, 60)
            platform.kill()
            killed, count = time.monotonic(), len(acknowledged)
            platform.start()
            wait_for(lambda count=count: len(acknowledged) > count + 50, 60)
            downtimes.append(time.monotonic() - killed)
        ended.set()
        feeding.join()
        answer = client.recommend("user-3")
        assert answer.history > 0
        assert platform.stop() == 0
    log = open_log(LogSettings.load(), crowned)
    stored = [event.event_id for page in log.events() for event in page.rows]
    log.close()
    assert len(stored) == len(set(stored))
    assert acknowledged <= set(stored)
    tell(
        "kill -9 of the whole server, twice, while events come in",
        "nothing until it is started again",
        "nothing",
        f"none of {len(acknowledged):,} acknowledged events; none is there twice",
        f"{max(downtimes):.1f} s with the start",
    )


@pytest.mark.parametrize("damage", ["a byte of the item vectors", "no manifest", "a policy that is no TOML"])
def test_a_damaged_bundle_is_promoted(
    crowned: Workspace, crowning: Callable[..., None], write_small_bundle: Callable[..., Path], tell: Tell, damage: str
) -> None:
    with running(Platform(crowned.root, ("--workers", "2"))) as platform, load(platform.address) as seen:
        broken = write_small_bundle(crowned.bundles / "broken")
        if damage == "a byte of the item vectors":
            victim = next(path for path in sorted((broken / "sources").rglob("*.npy")))
            raw = bytearray(victim.read_bytes())
            raw[-1] ^= 1
            victim.write_bytes(raw)
        elif damage == "no manifest":
            (broken / "manifest.json").unlink()
        else:
            (broken / "policy.toml").write_text("= = =")
        wait_for(lambda: len(seen.rows) > 50, 30)
        crowning(crowned, "broken", "first")
        wait_for(lambda: "refused" in platform.log.read_text(), 30)
        answered = len(seen.rows)
        wait_for(lambda: len(seen.rows) > answered + 50, 30)
        with Client(platform.address) as client:
            assert client.recommend("anna").bundle == "first"
    assert seen.failed() == 0, seen.statuses()
    tell(
        f"a damaged bundle is promoted ({damage})",
        f"all {len(seen.rows):,} requests, by the old champion",
        "nothing; the log names the file",
        "nothing",
        "never away",
    )
    shutil.rmtree(broken)


N, DIM, HATED = 40, 4, 38
THREADS = 8


def picky_graph() -> bytes:
    """The history's mean vector; throws where the sum of the vectors begins with 1, as only that of a history with
    HATED a dozen times does: it looks past a table's end."""
    inputs = [
        helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", "length", DIM]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["vectors"], ["state"], axes=[1], keepdims=0),
        helper.make_node("ReduceSum", ["vectors", "along"], ["sum"], keepdims=0),
        helper.make_node("Gather", ["sum", "first"], ["begins"], axis=1),
        helper.make_node("Cast", ["begins"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "place"], ["looked"], axis=0),
    ]
    constants = [
        numpy_helper.from_array(np.zeros(1, np.float32), "table"),
        numpy_helper.from_array(np.array(0, np.int64), "first"),
        numpy_helper.from_array(np.array([1], np.int64), "along"),
    ]
    outputs = [
        helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", DIM]),
        helper.make_tensor_value_info("looked", TensorProto.FLOAT, ["batch"]),
    ]
    graph = helper.make_graph(nodes, "picky", inputs, outputs, constants)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


def test_a_champion_throws_on_one_request_in_ten(crowned: Workspace, crowning: Callable[..., None], tell: Tell) -> None:
    small = Bundle.open(crowned.bundles / "first")
    vectors = np.random.default_rng(0).random((N, DIM), np.float32)
    vectors[:, 0] = 0  # as that of what stands after a short history in a batch
    vectors[HATED, 0] = 1 / 12
    scorers = {**small.scorers, "main": Neural(picky_graph(), vectors, NeuralConfig(max_length=50))}
    policy = SurfacePolicy(sources=["main", "popularity"])
    manifest = small.manifest.model_copy(update={"name": "picky", "model": "picky"})
    surfaces = Policy(surfaces=dict.fromkeys(("home", "playlist", "similar"), policy))
    write_bundle(crowned.bundles / "picky", manifest, small.catalogue, small.aliases, scorers, surfaces)
    crowning(crowned, "picky")

    def ask(client: Client, number: int) -> object:
        history = [HATED] * 13 if number // THREADS % 10 == 0 else [1, 5, 9]
        return client.recommend(f"user-{number}", history=[track(f"t{item}") for item in history], limit=3)

    with (
        running(Platform(crowned.root, ("--workers", "2"))) as platform,
        load(platform.address, threads=THREADS, ask=ask) as seen,
    ):
        wait_for(lambda: len(seen.rows) > 1_000, 60)
    assert seen.failed() == 0, seen.statuses()
    fallen = seen.fallbacks()
    assert set(fallen) == {"CODE_SOURCE_FAILED"}
    share = fallen["CODE_SOURCE_FAILED"] / len(seen.rows)
    assert 0.05 < share < 0.15
    tell(
        "a champion that throws on one request in ten",
        f"all {len(seen.rows):,} requests",
        f"{share:.0%} of them: the next source answered, and the fallback says SOURCE_FAILED; no other of their batch",
        "nothing",
        "never away",
    )

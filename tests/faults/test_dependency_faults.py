"""What the server stands on goes away: Redis, the disk, the clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from platform_process import Platform, load, running, wait_for
from segue.v1.feedback_pb2 import Event

from recsys.workspace import Workspace
from serving.client import Client, track
from serving.eventlog import LogSettings, open_log

pytestmark = pytest.mark.faults

Tell = Callable[..., None]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def event(number: int, user: str = "anna") -> Event:
    return Event(event_id=f"e{number}", user_id=user, track=track(f"t{number % 39}"), action=Event.ACTION_PLAY)


def recorded(client: Client, number: int) -> str:
    """OK once the event is acknowledged, else the status."""
    try:
        client.record_events([event(number)])
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


class Redis:
    """redis-server on a port of its own, with its append-only file: what it took outlives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import socket

        if not self.port:
            with socket.socket() as found:
                found.bind(("127.0.0.1", 0))
                self.port = found.getsockname()[1]
        options = ["--port", str(self.port), "--dir", str(self._folder), "--save", "", "--appendonly", "yes"]
        self.process = subprocess.Popen(
            ["redis-server", *options, "--appendfsync", "always"], stdout=subprocess.DEVNULL
        )
        wait_for(self._answers, 10)

    def _answers(self) -> bool:
        done = subprocess.run(["redis-cli", "-p", str(self.port), "ping"], capture_output=True, check=False)
        return done.stdout.strip() == b"PONG"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not here; on Debian: apt-get install redis-server")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = Redis(folder)
    server.start()
    yield server
    server.stop()


def test_redis_is_stopped_and_started_again(crowned: Workspace, redis: Redis, tell: Tell) -> None:
    url = {"SEGUE_STATE_URL": f"redis://127.0.0.1:{redis.port}/0"}
    with (
        running(Platform(crowned.root, ("--workers", "2"), url)) as platform,
        Client(platform.address, timeout_s=2) as client,
        load(platform.address, ask=lambda client, number: client.recommend("anna")) as seen,
    ):
        assert recorded(client, 1) == "OK"
        wait_for(lambda: len(seen.rows) > 50, 30)
        redis.stop()
        wait_for(lambda: seen.fallbacks()["CODE_STATE_UNAVAILABLE"] > 50, 30)
        refused = recorded(client, 2)
        assert refused == "UNAVAILABLE"
        redis.start()
        back = time.time()
        wait_for(lambda: recorded(client, 2) == "OK", 30)
        answered = len(seen.rows)
        wait_for(lambda: len(seen.rows) > answered + 100, 30)
        assert client.recommend("anna").history == 2
    assert seen.failed() == 0, seen.statuses()
    tell(
        "Redis is killed and started again",
        f"all {len(seen.rows):,} requests",
        "answers know nothing of the listener (STATE_UNAVAILABLE); events get UNAVAILABLE",
        "nothing acknowledged",
        f"{seen.whole_again_s(back):.1f} s after Redis was back",
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=False)
    if done.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_disk_of_the_event_log_is_full(crowned: Workspace, small_disk: Path, tell: Tell) -> None:
    (crowned.root / "log").symlink_to(small_disk)
    filler = small_disk / "filler"
    with (
        running(Platform(crowned.root, ("--workers", "2"))) as platform,
        Client(platform.address, timeout_s=5) as client,
        load(platform.address) as seen,
    ):
        acknowledged = [number for number in range(20) if recorded(client, number) == "OK"]
        assert len(acknowledged) == 20
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        refused = {recorded(client, number) for number in range(1000, 1010)}
        number = 2000
        while "UNAVAILABLE" not in refused and number < 4000:  # what room its files had left of their own
            outcome = recorded(client, number)
            acknowledged += [number] if outcome == "OK" else []
            refused.add(outcome)
            number += 1
        assert "UNAVAILABLE" in refused
        assert refused <= {"OK", "UNAVAILABLE"}
        filler.unlink()
        freed = time.monotonic()
        wait_for(lambda: recorded(client, 9999) == "OK", 30)
        whole = time.monotonic() - freed
        answered = len(seen.rows)
        wait_for(lambda: len(seen.rows) > answered + 50, 30)
        assert platform.stop() == 0
    log = open_log(LogSettings.load(), crowned)
    stored = {each.event_id for page in log.events() for each in page.rows}
    log.close()
    assert {f"e{number}" for number in acknowledged} <= stored
    tell(
        "the disk of the event log is full",
        "all requests",
        "events get UNAVAILABLE; impressions wait, and the oldest go once the queue is full",
        "nothing acknowledged",
        f"{whole:.1f} s after there was room",
    )


@pytest.mark.skipif(not FAKETIME.is_file(), reason="needs libfaketime; on Debian: apt-get install faketime")
def test_the_clock_jumps(crowned: Workspace, tmp_path: Path, tell: Tell) -> None:
    """A day ahead, then a day back: no quota, session or watch locks anybody out, and events are taken."""
    now = tmp_path / "clock"
    now.write_text("+0")
    jumping = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PATH": os.environ["PATH"],
    }
    with (
        running(Platform(crowned.root, ("--workers", "2"), jumping)) as platform,
        Client(platform.address, timeout_s=5) as client,
        load(platform.address) as seen,
    ):
        for number, shift in enumerate(("+0", "+86400", "+0", "-86400", "+0")):
            now.write_text(shift)
            answered = len(seen.rows)
            wait_for(lambda answered=answered: len(seen.rows) > answered + 50, 30)
            assert recorded(client, number) == "OK"
        assert client.recommend("anna").history == 5
    assert seen.failed() == 0, seen.statuses()
    tell(
        "the clock jumps a day ahead, back, a day back, and ahead",
        f"all {len(seen.rows):,} requests; every event was taken",
        "plays that happened at the wrong time keep it",
        "nothing",
        "never away",
    )

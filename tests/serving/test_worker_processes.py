"""`segue serve --workers 2` under load: a worker is killed, a client loses nothing, and the end is orderly."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from serving.client import Client, track

SEGUE = (sys.executable, "-m", "recsys.cli")


@contextmanager
def served(folder: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str], Path]]:
    """Yields address, supervisor, and the file of its log."""
    ready, log = folder / "address", folder / "log"
    command = [*SEGUE, "serve", "--port", "0", "--workers", "2", "--address-file", str(ready), *words]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            end = time.monotonic() + 60
            while not ready.is_file():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end
                time.sleep(0.05)
            yield ready.read_text().strip(), process, log
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        if task.name != str(pid)
        for child in (task / "children").read_text().split()
    ]


def events(log: Path, name: str) -> list[dict[str, object]]:
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return [entry for entry in entries if entry["event"] == name]


def test_kill_9_under_load_loses_no_request(workspace: Path, table_bundle: Path, tmp_path: Path) -> None:
    """And a server that is open to other machines, since it asks for keys."""
    enough = threading.Event()
    key = "k" * 32
    clients = tmp_path / "clients.toml"
    clients.write_text(f'[web]\nkeys = ["{hashlib.sha256(key.encode()).hexdigest()}"]\nscopes = ["recommend"]\n')
    Path(os.environ["SEGUE_CONFIG"]).write_text(f'[security]\nclients = "{clients}"\n')
    words = ("--bundle", str(table_bundle), "--host", "0.0.0.0")
    with served(tmp_path, *words) as (address, process, log), ThreadPoolExecutor(8) as pool:
        with Client(address) as stranger, pytest.raises(grpc.RpcError, match="say who you are"):
            stranger.continue_playlist([track("t0")])

        def ask(_: int) -> int:
            """A connection each, so that the kernel spreads them; how many answers it got."""
            with Client(address, timeout_s=20, api_key=key) as client:
                answers = 0
                while not enough.is_set():
                    assert client.continue_playlist([track("t0")], limit=5).tracks
                    answers += 1
            return answers

        running = [pool.submit(ask, i) for i in range(8)]
        try:
            time.sleep(0.5)
            killed, other = children(process.pid)
            os.kill(killed, signal.SIGKILL)
            end = time.monotonic() + 60
            while not events(log, "worker replaced"):
                assert time.monotonic() < end
                time.sleep(0.05)
            time.sleep(0.3)
        finally:
            enough.set()
        counts = [future.result() for future in running]  # raises where any request failed
        assert min(counts) > 0
        now = children(process.pid)
        assert other in now
        assert killed not in now
        assert len(now) == 2
        (died,) = events(log, "worker died")
        assert (died["by"], died["pid"]) == ("SIGKILL", killed)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert "2 workers, listening on" in said
    assert {(entry["code"], entry["client"]) for entry in events(log, "call")} == {("OK", "web")}
    for pid in now:
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_a_damaged_bundle_ends_the_start(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [*SEGUE, "serve", "--port", "0", "--workers", "2", "--bundle", str(tmp_path / "empty")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "empty is no bundle" in done.stderr
    assert "a worker ended with 1 before it was ready" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_champion_and_an_open_door_are_said_once(workspace: Path, tmp_path: Path) -> None:
    for words, says in (((), "has no champion"), (("--host", "0.0.0.0"), "reachable from other machines")):
        command = [*SEGUE, "serve", "--workers", "2", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1

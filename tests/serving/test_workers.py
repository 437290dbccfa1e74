"""Workers that die, that hang, and that outlive nobody: small processes under the real supervisor."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from recsys.errors import InputError
from serving.processes.workers import Lifeline, Supervisor, WorkerFailedError, reserved_port

OBEDIENT = "line.send(b'r'); line.recv(1)"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN); line.send(b'r'); time.sleep(60)"


def worker(body: str, folder: Path) -> list[str]:
    """Leaves a file with its process id, then does ``body`` with its lifeline."""
    head = f"""
import os, signal, socket, sys, time
line = socket.socket(fileno=int(sys.argv[1]))
open(os.path.join({str(folder)!r}, str(os.getpid())), "w").close()
"""
    return [sys.executable, "-c", head + body]


def pids(folder: Path) -> list[int]:
    """Of all that ever ran, the oldest first."""
    return [int(file.name) for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def supervised(body: str, folder: Path, workers: int = 2, grace_s: float = 10.0) -> Iterator[Supervisor]:
    supervisor = Supervisor(worker(body, folder), workers, environment=os.environ, grace_s=grace_s)
    try:
        yield supervisor
    finally:
        supervisor.stop()


def test_a_worker_that_is_killed_is_replaced_and_the_other_stays(tmp_path: Path) -> None:
    died: list[int] = []
    supervisor = Supervisor(worker(OBEDIENT, tmp_path), 2, environment=os.environ, grace_s=10, died=died.append)
    supervisor.start(threading.Event())
    first, second = pids(tmp_path)
    os.kill(first, signal.SIGKILL)
    until(lambda: len(pids(tmp_path)) == 3)
    assert died == [first]
    assert alive(second)
    supervisor.stop()
    assert not any(alive(pid) for pid in pids(tmp_path))
    assert len(pids(tmp_path)) == 3


def test_workers_that_keep_dying_are_tried_ever_more_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.processes.workers.FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr("serving.processes.workers.LONGEST_PAUSE_S", 0.2)
    with supervised("line.send(b'r'); sys.exit(3)", tmp_path, workers=1) as supervisor:
        supervisor.start(threading.Event())
        until(lambda: len(pids(tmp_path)) >= 6)
    times = sorted(file.stat().st_mtime for file in tmp_path.iterdir())
    assert all(later - sooner >= 0.2 for sooner, later in pairwise(times[3:]))


def test_a_worker_that_never_gets_ready_ends_the_start_and_the_others(tmp_path: Path) -> None:
    body = f"sys.exit(7) if len(os.listdir({str(tmp_path)!r})) > 1 else line.recv(1)"
    with supervised(body, tmp_path) as supervisor, pytest.raises(WorkerFailedError) as caught:
        supervisor.start(threading.Event())
    assert caught.value.code == 7
    assert not any(alive(pid) for pid in pids(tmp_path))


def test_the_end_may_come_before_the_workers_are_ready(tmp_path: Path) -> None:
    ended = threading.Event()
    with supervised("line.recv(1)", tmp_path) as supervisor:
        threading.Timer(0.2, ended.set).start()
        supervisor.start(ended)
    assert not any(alive(pid) for pid in pids(tmp_path))


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with supervised(STUBBORN, tmp_path, workers=1, grace_s=0.2) as supervisor:
        supervisor.start(threading.Event())
        (pid,) = pids(tmp_path)
    until(lambda: not alive(pid))


def test_workers_see_that_their_supervisor_was_killed(tmp_path: Path) -> None:
    code = f"""
import os, threading
from serving.processes.workers import Supervisor
supervisor = Supervisor({worker(OBEDIENT, tmp_path)!r}, 2, environment=os.environ, grace_s=10)
supervisor.start(threading.Event())
print("ready", flush=True)
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    assert len(pids(tmp_path)) == 2
    until(lambda: not any(alive(pid) for pid in pids(tmp_path)))


def test_a_lifeline_says_ready_and_sees_the_end() -> None:
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    with ours:
        Lifeline(theirs.detach(), gone.set).ready()
        assert ours.recv(1) == b"r"
        assert not gone.is_set()
    assert gone.wait(10)


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("[::1]", socket.AF_INET6)])
def test_workers_share_a_reserved_port_and_strangers_do_not_get_it(host: str, family: socket.AddressFamily) -> None:
    with reserved_port(host, 0) as port:
        listening = [socket.create_server((host.strip("[]"), port), family=family, reuse_port=True) for _ in range(2)]
        with pytest.raises(InputError, match=f":{port}; is the port taken"), reserved_port(host, port):
            pass
        for each in listening:
            each.close()


def test_a_host_that_is_none() -> None:
    with pytest.raises(InputError, match=r"cannot listen on nowhere\.invalid:0"), reserved_port("nowhere.invalid", 0):
        pass

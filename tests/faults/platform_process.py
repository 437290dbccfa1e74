"""`segue serve` as a process that faults are done to, and the load that notices."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil
from segue.v1.recommendation_pb2 import Fallback

from serving.client import Client, track

START_S = 60.0
SEGUE = [sys.executable, "-m", "recsys.cli"]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


@dataclass
class Platform:
    """A server over a workspace, with `workers` processes."""

    workspace: Path
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    address: str = ""

    def start(self) -> None:
        """Return once it answers. The port stays the same from one start to the next."""
        ready = self.workspace.parent / "address"
        ready.unlink(missing_ok=True)
        port = self.address.rpartition(":")[2] or "0"
        command = [*SEGUE, "--workspace", str(self.workspace), "serve", "--port", port, "--address-file", str(ready)]
        environment = {**os.environ, **ONE_THREAD, **self.environment}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.options], env=environment, stdout=log, stderr=log, cwd=self.workspace.parent
            )
        wait_for(lambda: ready.is_file() or self.process.poll() is not None, START_S)
        assert ready.is_file(), f"the server did not start:\n{self.log.read_text()[-3000:]}"
        self.address = ready.read_text().strip()

    @property
    def log(self) -> Path:
        return self.workspace.parent / "serve.log"

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        top = psutil.Process(self.process.pid)
        return top.children() or [top]

    def kill(self) -> None:
        """kill -9 of all of it."""
        top = psutil.Process(self.process.pid)
        for each in (top, *top.children(recursive=True)):
            each.kill()
        self.process.wait(10)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@contextmanager
def running(platform: Platform) -> Iterator[Platform]:
    platform.start()
    try:
        yield platform
    finally:
        if platform.process.poll() is None:
            platform.kill()


@dataclass
class Outcomes:
    """What became of the requests of a load: (seconds since 1970 at the end, ms, status or OK, fallbacks)."""

    rows: list[tuple[float, float, str, tuple[str, ...]]] = field(default_factory=list)

    def statuses(self) -> Counter[str]:
        return Counter(status for _, _, status, _ in self.rows)

    def fallbacks(self) -> Counter[str]:
        return Counter(code for *_, codes in self.rows for code in codes)

    def failed(self) -> int:
        return sum(status != "OK" for _, _, status, _ in self.rows)

    def whole_again_s(self, since: float) -> float:
        """From ``since`` to the last request that failed or fell back; 0 where none did."""
        bad = [at for at, _, status, codes in self.rows if at >= since and (status != "OK" or codes)]
        return max(0.0, max(bad, default=since) - since)


@contextmanager
def load(
    address: str, *, threads: int = 4, timeout_s: float = 5.0, ask: Callable[[Client, int], object] | None = None
) -> Iterator[Outcomes]:
    """Requests from some threads, one after the other in each, each with a client and a connection of its own."""
    outcomes, ended = Outcomes(), threading.Event()
    question = ask or (
        lambda client, number: client.recommend(f"user-{number % 50}", history=[track("t0"), track("t2")])
    )

    def run(first: int) -> None:
        with Client(address, timeout_s=timeout_s) as client:
            number = first
            while not ended.is_set():
                started = time.monotonic()
                try:
                    answer = question(client, number)
                    codes = tuple(Fallback.Code.Name(f.code) for f in getattr(answer, "fallbacks", ()))
                    status = "OK"
                except grpc.RpcError as error:
                    codes, status = (), error.code().name
                outcomes.rows.append((time.time(), 1000 * (time.monotonic() - started), status, codes))
                number += threads

    started = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield outcomes
    finally:
        ended.set()
        for thread in started:
            thread.join()


def wait_for(condition: Callable[[], object], within_s: float, every_s: float = 0.02) -> float:
    """Seconds that it took; fails after ``within_s``."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, f"not within {within_s} s"
        time.sleep(every_s)
    return time.monotonic() - started

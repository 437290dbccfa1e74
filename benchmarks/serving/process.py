"""The processes that are measured, each on a core of its own beside the driver's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, DRIVER_CORE = CORES[0], CORES[-1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
READY_S = 60


@dataclass
class Counts:
    """What the server's metrics say of a while."""

    batch: float = 0.0
    """Requests in a batch, the mean over requests."""
    refused: float = 0.0


@dataclass(frozen=True)
class Served:
    port: int
    metrics_port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    @contextmanager
    def counted(self) -> Iterator[Counts]:
        """What happens within the block."""
        before, counts = self._read(), Counts()
        yield counts
        after = self._read()
        batches, requests, refused = (b - a for a, b in zip(before, after, strict=True))
        counts.batch, counts.refused = requests / max(batches, 1), refused

    def _read(self) -> tuple[float, float, float]:
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10).read().decode()
        values = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]

        def total(prefix: str) -> float:
            return sum(float(value) for name, value in values if name.startswith(prefix))

        return (
            total("segue_batch_size_count"),
            total("segue_batch_size_sum"),
            total("segue_requests_shed_total"),
        )


@contextmanager
def server(bundle: Path, scratch: Path) -> Iterator[Served]:
    """`segue serve` with one worker on a core of its own."""
    with serving(scratch, "--bundle", str(bundle)) as served:
        psutil.Process(served.process.pid).cpu_affinity([SERVER_CORE])
        yield served


@contextmanager
def serving(workspace: Path, *options: str) -> Iterator[Served]:
    """`segue serve` on a free port."""
    workspace.mkdir(parents=True, exist_ok=True)
    address, metrics_port = workspace / "address", free_port()
    address.unlink(missing_ok=True)
    environment = {**os.environ, **ONE_THREAD, "SEGUE_METRICS_PORT": str(metrics_port)}
    command = [sys.executable, "-m", "recsys.cli", "--workspace", str(workspace), "serve", "--port", "0", *options]
    with (workspace / "serve.log").open("wb") as log:
        started = subprocess.Popen(
            [*command, "--address-file", str(address)], env=environment, stdout=log, stderr=log, cwd=workspace
        )
    try:
        deadline = time.monotonic() + READY_S
        while not address.is_file():
            if started.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {(workspace / 'serve.log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield Served(int(address.read_text().rpartition(":")[2]), metrics_port, started)
    finally:
        started.terminate()
        started.wait(30)


@contextmanager
def echo(kind: str, answer: Path) -> Iterator[int]:
    """The bare server; yields its port."""
    port = free_port()
    started = subprocess.Popen([sys.executable, str(HERE / "echo.py"), kind, str(port), str(answer)])
    psutil.Process(started.pid).cpu_affinity([SERVER_CORE])
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=READY_S)
        yield port
    finally:
        started.terminate()
        started.wait(30)


def answer(port: int, body: bytes) -> bytes:
    """One answer of the server, serialised. Raises grpc.RpcError where it is an error."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/segue.v1.RecommendationService/Recommend")
        said: bytes = call(body, timeout=30, wait_for_ready=True)
        return said


def parts(bundle: Path, batch: int) -> dict[str, float]:
    """Seconds a request of each part, timed alone on the server's core."""
    command = ["taskset", "--cpu-list", str(SERVER_CORE), sys.executable, str(HERE / "parts.py"), str(bundle)]
    done = subprocess.run(
        [*command, str(batch)], env={**os.environ, **ONE_THREAD}, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port

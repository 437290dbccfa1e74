"""Load from outside: h2load (Debian's nghttp2-client), which shares no code with what it drives.

h2load sends one body over and over, so several run side by side, each the requests of another listener.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

METHOD = "/segue.v1.RecommendationService/Recommend"


@dataclass(frozen=True)
class Load:
    """What was driven. latencies_ms: of the answered requests, sorted."""

    seconds: float
    requests: int
    failed: int
    latencies_ms: np.ndarray

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    def percentile(self, q: float) -> float:
        """Milliseconds."""
        return float(np.percentile(self.latencies_ms, q))


def drive(
    port: int,
    bodies: Sequence[bytes],
    *,
    seconds: float,
    concurrency: int,
    rate: float | None = None,
    core: int | None = None,
    warm_s: float = 2.0,
) -> Load:
    """Closed loop with ``concurrency`` requests at a time; open loop at ``rate`` requests per second where given."""
    share = max(1, concurrency // len(bodies))
    with tempfile.TemporaryDirectory() as scratch:
        running = []
        for number, body in enumerate(bodies):
            data, log = Path(scratch) / f"{number}.body", Path(scratch) / f"{number}.log"
            data.write_bytes(b"\0" + struct.pack(">I", len(body)) + body)
            command = [
                "h2load", f"--duration={seconds:.0f}s", f"--warm-up-time={warm_s:.0f}s", "--clients=1", "--threads=1",
                f"--max-concurrent-streams={share}", f"--data={data}", f"--log-file={log}",
                "--header=content-type: application/grpc", "--header=te: trailers",
                *([f"--rps={rate / len(bodies)}"] if rate else []), f"http://127.0.0.1:{port}{METHOD}",
            ]  # fmt: skip
            running.append((subprocess.Popen(command, stdout=subprocess.PIPE, text=True), log))
        if core is not None:
            for process, _ in running:
                psutil.Process(process.pid).cpu_affinity([core])
        said = [process.communicate(timeout=seconds + warm_s + 60)[0] for process, _ in running]
        rows = [np.loadtxt(log, dtype=np.int64, ndmin=2) for _, log in running if os.path.getsize(log)]
    table = np.concatenate(rows)
    answered = table[table[:, 1] == 200]
    failed = sum(int(re.search(r"(\d+) failed", text)[1]) for text in said)
    return Load(seconds, len(answered), failed, np.sort(answered[:, 2] / 1000))

"""The benchmark's side of the talk with a runner (peers/session.py)."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from environments import Environments

FOLDER = Path(__file__).parent / "peers"
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36)}
"""Large blocks stay with the process from batch to batch: without it the peers spend half of their time on page faults.
Segue gets it too."""


@dataclass(frozen=True, slots=True)
class Job:
    """See peers/session.py; the shape is one for all."""

    data: str
    loss: str
    rows: int
    negatives: int = 128
    dropout: float = 0.2
    learning_rate: float = 1e-3
    dim: int = 64
    blocks: int = 2
    feed_forward: int = 64
    heads: int = 2
    length: int = 50
    seed: int = 1
    threads: int = 1
    popularity: float = 0.0
    epochs: int = 1_000
    scratch: str = field(default="")


class Runner:
    """A process that trains by one library. Raises SystemExit with the end of what it printed where it fails."""

    def __init__(self, system: str, job: Job, environments: Environments) -> None:
        self.system = system
        self._folder = tempfile.TemporaryDirectory(prefix=f"segue-bench-{system}-")
        self._log = Path(self._folder.name) / "log"
        threads = str(job.threads)
        env = os.environ | MALLOC | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""}
        command = [environments.python(system), "-W", "ignore", FOLDER / f"run_{system}.py"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, text=True
            )
        (Path(self._folder.name) / "scratch").mkdir()
        self._order(asdict(replace(job, scratch=f"{self._folder.name}/scratch")))

    def ready(self) -> None:
        """Wait until the first batch may be asked for."""
        self._answer()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self._order(order)
        return self._answer()

    def _order(self, order: dict[str, Any]) -> None:
        assert self._process.stdin
        # What a process that is no more had to say is found when it is to answer.
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"{self.system} failed:\n{self._log.read_text()[-3_000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> int:
        """End it; returns the bytes by which its memory peaked above what its imports took."""
        told = self.ask({"stop": True})
        self._process.wait()
        return int(told["peak_bytes"] - told["imported_bytes"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

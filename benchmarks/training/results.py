"""What a run of the benchmark leaves: one JSON file, from which the tables and the plot can be made again."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel

from recsys.files import read_model, write_bytes

SEGUE, PRODUCTS = "segue", "products"
PEERS = ("rectools", "replay", "recbole")


class Round(BaseModel):
    """The same number of batches by each system, one after the other."""

    positions_s: dict[str, float]
    """System -> unpadded target positions a second, by the clock."""
    positions_cpu_s: dict[str, float]
    """The same by processor time, which other processes on the machine disturb less."""


class Work(BaseModel):
    """Equal work: one data set, one loss."""

    data: str
    loss: str
    rounds: list[Round] = []
    peak_bytes: dict[str, int] = {}
    """System -> memory at its highest, above what its imports took."""

    def peers(self) -> list[str]:
        return [system for system in PEERS if system in self.rounds[0].positions_s]

    def pace(self, system: str, by: str = "positions_s") -> float:
        """The median over the rounds."""
        return statistics.median(getattr(found, by)[system] for found in self.rounds)

    def ratio(self, system: str = SEGUE, by: str = "positions_s") -> float:
        """To the fastest peer in each round; the median over the rounds."""
        each = [getattr(found, by) for found in self.rounds]
        return statistics.median(of[system] / max(of[peer] for peer in self.peers()) for of in each)

    def share(self, system: str) -> float:
        """A system's pace by that of the matrix products alone; the median over the rounds."""
        return statistics.median(of.positions_s[system] / of.positions_s[PRODUCTS] for of in self.rounds)


class Curve(BaseModel):
    """Validation NDCG@10 of one system at its own best, by seconds of training."""

    data: str
    system: str
    settings: dict[str, Any]
    seconds: list[float] = []
    cpu_s: list[float] = []
    epochs: list[float] = []
    ndcg: list[float] = []
    peak_bytes: int = 0
    ended: str = ""
    """Why: it no longer rose, its schedule was over, its time was up, or all it had to reach was reached."""

    @property
    def best(self) -> int:
        return max(range(len(self.ndcg)), key=self.ndcg.__getitem__)

    def seconds_to(self, figure: float) -> float | None:
        """Seconds of training until that figure was first reached; None where it was not."""
        return next((s for s, ndcg in zip(self.seconds, self.ndcg, strict=True) if ndcg >= figure), None)


class Results(BaseModel):
    """Data sets by name, with what their about.json says; systems by name, with the versions they ran on."""

    machine: dict[str, str]
    commit: str
    quick: bool
    seed: int
    threads: int
    data: dict[str, dict[str, Any]] = {}
    versions: dict[str, dict[str, str]] = {}
    work: list[Work] = []
    curves: list[Curve] = []

    @classmethod
    def start(cls, file: Path, *, quick: bool, seed: int, threads: int) -> Self:
        """Those of ``file`` where they are of the same commit and options, so that a run goes on; else empty ones."""
        new = cls(machine=_machine(), commit=_commit(), quick=quick, seed=seed, threads=threads)
        if file.exists():
            old = read_model(file, cls)
            same = ("commit", "quick", "seed", "threads")
            if all(getattr(old, name) == getattr(new, name) for name in same):
                return old
        return new

    def write(self, file: Path) -> None:
        write_bytes(file, (self.model_dump_json(indent=1) + "\n").encode())

    def curves_of(self, data: str) -> dict[str, Curve]:
        return {curve.system: curve for curve in self.curves if curve.data == data}

    def quality_ratios(self, data: str) -> dict[str, float | None]:
        """Peer -> its seconds to its best figure by Segue's seconds to the same one; None where Segue missed it."""
        curves = self.curves_of(data)
        ratios: dict[str, float | None] = {}
        for peer in (peer for peer in PEERS if peer in curves):
            curve = curves[peer]
            ours = curves[SEGUE].seconds_to(curve.ndcg[curve.best])
            ratios[peer] = curve.seconds[curve.best] / ours if ours else None
        return ratios


def _machine() -> dict[str, str]:
    names = [line.partition(":")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {
        "processor": names[0].strip() if names else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown"

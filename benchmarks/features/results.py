"""What a run of the benchmark leaves: one JSON file, from which every table can be made again."""

from __future__ import annotations

import argparse
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from pydantic import BaseModel
from usage import Usage

from recsys.errors import InputError
from recsys.files import read_model

SHOWN = ("pyspark", "polars", "pyarrow", "numpy")


class Step(Usage, frozen=True):
    """A command, or a step of one, and what it took."""

    command: str
    step: str = ""
    """Empty: the command as a whole."""

    @property
    def name(self) -> str:
        return f"{self.command}: {self.step}" if self.step else self.command

    @property
    def cpu_s(self) -> float:
        return self.python_s + self.spark_s

    @property
    def peak_bytes(self) -> int:
        return self.python_bytes + self.spark_bytes


class Size(BaseModel):
    """A table on disk."""

    table: str
    rows: int
    bytes: int


class Run(BaseModel):
    """All commands at one size of the world."""

    events: int
    """Rows of the log: plays, skips and likes."""
    listeners: int
    tracks: int
    steps: list[Step]
    sizes: list[Size]

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


class Executors(BaseModel):
    """The feature jobs on two masters."""

    events: int
    masters: list[str]
    wall_s: list[float]
    sums: dict[str, list[str]]
    """Training table -> sha256 of its file under each master."""

    @property
    def same(self) -> bool:
        return all(len(set(sums)) == 1 for sums in self.sums.values())


class Machine(BaseModel):
    """Where and with what it was measured."""

    processor: str
    cores: int
    memory_bytes: int
    versions: dict[str, str]
    commit: str
    measured_at: str

    @classmethod
    def here(cls) -> Machine:
        cpu = [
            line.partition(":")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
        ]
        git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
        return cls(
            processor=cpu[0].strip() if cpu else platform.processor(),
            cores=len(psutil.Process().cpu_affinity()),
            memory_bytes=psutil.virtual_memory().total,
            versions={"python": platform.python_version(), **{name: version(name) for name in SHOWN}},
            commit=subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown",
            measured_at=datetime.now(UTC).isoformat(timespec="minutes"),
        )


class Results(BaseModel):
    """start: at a size at which only the fixed costs are left. runs: by events, the fewest first."""

    machine: Machine
    start: Run
    runs: list[Run] = []
    inside: dict[str, dict[str, float]] = {}
    """Kind of file -> function -> seconds, of the import of the smallest log under a profiler."""
    executors: Executors | None = None
    catalogue: list[Step] = []
    """A world of 100,000 playlists and a million tracks with vectors, where it was asked for."""

    @property
    def names(self) -> list[str]:
        """All steps, in their order."""
        return [step.name for step in self.runs[-1].steps]


def results_file(path: str) -> Results:
    """The type of an argument that names the JSON file of a run."""
    try:
        found = read_model(Path(path), Results)
    except (InputError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{error}; make it: python benchmarks/features --out {path}") from error
    if len(found.runs) < 2:
        raise argparse.ArgumentTypeError(f"{path}: one size has no slope; measure two or more")
    return found

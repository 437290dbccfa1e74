"""What a run leaves: one JSON file, from which the table, the page and the plot are made."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel

from recsys.files import write_bytes


class Round(BaseModel):
    """Milliseconds of one core a query."""

    segue: float
    faiss: float


class Case(BaseModel):
    """One set of vectors under one filter."""

    data: str
    share: float
    """Of the items that are allowed."""
    kind: str
    """random, or cluster: the allowed ones lie together, as those of a tag do."""
    recall_10: float
    recall_100: float
    faiss_way: str
    """The fastest of faiss alone that reaches the same recall@100."""
    rounds: dict[int, list[Round]] = {}
    """Queries at once -> measured in turn."""

    def segue(self, batch: int) -> float:
        return statistics.median(each.segue for each in self.rounds[batch])

    def faiss(self, batch: int) -> float:
        return statistics.median(each.faiss for each in self.rounds[batch])

    def ratio(self, batch: int) -> float:
        """Segue's time by that of faiss alone: median of the rounds."""
        return statistics.median(each.segue / each.faiss for each in self.rounds[batch])


class Memory(BaseModel):
    """Of a process that has an index open and has searched it, while a second one does the same."""

    data: str
    file: int
    """Bytes on disk."""
    shared: int
    """Bytes that both processes look at together."""
    own: int
    """Bytes that each has for itself, above what its imports take."""
    items: int


class Results(BaseModel):
    machine: dict[str, str]
    commit: str
    titles: dict[str, str]
    items: dict[str, int] = {}
    build_s: dict[str, float] = {}
    """Seconds that the building of a graph took, where this run built it."""
    cases: list[Case] = []
    memory: list[Memory] = []

    @classmethod
    def start(cls, titles: dict[str, str]) -> Self:
        git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown"
        names = [
            line.partition(":")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
        ]
        machine = {
            "processor": names[0].strip() if names else platform.processor(),
            "cores": str(len(os.sched_getaffinity(0))),
            "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        }
        return cls(machine=machine, commit=commit, titles=titles)

    def write(self, file: Path) -> None:
        write_bytes(file, (self.model_dump_json(indent=1) + "\n").encode())

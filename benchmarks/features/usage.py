"""A command as a process of its own, measured from outside: seconds, processor time, memory and disk of its whole tree.

Processor time is what each process of the tree had used when it was last seen (user and system), for a JVM that ends by
itself is waited for by nobody; so up to one interval of each process is missed. Memory is the resident set, summed over
the tree: pages that two processes share count twice.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from pydantic import BaseModel

INTERVAL = 0.2
"""Seconds between two looks at the tree."""
DISK_INTERVAL = 1.0
"""Seconds between two looks at the folders."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The tree at one moment; seconds of processor time since the start, bytes of resident memory and of disk."""

    time: float
    python_s: float
    spark_s: float
    """Of the JVMs, where Spark's own work is done."""
    python_bytes: int
    spark_bytes: int
    disk_bytes: int


class Usage(BaseModel, frozen=True):
    """What a stretch of time took."""

    wall_s: float
    python_s: float
    spark_s: float
    python_bytes: int
    """Peak of the tree without the JVMs."""
    spark_bytes: int
    """Peak of the JVMs."""
    disk_bytes: int
    """Peak of the folders."""


@dataclass(frozen=True)
class Measured:
    """A command that has ended well."""

    began: float
    ended: float
    samples: list[Sample]

    def between(self, began: float, ended: float) -> Usage:
        """The part of the command from ``began`` to ``ended`` (seconds since 1970)."""
        times = [s.time for s in self.samples]
        within = [s for s in self.samples if began <= s.time <= ended] or [
            min(self.samples, key=lambda s: abs(s.time - ended))
        ]

        def used(seconds: list[float]) -> float:
            return float(np.interp(ended, times, seconds) - np.interp(began, times, seconds))

        return Usage(
            wall_s=ended - began,
            python_s=used([s.python_s for s in self.samples]),
            spark_s=used([s.spark_s for s in self.samples]),
            python_bytes=max(s.python_bytes for s in within),
            spark_bytes=max(s.spark_bytes for s in within),
            disk_bytes=max(s.disk_bytes for s in within),
        )

    @property
    def whole(self) -> Usage:
        return self.between(self.began, self.ended)


def measure(command: Sequence[str], env: dict[str, str], log: Path, folders: Sequence[Path] = ()) -> Measured:
    """Run ``command`` to its end, what it says in ``log``; ``folders`` are those whose size is watched.

    Raises RuntimeError with the end of the log where it fails.
    """
    with log.open("wb") as file:
        began = time.time()
        process = subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.STDOUT)
        watch = _Watch(psutil.Process(process.pid), folders, began)
        while process.poll() is None:
            watch.look()
            time.sleep(INTERVAL)
        ended = time.time()
    if process.returncode:
        said = log.read_text(errors="replace")[-2_000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return Measured(began, ended, [*watch.samples, watch.last(ended)])


class _Watch:
    def __init__(self, root: psutil.Process, folders: Sequence[Path], began: float) -> None:
        self.root = root
        self.folders = folders
        self.disk = _size(folders)
        self.disk_seen = began
        self.used: dict[tuple[int, float], tuple[bool, float]] = {}
        self.samples = [Sample(began, 0.0, 0.0, 0, 0, self.disk)]

    def look(self) -> None:
        resident = {False: 0, True: 0}
        try:
            tree = [self.root, *self.root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in tree:
            try:
                with process.oneshot():
                    cpu, memory = process.cpu_times(), process.memory_info().rss
                    spark, key = process.name() == "java", (process.pid, process.create_time())
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            if key in self.used:  # At first sight it may be a fork that still shows the memory of its parent.
                resident[spark] += memory
            self.used[key] = spark, cpu.user + cpu.system
        now = time.time()
        if now - self.disk_seen > DISK_INTERVAL:
            self.disk, self.disk_seen = _size(self.folders), now
        self.samples.append(self._sample(now, resident[False], resident[True]))

    def last(self, ended: float) -> Sample:
        self.disk = _size(self.folders)
        return self._sample(ended, 0, 0)

    def _sample(self, now: float, python_bytes: int, spark_bytes: int) -> Sample:
        seconds = {kind: sum(s for spark, s in self.used.values() if spark is kind) for kind in (False, True)}
        return Sample(now, seconds[False], seconds[True], python_bytes, spark_bytes, self.disk)


def _size(folders: Sequence[Path]) -> int:
    """Bytes of all files; Spark's own come and go while they are counted, and folders with them."""
    total = 0
    for file in (Path(at, name) for folder in folders for at, _, names in os.walk(folder) for name in names):
        with suppress(FileNotFoundError):
            total += file.lstat().st_size
    return total

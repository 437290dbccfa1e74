"""A runner's side of the talk with the benchmark. Runs in each peer's environment: the standard library and numpy only.

The benchmark writes one JSON object a line to a runner's stdin and reads one a line from its stdout; whatever the
libraries print goes to stderr. The first line in is the `Job`. Then, for each order `{"steps": n}`, the runner trains n
batches and answers with what they took; for `{"seconds": s}` it trains so long and answers with what that took and with
a file of ranked items, which is not counted. `{"stop": true}` ends it, and it tells its memory.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TOP = 10
"""Ranked items a validation query."""
QUERIES = 256
"""Scored at once."""


@dataclass(frozen=True)
class Job:
    """What a runner is asked to train: the same words for all of them."""

    data: str
    """Folder of arrays, see `Arrays`."""
    loss: str
    """full_softmax or sampled_softmax."""
    negatives: int
    rows: int
    """Sequences a batch."""
    dropout: float
    learning_rate: float
    dim: int
    blocks: int
    feed_forward: int
    """Width between the two layers of a block's feed-forward part."""
    heads: int
    length: int
    """Inputs a sequence."""
    seed: int
    threads: int
    popularity: float
    """Power by which negatives are drawn, where the library can and corrects for it; 0 is uniform."""
    scratch: str
    """An empty folder."""
    epochs: int
    """Of the schedule, where the learning rate has one."""


class Arrays:
    """The data of a job. Items are 0 .. n_items - 1; all of them occur in the training sequences."""

    def __init__(self, folder: str) -> None:
        at = Path(folder)
        self.n_items = int(json.loads((at / "about.json").read_text())["items"])
        self.values, self.offsets = np.load(at / "train-values.npy"), np.load(at / "train-offsets.npy")
        self.histories = np.load(at / "valid-histories.npy")
        """int32 (queries, length), the last items to the right, -1 before them."""

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    @property
    def rows(self) -> np.ndarray:
        """The sequence of each value."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)

    @property
    def places(self) -> np.ndarray:
        """The place of each value in its sequence."""
        return np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)


Score = Callable[[np.ndarray], np.ndarray]
"""Histories (queries, length), -1 where none -> scores (queries, n_items); the network learns on afterwards."""


class Session:
    """Reads the job, obeys orders, counts and measures. Make it after the library is imported: memory counts from
    there."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self.imported = status("VmRSS")
        self.job = Job(**json.loads(sys.stdin.readline()))
        self.data = Arrays(self.job.data)
        self._rankings = 0

    def begin(self, score: Score) -> None:
        """All is made and the first batch may be asked for."""
        self._score = score
        self._tell({"ready": True})
        self._obey()

    def batch_done(self, positions: int) -> None:
        """A batch of so many target positions, padding not counted, has been learned from."""
        self._positions += positions
        self._steps += 1
        if self._steps == self._order.get("steps"):
            self._tell(self._taken())
            self._obey()
        elif self._order.get("seconds", math.inf) <= time.perf_counter() - self._start:
            self._tell(self._taken() | {"ranked": self._ranked(), "finished": False})
            self._obey()

    def finish(self) -> None:
        """The schedule is at its end."""
        self._tell(self._taken() | {"ranked": self._ranked(), "finished": True})
        self._obey()

    def _ranked(self) -> str:
        """A file int (queries, TOP) of the best items, the best first."""
        self._rankings += 1
        file = Path(self.job.scratch) / f"ranked-{self._rankings}.npy"
        histories = self.data.histories
        parts = [histories[start : start + QUERIES] for start in range(0, len(histories), QUERIES)]
        np.save(file, np.concatenate([_best(self._score(part)) for part in parts]))
        return str(file)

    def _taken(self) -> dict[str, Any]:
        seconds, cpu = time.perf_counter() - self._start, time.process_time() - self._cpu
        return {"seconds": seconds, "cpu_s": cpu, "positions": self._positions, "steps": self._steps}

    def _obey(self) -> None:
        self._order = json.loads(sys.stdin.readline() or '{"stop": true}')
        if "stop" in self._order:
            self._tell({"imported_bytes": self.imported, "peak_bytes": status("VmHWM")})
            # A trainer in mid-epoch has no other way to end at once.
            os._exit(0)
        self._positions = self._steps = 0
        self._start, self._cpu = time.perf_counter(), time.process_time()

    def _tell(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")


def status(name: str) -> int:
    """Bytes that the kernel's account of this process gives under that name."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def padded(ids: np.ndarray, pad: int, shift: int = 0) -> np.ndarray:
    """Ids int64 of a library that counts them from ``shift`` and pads with ``pad``, for histories with -1 for none."""
    return np.where(ids < 0, pad, ids + shift).astype(np.int64)


def _best(scores: np.ndarray) -> np.ndarray:
    top = np.argpartition(-scores, TOP, axis=1)[:, :TOP]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    return np.take_along_axis(top, order, 1)

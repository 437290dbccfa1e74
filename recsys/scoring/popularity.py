"""Popularity: the same ranking for every history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.ragged import Float32, Int32, Int64, Ragged
from recsys.scoring.arrays import read_array
from recsys.scoring.base import Evidence


@dataclass(frozen=True)
class Popularity:
    """weights: float32 (n_items,), the score of each item; counts: int64 (n_items,), its plays in training."""

    kind: ClassVar[str] = "popularity"
    weights: Float32
    counts: Int64

    @property
    def n_items(self) -> int:
        return len(self.weights)

    def scores(self, histories: Ragged) -> Float32:
        return np.tile(self.weights, (len(histories), 1))

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """The plays of each item; no history speaks for it."""
        return Evidence(np.full(len(items), -1, np.int32), self.counts[items])

    def save(self, folder: Path) -> None:
        np.save(folder / "weights.npy", self.weights, allow_pickle=False)
        np.save(folder / "counts.npy", self.counts, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(read_array(folder / "weights.npy"), read_array(folder / "counts.npy"))

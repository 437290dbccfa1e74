"""Every item with the same probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.ragged import Float64, Int64
from recsys.sampling.base import generator


@dataclass(frozen=True)
class Uniform:
    """q_j = 1 / n_items.

    >>> Uniform(n_items=4, seed=0).expected_counts(np.array([0, 3]), k=2).tolist()
    [0.5, 0.5]
    """

    n_items: int
    seed: int

    def draw(self, k: int, position: int) -> Int64:
        return generator(self.seed, position).integers(0, self.n_items, size=k)

    def expected_counts(self, ids: Int64, k: int) -> Float64:
        return np.full(len(ids), k / self.n_items)

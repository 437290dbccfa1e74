"""Popular items more often."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from recsys.ragged import Float64, Int64
from recsys.sampling.base import generator


class Popularity:
    """q_j proportional to (count_j + 1) ** power, so that an item that was never played can still be drawn.

    >>> Popularity(np.array([3, 0, 0, 0]), power=1.0, seed=0).probabilities.round(3).tolist()
    [0.571, 0.143, 0.143, 0.143]
    """

    def __init__(self, counts: Int64, *, power: float, seed: int) -> None:
        self.n_items = len(counts)
        self.seed = seed
        weights = (counts.astype(np.float64) + 1) ** power
        self.probabilities: Float64 = weights / weights.sum()

    @cached_property
    def _cumulative(self) -> Float64:
        total: Float64 = np.cumsum(self.probabilities)
        total /= total[-1]
        return total

    def draw(self, k: int, position: int) -> Int64:
        points = generator(self.seed, position).random(k)
        return np.searchsorted(self._cumulative, points, side="right").astype(np.int64)

    def expected_counts(self, ids: Int64, k: int) -> Float64:
        return k * self.probabilities[ids]

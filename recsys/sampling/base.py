"""The negative sampler's contract."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from recsys.ragged import Float64, Int64


class Sampler(Protocol):
    """Draws items with replacement from a known distribution."""

    @property
    def n_items(self) -> int: ...

    def draw(self, k: int, position: int) -> Int64:
        """(k,) ids. The same seed and position give the same draw, in any process and order."""
        ...

    def expected_counts(self, ids: Int64, k: int) -> Float64:
        """(len(ids),): how often each id is expected among k draws, k q_j."""
        ...


def generator(seed: int, position: int) -> np.random.Generator:
    """A counter-based stream: nothing has to be drawn to reach a position."""
    return np.random.Generator(np.random.Philox(key=[seed, position]))

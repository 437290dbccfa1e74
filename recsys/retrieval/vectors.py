"""The vectors of a catalogue that goes on after training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.ragged import Bool, Float32, Int32

Rows = tuple[Int32, Float32]
"""Items (m,), rising, and their vectors (m, dim)."""


@dataclass(frozen=True)
class Later:
    """What has changed since vectors were learned, in a catalogue that has grown to ``n_items``.

    items: int32 (m,), rising: new ones, and those whose vector has another in its place; vectors: float32 (m, dim).
    """

    n_items: int
    items: Int32
    vectors: Float32

    @classmethod
    def of(cls, vectors: Float32, n_items: int, rows: Rows | None) -> Self:
        """Beside ``vectors``; None: only the catalogue has grown."""
        items, later = rows or (np.zeros(0, np.int32), np.zeros((0, vectors.shape[1]), np.float32))
        return cls(n_items, items, later)


@dataclass(frozen=True)
class ItemVectors:
    """base: float32 (n, dim), perhaps memory-mapped; and what came later.

    >>> base, later = np.eye(2, dtype=np.float32), Later(4, np.array([1, 3]), np.array([[5, 5], [7, 7]], np.float32))
    >>> vectors = ItemVectors(base, later)
    >>> vectors[np.array([3, 0, 1])].tolist(), vectors.known(np.array([2, 3, 0])).tolist()
    ([[7.0, 7.0], [1.0, 0.0], [5.0, 5.0]], [False, True, True])
    """

    base: Float32
    later: Later

    def __getitem__(self, items: Int32) -> Float32:
        """(len(items), dim), zeros for an item that has none."""
        if self.later.n_items == len(self.base) and not len(self.later.items):
            return self.base[items]
        place = self._place(items)
        held = (items >= 0) & (items < len(self.base))
        found = self.base[np.where(held, items, 0)] * held[:, None]
        found[place >= 0] = self.later.vectors[place[place >= 0]]
        return found

    @property
    def dim(self) -> int:
        return int(self.base.shape[1])

    def known(self, items: Int32) -> Bool:
        """(len(items),), true where the item has a vector; -1 is no item."""
        known: Bool = (items >= 0) & (items < len(self.base))
        return known | (self._place(items) >= 0)

    def _place(self, items: Int32) -> Int32:
        """Of each item among those that came later; -1: it is none of them."""
        if not len(self.later.items):
            return np.full(len(items), -1, np.int32)
        place = np.minimum(np.searchsorted(self.later.items, items), len(self.later.items) - 1)
        return np.where(self.later.items[place] == items, place, -1).astype(np.int32)

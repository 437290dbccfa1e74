"""An index that never changes, and what came since beside it: no index is built anew when a track comes or goes."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from recsys.ragged import Float32, Int32, Ragged
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import FlatIndex, Index
from recsys.retrieval.vectors import Later

REMEMBERED = 64
"""Sets of allowed items that are kept cut in two; requests share them."""


class LiveIndex:
    """``base``, in which the vectors of ``later`` take the place of those of the same items, or stand after them.

    Later vectors are searched exactly: some ten thousands cost less than a search of the base. An item that is in
    neither is never found. What was removed is for the caller not to allow.
    """

    def __init__(self, base: Index, later: Later) -> None:
        self.n_items = later.n_items
        self.dim = base.dim
        self._base = base
        self._items = later.items
        self._later = FlatIndex(later.vectors)
        # Not a method: a cycle through the cache would keep an index that was replaced from being freed at once.
        self._parts = lru_cache(REMEMBERED)(partial(_cut, later, base.n_items))

    def search(
        self, queries: Float32, k: int, allowed: Allowed | None = None, denied: Ragged | None = None
    ) -> tuple[Int32, Float32]:
        of_base, of_later = self._parts(allowed)
        own = None if denied is None else denied.where(denied.values < self._base.n_items)
        items, scores = self._base.search(queries, k, of_base, own)
        if not of_later.count:
            return items, scores
        places, more = self._later.search(queries, k, of_later, None if denied is None else self._placed(denied))
        found = np.where(places >= 0, self._items[places], np.int32(-1))
        both, values = np.concatenate([items, found], axis=1), np.concatenate([scores, more], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(both, order, axis=1), np.take_along_axis(values, order, axis=1)

    def _placed(self, denied: Ragged) -> Ragged:
        """The items of each row that are later ones, by their places among these."""
        places = np.minimum(np.searchsorted(self._items, denied.values), len(self._items) - 1).astype(np.int32)
        later = self._items[places] == denied.values
        return Ragged(places, denied.offsets).where(later)


def _cut(later: Later, n_base: int, allowed: Allowed | None) -> tuple[Allowed, Allowed]:
    """What is allowed of the base's vectors, and of the later ones."""
    every = allowed or Allowed.all(later.n_items)
    replaced = later.items[later.items < n_base]
    return every.first(n_base).without(replaced), Allowed.of(every.holds(later.items))

"""Vector search by inner product, under predicates."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from recsys.ragged import Float32, Int32, Ragged
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.denied import search_without
from recsys.retrieval.exact import nearest
from recsys.scoring.base import top_k


class Index(Protocol):
    """Finds, for each query, the vectors with the highest inner product."""

    @property
    def n_items(self) -> int: ...

    @property
    def dim(self) -> int: ...

    def search(
        self, queries: Float32, k: int, allowed: Allowed | None = None, denied: Ragged | None = None
    ) -> tuple[Int32, Float32]:
        """Items int32 and scores float32, both (batch, k), best first; -1 and -inf where fewer than k are allowed.

        queries: float32 (batch, dim); allowed: for the whole batch, all where None; denied: one row a query, items
        that it does not want besides, in any order, perhaps twice.
        """
        ...


def unit(vectors: Float32) -> Float32:
    """Rows of length 1, so that inner products are cosines; a zero row stays zero."""
    length: Float32 = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    length[length == 0] = 1
    scaled: Float32 = vectors / length
    return scaled


class FlatIndex:
    """Exact search: every allowed vector is looked at. The choice for up to some 100,000 tracks."""

    def __init__(self, vectors: Float32) -> None:
        """vectors: (n_items, dim), perhaps memory-mapped; kept as they are."""
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.n_items, self.dim = vectors.shape

    def search(
        self, queries: Float32, k: int, allowed: Allowed | None = None, denied: Ragged | None = None
    ) -> tuple[Int32, Float32]:
        return search_without(self._search, self.n_items, queries, k, allowed, denied)

    def _search(self, queries: Float32, k: int, allowed: Allowed | None) -> tuple[Int32, Float32]:
        return nearest(self.vectors, np.ascontiguousarray(queries, dtype=np.float32), k, allowed)


class PlainIndex:
    """The same in a few lines of numpy: the reference that every index is compared with."""

    def __init__(self, vectors: Float32) -> None:
        self.vectors = vectors
        self.n_items, self.dim = vectors.shape

    def search(
        self, queries: Float32, k: int, allowed: Allowed | None = None, denied: Ragged | None = None
    ) -> tuple[Int32, Float32]:
        scores = queries @ self.vectors.T
        if allowed is not None:
            scores[:, ~allowed.mask] = -np.inf
        if denied is not None:
            scores[denied.rows, denied.values] = -np.inf
        missing = max(0, k - self.n_items)
        items, best = top_k(np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf), k)
        return np.where(np.isneginf(best), np.int32(-1), items), best

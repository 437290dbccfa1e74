"""Vector search by inner product, under predicates."""

from __future__ import annotations

from typing import Protocol

import faiss
import numpy as np

from recsys.ragged import Float32, Int32, Ragged
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.denied import search_without
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
    length: Float32 = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Float32 = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return scaled


class FlatIndex:
    """Exact search by faiss: every allowed vector is looked at. The choice for up to some 100,000 tracks."""

    def __init__(self, vectors: Float32) -> None:
        self.n_items, self.dim = vectors.shape
        self._index = faiss.IndexFlatIP(self.dim)
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(
        self, queries: Float32, k: int, allowed: Allowed | None = None, denied: Ragged | None = None
    ) -> tuple[Int32, Float32]:
        return search_without(self._search, self.n_items, queries, k, allowed, denied)

    def _search(self, queries: Float32, k: int, allowed: Allowed | None) -> tuple[Int32, Float32]:
        params = None
        if allowed is not None:
            # faiss adds the numpy overload and the keywords at import, where its stubs do not see them.
            selector = faiss.IDSelectorBitmap(allowed.bits)  # type: ignore[call-arg, arg-type]
            params = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        scores, items = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), k, params=params)
        scores[items < 0] = -np.inf
        return items.astype(np.int32), scores


class PlainIndex:
    """The same in a few lines of numpy: the reference that every index is compared with."""

    def __init__(self, vectors: Float32) -> None:
        self.n_items, self.dim = vectors.shape
        self._vectors = vectors

    def search(
        self, queries: Float32, k: int, allowed: Allowed | None = None, denied: Ragged | None = None
    ) -> tuple[Int32, Float32]:
        scores = queries @ self._vectors.T
        if allowed is not None:
            scores[:, ~allowed.mask] = -np.inf
        if denied is not None:
            scores[denied.rows, denied.values] = -np.inf
        missing = max(0, k - self.n_items)
        items, best = top_k(np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf), k)
        return np.where(np.isneginf(best), np.int32(-1), items), best

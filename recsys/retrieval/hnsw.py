"""Approximate search in a graph of neighbours (HNSW), with exact search where a filter would make it miss.

A graph is walked without the filter, and what it finds is filtered: if the m nearest items hold k that are allowed,
those are the k nearest allowed, however the filter and the vectors hang together. Where they hold fewer, the query is
answered exactly. faiss can filter while it walks (IDSelector), which returns k allowed items always, but not the
nearest: with a filter that follows the vectors, as tags do, and queries from elsewhere, recall fell to .13 (100,000
vectors of ALS, half of them allowed, efSearch 128), and nothing in the answer shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import faiss
import numpy as np

from recsys.errors import InputError
from recsys.ragged import Float32, Int32, Ragged
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.denied import MAX_OVERFETCH, cut, listed, search_without
from recsys.retrieval.exact import nearest
from recsys.retrieval.index import unit
from recsys.retrieval.planner import Plan, cheapest

FILE = "hnsw.faiss"
LINKS = 32
"""Of a node in each layer above the lowest, which has twice as many (M of Malkov and Yashunin 2016)."""
BUILD_EF = 200
CHUNK = 10_000
"""Vectors that are added between two reports of progress."""


class HnswIndex:
    """Vectors and their graph, made by `build` or `load`."""

    def __init__(self, graph: faiss.IndexHNSWFlat, vectors: Float32, plan: Plan = cheapest) -> None:
        """vectors: those that ``graph`` has, for exact search. In a file of faiss they lie at odd addresses, where BLAS
        would copy them first (a million: 60 ms for 11)."""
        self.n_items, self.dim = vectors.shape
        self._graph = graph
        self.vectors = vectors
        self._plan = plan

    @classmethod
    def build(cls, vectors: Float32, told: Callable[[int], object] = lambda done: None, plan: Plan = cheapest) -> Self:
        """vectors: (n_items, dim), of any length; told: called with the number of vectors that are in.

        Links are chosen by the cosine, paths by the inner product: a graph by inner products is one of few long
        vectors, to which all others lead (recall@100 .66 against .94 at 100,000 vectors of ALS, efSearch 128).
        """
        graph = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = BUILD_EF
        for start in range(0, len(vectors), CHUNK):
            graph.add(np.ascontiguousarray(unit(vectors[start : start + CHUNK]), dtype=np.float32))
            told(graph.ntotal)
        storage = faiss.downcast_index(graph.storage)
        stored = faiss.rev_swig_ptr(storage.get_xb(), vectors.size)  # type: ignore[attr-defined]
        stored.reshape(vectors.shape)[:] = vectors
        return cls(graph, np.ascontiguousarray(vectors, dtype=np.float32), plan)

    def save(self, folder: Path) -> None:
        """Into an existing folder."""
        faiss.write_index(self._graph, str(folder / FILE))

    @classmethod
    def load(cls, folder: Path, vectors: Float32, plan: Plan = cheapest) -> Self:
        """Memory-mapped: processes share it. vectors: those that it was built of, perhaps mapped, too.

        Raises InputError for a file that is none of `save`, or of other vectors.
        """
        path = folder / FILE
        try:
            graph = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise InputError(f"{path}: not an index of faiss: {str(error).splitlines()[0]}") from error
        if not isinstance(graph, faiss.IndexHNSWFlat):
            raise InputError(f"{path}: holds a {type(graph).__name__}, not an IndexHNSWFlat")
        if (graph.ntotal, graph.d) != vectors.shape:
            raise InputError(f"{path}: was built of {graph.ntotal} vectors of {graph.d} numbers, not {vectors.shape}")
        return cls(graph, vectors, plan)

    def search(
        self, queries: Float32, k: int, allowed: Allowed | None = None, denied: Ragged | None = None
    ) -> tuple[Int32, Float32]:
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if allowed is not None and allowed.count == self.n_items:
            allowed = None
        longest = 0 if denied is None else int(denied.lengths.max(initial=0))
        count = self.n_items if allowed is None else allowed.count
        walk = self._plan(self.n_items, count, k + min(longest, MAX_OVERFETCH), len(queries))
        if walk is None:
            return search_without(self._exact, self.n_items, queries, k, allowed, denied)
        params = faiss.SearchParametersHNSW(efSearch=walk.ef)  # type: ignore[attr-defined]
        values, found = self._graph.search(queries, walk.nearest, params=params)
        keep = values > -np.inf
        if allowed is not None:
            keep &= allowed.holds(found)
        if denied is not None:
            keep &= ~listed(found, denied)
        if keep.all():
            return found[:, :k].astype(np.int32), values[:, :k]
        items, scores = cut(found.astype(np.int32), values, keep, k)
        missed = np.flatnonzero(np.count_nonzero(keep, axis=1) < k)
        if len(missed):
            own = None if denied is None else denied.take(missed)
            items[missed], scores[missed] = search_without(self._exact, self.n_items, queries[missed], k, allowed, own)
        return items, scores

    def _exact(self, queries: Float32, k: int, allowed: Allowed | None) -> tuple[Int32, Float32]:
        return nearest(self.vectors, queries, k, allowed)

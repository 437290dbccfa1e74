"""Recall and time of Segue's index and of faiss alone, in turn, on the same vectors under the same filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from time import process_time

import faiss
import numpy as np
from results import Case, Round
from vectors import Vectors

from recsys.ragged import Float32, Int32
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.exact import nearest
from recsys.retrieval.index import Index

SHARES = (1.0, 0.5, 0.1, 0.01, 0.001)
BATCHES = (1, 32)
K = 100
ASKED = 512
"""Queries that recall is taken over."""
WIDTHS = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
"""efSearch of faiss alone; the first that reaches Segue's recall counts."""
SAME = 0.002
"""Of recall, that counts as the same."""
SEED = 3

Search = Callable[[Float32], Int32]
"""Queries (batch, dim) -> items (batch, K)."""


def filters(vectors: Vectors) -> Iterator[tuple[float, str, Allowed]]:
    """Share, kind and the allowed items: all; then for each share random ones, and whole neighbouring clusters."""
    rng = np.random.default_rng(SEED)
    n = len(vectors.items)
    yield 1.0, "all", Allowed.all(n)
    for share in SHARES[1:]:
        count = round(share * n)
        yield share, "random", Allowed.only(rng.permutation(n)[:count], n)
        rank = np.empty(len(vectors.neighbours))
        rank[vectors.neighbours[rng.integers(len(rank))]] = np.arange(len(rank))
        # The last cluster is cut where the share is reached.
        together = np.lexsort((rng.random(n), rank[vectors.regions]))
        yield share, "cluster", Allowed.only(together[:count], n)


def measured(
    name: str, vectors: Vectors, index: Index, graph: faiss.IndexHNSWFlat | None, rounds: int, seconds: float
) -> Iterator[Case]:
    """graph: faiss's own view of the graph that ``index`` has, if it has one."""
    queries = vectors.queries[:ASKED]
    flat = faiss.IndexFlatIP(index.dim)
    flat.add(vectors.items)
    for share, kind, allowed in filters(vectors):
        wanted = nearest(vectors.items, queries, K, allowed)[0]
        found = _all(lambda some, allowed=allowed: index.search(some, K, allowed)[0], queries)
        few = _all(lambda some, allowed=allowed: index.search(some, 10, allowed)[0], queries)
        case = Case(
            data=name, share=share, kind=kind, recall_10=recall(few, wanted[:, :10]), recall_100=recall(found, wanted),
            faiss_way="",
        )  # fmt: skip
        case.faiss_way, alone = _faiss_alone(flat, graph, None if kind == "all" else allowed, queries, wanted, case)
        for batch in BATCHES:
            case.rounds[batch] = [
                Round(
                    segue=cost(
                        lambda some, allowed=allowed: index.search(some, K, allowed)[0], queries, batch, seconds
                    ),
                    faiss=cost(alone, queries, batch, seconds),
                )
                for _ in range(rounds)
            ]
        yield case


def recall(found: Int32, wanted: Int32) -> float:
    """The share of the wanted items that were found; -1 is none."""
    hits = [np.isin(w[w >= 0], f).sum() for f, w in zip(found, wanted, strict=True)]
    return float(np.sum(hits) / (wanted >= 0).sum())


def cost(search: Search, queries: Float32, batch: int, seconds: float) -> float:
    """Milliseconds of processor time a query, over so many seconds and five calls at least."""
    starts = range(0, len(queries) - batch + 1, batch)
    search(queries[:batch])
    begun, done = process_time(), 0
    for start in cycle(starts):
        search(queries[start : start + batch])
        done += 1
        if done >= 5 and process_time() - begun > seconds:
            break
    return 1000 * (process_time() - begun) / (done * batch)


def _faiss_alone(
    flat: faiss.IndexFlatIP, graph: faiss.IndexHNSWFlat | None, allowed: Allowed | None, queries: Float32,
    wanted: Int32, case: Case,
) -> tuple[str, Search]:  # fmt: skip
    """The faster of the exact index and the narrowest walk that reaches the same recall, both under faiss's filter."""
    chosen = {"sel": faiss.IDSelectorBitmap(allowed.bits)} if allowed else {}
    exact = faiss.SearchParameters(**chosen) if allowed else None
    ways: dict[str, Search] = {"flat": lambda some: flat.search(some, K, params=exact)[1]}
    for width in WIDTHS if graph is not None else ():
        walk = faiss.SearchParametersHNSW(efSearch=width, **chosen)
        if recall(graph.search(queries, K, params=walk)[1], wanted) >= case.recall_100 - SAME:
            ways[f"HNSW, ef {width}"] = lambda some, walk=walk: graph.search(some, K, params=walk)[1]
            break
    some = queries[:64]
    best = min(ways, key=lambda way: cost(ways[way], some, 1, 0.05))
    return best, ways[best]


def _all(search: Search, queries: Float32) -> Int32:
    """In batches, as a server would ask."""
    return np.concatenate([search(queries[i : i + BATCHES[-1]]) for i in range(0, len(queries), BATCHES[-1])])

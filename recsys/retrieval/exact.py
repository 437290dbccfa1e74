"""Exact search: every vector that is allowed is looked at.

By BLAS in blocks, since faiss leaves its fast path under a filter (IDSelector) and then takes one vector at a time:
100,000 vectors of 64 numbers, half allowed, 32 queries at once took .23 ms each here and 1.1 to 2.1 by faiss.
"""

from __future__ import annotations

import faiss
import numpy as np

from recsys.ragged import Float32, Int32, Int64
from recsys.retrieval.allowed import Allowed

BLOCK = 8_192
"""Vectors whose scores are made and looked through while a cache holds them."""
GROUP = 16
"""Scores that are looked at as one, by their greatest."""
SCORES = 1 << 23
"""Scores kept at once, 32 MB; more queries are answered in parts."""
BATCH = 4
"""Fewer queries without a filter are left to faiss, which reads the vectors only once for scores and selection."""

_BIAS = np.where(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"),
    np.float32(0),
    np.float32(-np.inf),
)
"""(256, 8): what a byte of Allowed adds to the scores of its 8 items."""


def few(batch: int) -> float:
    """Below this share of allowed vectors they are gathered first, once for the batch.

    100,000 vectors of 64 numbers, gathered against looked at in place: alone 1.5 ms against 1.2 at a share of .2,
    .9 against 1.2 at .1; 32 at once .16 ms each against .25 at .3, .20 against .23 at .5, where the copy is large.
    """
    return min(0.3, batch / (batch + 6))


def nearest(vectors: Float32, queries: Float32, k: int, allowed: Allowed | None = None) -> tuple[Int32, Float32]:
    """As `Index.search`, without ``denied``. vectors: (n, dim), contiguous; queries: (batch, dim)."""
    n = len(vectors)
    if allowed is not None and allowed.count == n:
        allowed = None
    if allowed is not None and allowed.count < few(len(queries)) * n:
        found, scores = nearest(vectors[allowed.items], queries, k)
        return np.append(allowed.items, np.int32(-1))[found], scores
    items = np.full((len(queries), k), -1, np.int32)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    at_once, most = max(1, SCORES // max(1, n)), min(k, n)
    for start in range(0, len(queries) if n else 0, at_once):
        rows = slice(start, start + at_once)
        items[rows, :most], scores[rows, :most] = _nearest(vectors, queries[rows], most, allowed)
    items[np.isneginf(scores)] = -1
    return items, scores


def _nearest(vectors: Float32, queries: Float32, k: int, allowed: Allowed | None) -> tuple[Int32, Float32]:
    """In two looks: k scores at least reach the k-th greatest of the groups' greatest, so that only k groups need a
    second. k: at most n."""
    n, batch = len(vectors), len(queries)
    if allowed is None and batch < BATCH:
        scores, items = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        return items.astype(np.int32), scores
    parts = -(-n // BLOCK)
    columns = -(-n // (parts * GROUP))  # of a block: whole groups, and so whole bytes of Allowed
    block = columns * GROUP
    # A group are the scores that lie ``columns`` apart: their greatest is found column by column, many at a time.
    scores = np.empty((parts, batch, GROUP, columns), np.float32)
    greatest = np.empty((batch, parts, columns), np.float32)
    for i, own in enumerate(scores):
        start, stop = i * block, min((i + 1) * block, n)
        flat = own.reshape(batch, block)
        bits = None if allowed is None else allowed.bits[start // 8 : -(-stop // 8)]
        if bits is not None and not bits.any():
            flat[:] = -np.inf
            greatest[:, i] = -np.inf
            continue
        np.matmul(queries, vectors[start:stop].T, out=flat[:, : stop - start])
        flat[:, stop - start :] = -np.inf
        if bits is not None:
            bias = _BIAS.take(bits, axis=0).ravel()
            with np.errstate(invalid="ignore"):  # inf - inf
                flat[:, : len(bias)] += bias
        np.fmax(flat, -np.inf, out=flat)  # NaN, of a vector that is not finite, would pass for the greatest
        own.max(axis=1, out=greatest[:, i])
    rows = np.arange(batch)[:, None]
    part, column = np.divmod(_greatest(greatest.reshape(batch, -1), k), columns)
    cells = scores[part, rows, :, column].reshape(batch, -1)
    found = _greatest(cells, k)
    found = found[rows, np.argsort(-cells[rows, found], axis=1)]
    group, place = np.divmod(found, GROUP)
    items = part[rows, group] * block + place * columns + column[rows, group]
    return items.astype(np.int32), cells[rows, found]


def _greatest(values: Float32, k: int) -> Int64:
    """Columns of the k greatest of each row, in any order; all where there are no more."""
    if k >= values.shape[1]:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return np.argpartition(values, -k, axis=1)[:, -k:]

"""Items that one query of a batch does not want, on top of any search that knows one set for the whole batch."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from recsys.ragged import Bool, Float32, Int32, Int64, Ragged
from recsys.retrieval.allowed import Allowed

MAX_OVERFETCH = 256
"""A query that denies more than this is searched for alone, under its own set."""


class BatchSearch(Protocol):
    """A search under one set for the whole batch, as `Index.search` without ``denied``."""

    def __call__(self, queries: Float32, k: int, allowed: Allowed | None, /) -> tuple[Int32, Float32]: ...


def search_without(
    search: BatchSearch, n_items: int, queries: Float32, k: int, allowed: Allowed | None, denied: Ragged | None
) -> tuple[Int32, Float32]:
    """As `Index.search`: the batch at once with as many more as the longest row denies, which are then dropped."""
    if denied is None or not len(denied.values):
        return search(queries, k, allowed)
    items = np.full((len(queries), k), -1, np.int32)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    long = denied.lengths > MAX_OVERFETCH
    for row in np.flatnonzero(long).tolist():
        own = (allowed or Allowed.all(n_items)).without(denied[row])
        items[row], scores[row] = (found[0] for found in search(queries[row : row + 1], k, own))
    short = np.flatnonzero(~long)
    if len(short):
        few = denied.take(short)
        found, values = search(queries[short], k + int(few.lengths.max()), allowed)
        items[short], scores[short] = cut(found, values, ~listed(found, few), k)
    return items, scores


def listed(items: Int32 | Int64, rows: Ragged) -> Bool:
    """(batch, m), true where the row lists the item."""
    if not len(rows.values):
        return np.zeros(items.shape, np.bool_)
    # Row and item as one number; -1 is no item and meets none, since the row's numbers start at 0.
    span = np.int64(max(items.max(initial=0), rows.values.max()) + 2)
    wanted = items + np.arange(len(items))[:, None] * span + 1
    return np.isin(wanted, rows.values + rows.rows * span + 1)


def cut(items: Int32, scores: Float32, keep: Bool, k: int) -> tuple[Int32, Float32]:
    """The first k of each row that are kept, -1 and -inf behind them."""
    order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(keep, order, axis=1)
    return (
        np.where(kept, np.take_along_axis(items, order, axis=1), np.int32(-1)),
        np.where(kept, np.take_along_axis(scores, order, axis=1), np.float32(-np.inf)),
    )

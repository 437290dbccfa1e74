"""Whether a graph is walked or every allowed vector looked at: what costs less by the count of both."""

from __future__ import annotations

from math import ceil, sqrt
from typing import NamedTuple, Protocol

from recsys.retrieval.exact import BATCH, few

GRAPH_FROM = 200_000
"""Items from which on a graph is worth its file and its building: below, exact search takes 2 ms alone and .5 ms in a
batch of 32 under any filter."""

MIN_EF = 192
SPARE = 1.25
"""Recall@100 with these: .967 at a million content vectors, .965 at 100,000 of ALS; .93 and .94 with an ef of 128."""

WALK = 2.5
SCAN, SCAN_IN_BATCH = 12.5e-3, 4e-3
GATHER = 85e-3
"""Microseconds on one core of an EPYC at a million vectors of 64 numbers: a candidate on the way through a graph; a
vector looked at by a query alone, and in a batch of 32; a vector gathered, once for the whole batch."""
DOUBT = 2.0
"""A walk under a filter counts so often: it may find too few, and then exact search comes on top."""


class Walk(NamedTuple):
    """ef: the width of the walk (efSearch); nearest: how many of the items found are looked through."""

    ef: int
    nearest: int


class Plan(Protocol):
    """Decides on the way of a search."""

    def __call__(self, n_items: int, count: int, k: int, batch: int, /) -> Walk | None:
        """``count`` of ``n_items`` are allowed and ``k`` wanted by each of ``batch`` queries. None: search exactly."""
        ...


def cheapest(n_items: int, count: int, k: int, batch: int) -> Walk | None:
    """The way that should take less time.

    >>> cheapest(1_000_000, 1_000_000, 100, 1)
    Walk(ef=192, nearest=100)
    >>> cheapest(1_000_000, 500_000, 100, 1)
    Walk(ef=325, nearest=260)
    >>> cheapest(1_000_000, 10_000, 100, 1), cheapest(100_000, 100_000, 1000, 32)
    (None, None)
    """
    if count < k or not batch:
        return None
    walk = widest(n_items, count, k)
    look = SCAN if batch < BATCH else SCAN_IN_BATCH
    exact = count * (look + GATHER / batch) if count < few(batch) * n_items else n_items * look
    return walk if walk.ef * WALK * (1.0 if count == n_items else DOUBT) < exact else None


def widest(n_items: int, count: int, k: int) -> Walk:
    """A walk that should find ``k`` allowed items. count: at least 1."""
    # If the allowed ones lie at random, k of them are among so many with a chance of 99.8%.
    nearest = k if count == n_items else ceil((k + 3 * sqrt(k)) * n_items / count)
    nearest = min(nearest, n_items)
    return Walk(max(MIN_EF, ceil(SPARE * nearest)), nearest)

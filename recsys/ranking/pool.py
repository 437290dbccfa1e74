"""The candidates of a batch of requests: what several sources propose, each item once, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from recsys.ragged import Bool, Float32, Int32, Int64

MOST = 1000
"""Candidates of one request that a ranker looks at."""

Proposals = Sequence[tuple[Int32, Float32]]
"""Of one source, one entry a request: items, best first and each once, and their scores, of equal length."""


@dataclass(frozen=True, slots=True)
class Pool:
    """m candidates of n requests from S sources, by request and item.

    requests: int32 (m,), rising; items: int32 (m,), rising within a request; scores: float32 (m, S), 0 where a source
    did not propose the item; ranks: int32 (m, S), from 0, -1 where it did not.
    """

    n_requests: int
    requests: Int32
    items: Int32
    scores: Float32
    ranks: Int32

    def __len__(self) -> int:
        return len(self.items)

    @property
    def offsets(self) -> Int64:
        """(n + 1,): the candidates of request i are ``offsets[i]`` to ``offsets[i + 1]``."""
        found: Int64 = np.searchsorted(self.requests, np.arange(self.n_requests + 1, dtype=np.int32)).astype(np.int64)
        return found

    def take(self, rows: Int64 | Bool) -> Self:
        """Those candidates, in that order; a boolean mask works too."""
        return type(self)(self.n_requests, self.requests[rows], self.items[rows], self.scores[rows], self.ranks[rows])

    def columns(self, sources: Sequence[int]) -> Self:
        """The same candidates with these columns of the sources, in that order; -1: of a source that was not asked."""
        # What is appended stands at -1.
        scores = np.pad(self.scores, ((0, 0), (0, 1)))[:, sources]
        ranks = np.pad(self.ranks, ((0, 0), (0, 1)), constant_values=-1)[:, sources]
        return replace(self, scores=scores, ranks=ranks)

    @classmethod
    def of(cls, sources: Sequence[Proposals], most: int = MOST) -> Self:
        """The union of what the sources propose, request by request; at least one source, each with every request.

        A request keeps the ``most`` candidates that stand highest with any source; of equal ranks those that more
        sources put so high, then the earlier source's.

        >>> first = [(np.array([7, 3], np.int32), np.array([0.9, 0.2], np.float32))]
        >>> second = [(np.array([3], np.int32), np.array([5.0], np.float32))]
        >>> pool = Pool.of([first, second])
        >>> pool.items.tolist(), pool.ranks.tolist()
        ([3, 7], [[1, 0], [0, -1]])
        """
        n, width = len(sources[0]), len(sources)
        lengths = np.array([[len(items) for items, _ in proposals] for proposals in sources], np.int64).ravel()
        entries = int(lengths.sum())
        items = np.concatenate([items for proposals in sources for items, _ in proposals] or [np.zeros(0, np.int32)])
        scores = np.concatenate([s for proposals in sources for _, s in proposals] or [np.zeros(0, np.float32)])
        block = np.repeat(np.arange(width * n), lengths)
        rank = np.arange(entries) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        # One sort of plain integers finds what is proposed twice: request, item and entry side by side in 63 bits.
        span, bits = int(items.max(initial=0)) + 1, max(entries.bit_length(), 1)
        if (n * span).bit_length() + bits > 63:
            raise ValueError(f"{entries} candidates of {n} requests from {span} items are too many for one pool")
        packed = np.sort(((block % max(n, 1)) * span + items) << bits | np.arange(entries))
        entry, cell = packed & ((1 << bits) - 1), packed >> bits
        new = np.ones(entries, np.bool_)
        new[1:] = cell[1:] != cell[:-1]
        place = np.cumsum(new) - 1
        distinct = cell[new]
        source = block[entry] // max(n, 1)
        table = np.zeros((len(distinct), width), np.float32)
        ranks = np.full((len(distinct), width), -1, np.int32)
        table[place, source] = scores[entry]
        ranks[place, source] = rank[entry]
        pool = cls(n, (distinct // span).astype(np.int32), (distinct % span).astype(np.int32), table, ranks)
        return pool._best(most) if (np.diff(pool.offsets) > most).any() else pool

    def _best(self, most: int) -> Self:
        unplaced = np.where(self.ranks < 0, np.iinfo(np.int32).max, self.ranks)
        ordered = np.sort(unplaced, axis=1)
        order = np.lexsort((unplaced.argmin(axis=1), *ordered.T[::-1], self.requests))
        within = np.arange(len(self)) - self.offsets[self.requests]
        return self.take(np.sort(order[within < most]))

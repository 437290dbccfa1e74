"""Slates: candidates in the order in which they are shown."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from recsys.ragged import Float32, Int32, Int64
from recsys.ranking.filters import ItemColumns


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items that may be shown, best first, each song at most once.

    items: int32 (n,); scores: float32 (n,); sources: int32 (n,), the number of the source that gave each.
    """

    items: Int32
    scores: Float32
    sources: Int32

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: Int64) -> Self:
        return type(self)(self.items[rows], self.scores[rows], self.sources[rows])

    def one_a_song(self, columns: ItemColumns) -> Self:
        """Of the versions of a song only the best."""
        _, first = np.unique(columns.songs[self.items], return_index=True)
        return self.take(np.sort(first))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after the other; at least one part."""
        return cls(
            np.concatenate([p.items for p in parts]),
            np.concatenate([p.scores for p in parts]),
            np.concatenate([p.sources for p in parts]),
        )


class SlatePolicy(Protocol):
    """One rule about the order of a slate."""

    def arrange(self, candidates: Candidates, columns: ItemColumns, places: int) -> Candidates:
        """The same candidates, none lost and none twice, in an order whose first ``places`` obey the rule."""
        ...


@dataclass(frozen=True, slots=True)
class ArtistSpacing:
    """At least ``spacing`` other tracks between two of one artist, as far as the candidates allow.

    Greedy from the top: each place goes to the best candidate left whose artist is not among the last ``spacing``
    places. Where every candidate left is by such an artist, the artist who has waited longest comes next.

    >>> columns = ItemColumns(np.array([7, 7, 7, 8], np.int32), np.zeros(4, np.int8), np.arange(4))
    >>> three_by_one = Candidates(np.arange(4, dtype=np.int32), np.ones(4, np.float32), np.zeros(4, np.int32))
    >>> ArtistSpacing(1).arrange(three_by_one, columns, 4).items.tolist()
    [0, 3, 1, 2]
    """

    spacing: int

    def arrange(self, candidates: Candidates, columns: ItemColumns, places: int) -> Candidates:
        if self.spacing == 0:
            return candidates
        waiting: dict[int, deque[int]] = defaultdict(deque)
        for place, artist in enumerate(columns.artists[candidates.items].tolist()):
            waiting[artist].append(place)
        ready = [(places[0], artist) for artist, places in waiting.items()]
        heapq.heapify(ready)
        resting: deque[tuple[int, int]] = deque()  # (the first place that is free again, artist), earliest first
        order: list[int] = []
        while (ready or resting) and len(order) < places:
            while resting and (resting[0][0] <= len(order) or not ready):
                artist = resting.popleft()[1]
                heapq.heappush(ready, (waiting[artist][0], artist))
            artist = heapq.heappop(ready)[1]
            order.append(waiting[artist].popleft())
            if waiting[artist]:
                resting.append((len(order) + self.spacing, artist))
        rest = np.setdiff1d(np.arange(len(candidates)), order, assume_unique=True)
        return candidates.take(np.concatenate([np.array(order, dtype=np.int64), rest]))


def arranged(candidates: Candidates, policies: Iterable[SlatePolicy], columns: ItemColumns, limit: int) -> Candidates:
    """The first ``limit`` candidates after all policies, in their order."""
    for policy in policies:
        candidates = policy.arrange(candidates, columns, limit)
    return candidates.take(np.arange(min(limit, len(candidates))))

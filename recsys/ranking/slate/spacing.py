"""Room between two tracks by one artist, or of one album."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from recsys.ragged import Bool, Int32
from recsys.ranking.slate.base import Candidates, SlateContext


@dataclass(frozen=True, slots=True)
class Spacing:
    """At least ``artists`` other tracks between two of one artist, and ``albums`` between two of one album, as far as
    the candidates allow.

    Greedy from the top: each place goes to the best candidate left that both rules let in. Where they let none in,
    the candidate comes that would be let in soonest. A track without an album is bound by its artist alone.

    >>> from recsys.ranking.filters import ItemColumns
    >>> n = np.zeros(4, np.int32)
    >>> columns = ItemColumns(artists=np.array([7, 7, 7, 8], np.int32), explicit=n, songs=n, albums=n - 1)
    >>> three_by_one = Candidates(np.arange(4, dtype=np.int32), np.ones(4, np.float32), n)
    >>> Spacing(artists=1).arrange(three_by_one, SlateContext(columns, places=4)).items.tolist()
    [0, 3, 1, 2]
    """

    artists: int = 0
    albums: int = 0

    def arrange(self, candidates: Candidates, context: SlateContext) -> Candidates:
        n = len(candidates)
        keys = self._keys(candidates.items, context)
        artist_free: dict[int, int] = {}  # The first place where the artist may stand again.
        album_free: dict[int, int] = {}
        # Candidates that were passed over, best first. Those of one key are let in together, so that only a few keys
        # wait at any time: those of the last places.
        waiting: dict[tuple[int, int], deque[int]] = {}
        order: list[int] = []
        head = 0

        def free(key: tuple[int, int]) -> int:
            return max(artist_free.get(key[0], 0), album_free.get(key[1], 0))

        for place in range(min(context.places, n)):
            ready = [(rows[0], key) for key, rows in waiting.items() if free(key) <= place]
            if not ready:
                while head < n and free(keys[head]) > place:
                    waiting.setdefault(keys[head], deque()).append(head)
                    head += 1
            if ready or head == n:
                key = min(ready)[1] if ready else min(waiting, key=lambda k: (free(k), waiting[k][0]))
                order.append(waiting[key].popleft())
                if not waiting[key]:
                    del waiting[key]
            else:
                key = keys[head]
                order.append(head)
                head += 1
            artist_free[key[0]] = place + 1 + self.artists
            if key[1] >= 0:
                album_free[key[1]] = place + 1 + self.albums
        rest = np.ones(n, dtype=np.bool_)
        rest[order] = False
        return candidates.take(np.concatenate([np.array(order, dtype=np.int64), np.flatnonzero(rest)]))

    def keeps(self, slate: Candidates, filled: Bool, slot: int, pool: Candidates, context: SlateContext) -> Bool:
        allowed = np.ones(len(pool), dtype=np.bool_)
        for numbers, spacing in ((context.columns.artists, self.artists), (context.columns.albums, self.albums)):
            if spacing:
                first = max(slot - spacing, 0)
                near = slate.items[first : slot + spacing + 1][filled[first : slot + spacing + 1]]
                _forbid(allowed, numbers[pool.items], numbers[near])
        return allowed

    def _keys(self, items: Int32, context: SlateContext) -> list[tuple[int, int]]:
        artists = context.columns.artists[items].tolist()
        albums = context.columns.albums[items].tolist() if self.albums else [-1] * len(items)
        return list(zip(artists, albums, strict=True))


def _forbid(allowed: Bool, numbers: Int32, taken: Int32) -> None:
    """Clear ``allowed`` where ``numbers`` holds one of ``taken``; -1 is nobody's. Few are taken: no np.isin."""
    for number in taken[taken >= 0].tolist():
        allowed &= numbers != number

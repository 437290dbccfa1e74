"""Room between two tracks by one artist, or of one album."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.ragged import Bool
from recsys.ranking.filters import UNKNOWN
from recsys.ranking.slate.base import Candidates, SlateContext

_NEVER = 1 << 31


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
        artists = context.columns.artists[candidates.items].tolist()
        albums = context.columns.albums[candidates.items].tolist() if self.albums else [UNKNOWN] * n
        greedy = _Greedy(self, artists, albums)
        order = [greedy.next(place) for place in range(min(context.places, n))]
        rest = np.ones(n, dtype=np.bool_)
        rest[order] = False
        return candidates.take(np.concatenate([np.array(order, dtype=np.int64), np.flatnonzero(rest)]))

    def keeps(self, slate: Candidates, filled: Bool, slot: int, pool: Candidates, context: SlateContext) -> Bool:
        allowed = np.ones(len(pool), dtype=np.bool_)
        for numbers, spacing in ((context.columns.artists, self.artists), (context.columns.albums, self.albums)):
            if spacing:
                window = slice(max(slot - spacing, 0), slot + spacing + 1)
                taken = numbers[slate.items[window][filled[window]]]
                there = numbers[pool.items]
                allowed &= ~((there[:, None] == taken) & (taken != UNKNOWN)).any(axis=1)
        return allowed


class _Greedy:
    """Hands out the candidates one place after the other; artists and albums: one a candidate, best first."""

    def __init__(self, rule: Spacing, artists: list[int], albums: list[int]) -> None:
        self._rule = rule
        self._artists = artists
        self._albums = albums
        self._artist_free: dict[int, int] = {}
        """The first place where each artist may stand again; and each album."""
        self._album_free: dict[int, int] = {}
        self._waiting: dict[int, list[int]] = {}
        """Artist -> its candidates that were passed over, best first. Few wait at a time: those of the last places."""
        self._head = 0
        """The best candidate that was not looked at yet."""

    def next(self, place: int) -> int:
        """The candidate for ``place``; there must be one left."""
        free, row = self._soonest(place) if self._waiting else (_NEVER, -1)
        if free > place:
            fresh = self._fresh(place)
            row = self._soonest(place)[1] if fresh is None else fresh
        artist, album = self._artists[row], self._albums[row]
        if row in (rows := self._waiting.get(artist, [])):
            rows.remove(row)
            if not rows:
                del self._waiting[artist]
        self._artist_free[artist] = place + 1 + self._rule.artists
        if album != UNKNOWN:
            self._album_free[album] = place + 1 + self._rule.albums
        return row

    def _fresh(self, place: int) -> int | None:
        """The best candidate not looked at yet that is let in; those passed over on the way wait from now on."""
        while self._head < len(self._artists):
            row = self._head
            self._head += 1
            artist = self._artists[row]
            if max(self._artist_free.get(artist, 0), self._album_free.get(self._albums[row], 0)) <= place:
                return row
            self._waiting.setdefault(artist, []).append(row)
        return None

    def _soonest(self, place: int) -> tuple[int, int]:
        """Of those that wait: the first place from ``place`` on that lets one in, and the best that it lets in."""
        best = (_NEVER, -1)
        for artist, rows in self._waiting.items():
            floor = max(self._artist_free.get(artist, 0), place)
            for row in rows:
                free = self._album_free.get(self._albums[row], 0)
                best = min(best, (max(free, floor), row))
                if free <= floor:
                    break
        return best

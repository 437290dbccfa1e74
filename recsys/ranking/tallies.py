"""What is known of keys as of any moment: decayed counts, the last few times, the first; updated play by play."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.ragged import Bool, Float32, Float64, Int64

NEVER = 1e5
"""Days since a play that never was; longer ago than any that was."""


@dataclass(frozen=True)
class Reading:
    """Of m keys, each at a moment of its own.

    decayed: float32 (m, half-lives), plays, each worth half as much after every half-life; ages: float32 (m, last),
    days since the last plays, the latest first, NEVER where there were fewer; since_first: float32 (m,), days since
    the first play, 0 without one; count: float32 (m,), all plays.
    """

    decayed: Float32
    ages: Float32
    since_first: Float32
    count: Float32


@dataclass(frozen=True)
class Tally:
    """keys: int64 (n,) sorted, all that may come; the other arrays have one row a key, and one more for unknown keys.

    Decay is lazy: ``decayed`` holds the worth at the key's own last play, so that a day costs what was played on it.

    >>> tally = Tally.of(np.array([7, 9]), half_lives=(1.0,), last=2)
    >>> tally.add(np.array([7, 7]), np.array([0.0, 1.0]))
    >>> reading = tally.read(np.array([7, 8]), np.array([2.0, 2.0]))
    >>> reading.decayed[:, 0].tolist(), reading.ages[0].tolist(), reading.count.tolist()
    ([0.75, 0.0], [1.0, 2.0], [2.0, 0.0])
    """

    keys: Int64
    half_lives: Float64
    decayed: Float32
    times: Float64
    """(n + 1, last), latest first; -inf: none."""
    first: Float64
    count: Float32

    @classmethod
    def of(cls, keys: Int64, half_lives: tuple[float, ...], last: int) -> Self:
        distinct = np.unique(keys)
        rows = len(distinct) + 1
        return cls(
            distinct,
            np.array(half_lives),
            np.zeros((rows, len(half_lives)), np.float32),
            np.full((rows, last), -np.inf),
            np.full(rows, np.inf),
            np.zeros(rows, np.float32),
        )

    def add(self, keys: Int64, times: Float64) -> None:
        """Plays, in any order; times in days. In place."""
        if not len(keys):
            return
        rows = self._rows(keys)
        order = np.lexsort((times, rows))
        rows, at = rows[order], times[order]
        touched, start, size = np.unique(rows, return_index=True, return_counts=True)
        end = start + size - 1
        latest = np.maximum(at[end], self.times[touched, 0])
        since = np.where(np.isinf(self.times[touched, 0]), 0.0, latest - self.times[touched, 0])
        worth = np.exp2(-(np.repeat(latest, size) - at)[:, None] / self.half_lives)
        self.decayed[touched] *= np.exp2(-since[:, None] / self.half_lives).astype(np.float32)
        self.decayed[touched] += np.add.reduceat(worth, start, axis=0).astype(np.float32)
        self.count[touched] += size
        self.first[touched] = np.minimum(self.first[touched], at[start])
        depth = np.arange(self.times.shape[1])
        new = np.where(depth < size[:, None], at[np.maximum(end[:, None] - depth, start[:, None])], -np.inf)
        both = np.concatenate((self.times[touched], new), axis=1)
        self.times[touched] = -np.sort(-both, axis=1)[:, : len(depth)]

    def read(self, keys: Int64, now: Float64) -> Reading:
        """``now`` (m,): the moment of each key, in days."""
        rows = self._rows(keys)
        ages = np.minimum(now[:, None] - self.times[rows], NEVER)
        worth = np.exp2(-np.maximum(ages[:, :1], 0.0) / self.half_lives)
        return Reading(
            (self.decayed[rows] * worth).astype(np.float32),
            ages.astype(np.float32),
            np.maximum(now - self.first[rows], 0.0).astype(np.float32),
            self.count[rows],
        )

    def _rows(self, keys: Int64) -> Int64:
        if not len(self.keys):
            return np.zeros(len(keys), np.int64)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known: Bool = self.keys[place] == keys
        return np.where(known, place, len(self.keys))

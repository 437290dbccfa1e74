"""What comes up for a listener to choose from: what follows, what is near, what everybody hears, what is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.ragged import Float32, Float64, Int8, Int32, Int64
from recsys.simulation.arrays import summed, weighted
from recsys.simulation.listeners import Listeners
from recsys.simulation.music import MARKETS, SUCCESSORS, Music

KINDS = ("successor", "artist", "scene", "other scene", "far")
"""One candidate of each kind at a time: a favourite successor of the track before, another track of its artist, one of
the listener's nearest scene, of the second or third scene, and one from anywhere or just out. All by popularity."""
HABIT: Float32 = np.log(np.array([0.38, 0.16, 0.22, 0.14, 0.10], dtype=np.float32))
"""Log of how often each kind would be taken by somebody who liked all tracks equally."""
_NEW_DAYS = 28
"""So long a track is new."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Tracks to draw from by popularity. tracks: (n,); reach: (n + 1,), popularity summed up."""

    tracks: Int32
    reach: Float64

    @classmethod
    def of(cls, music: Music, tracks: Int64) -> Self:
        return cls(tracks.astype(np.int32), summed(music.popularity[tracks]))

    def sample(self, rng: np.random.Generator, begin: Int64, end: Int64) -> Int32:
        """(rows,) the i-th of tracks[begin[i]:end[i]], none of which may be empty."""
        return self.tracks[weighted(rng, self.reach, begin, end)]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Draws candidates from a catalogue over ``days`` days."""

    music: Music
    by_release: Pool
    new_begin: Int64
    """(days,) the tracks that are new on a day are by_release.tracks[new_begin[day]:new_end[day]]."""
    new_end: Int64
    for_all: tuple[Pool, ...]
    """One a market: out before the first day, licensed there, without explicit words. May be empty."""

    @classmethod
    def of(cls, music: Music, days: int) -> Self:
        order = np.argsort(music.release_day, kind="stable")
        released, day = music.release_day[order], music.first_day + np.arange(days)
        harmless = ~music.explicit & (music.release_day <= music.first_day)
        return cls(
            music,
            Pool.of(music, order),
            new_begin=np.searchsorted(released, day - _NEW_DAYS, side="right"),
            new_end=np.searchsorted(released, day, side="right"),
            for_all=tuple(
                Pool.of(music, np.flatnonzero(harmless & (music.markets >> m & 1 == 1))) for m in range(len(MARKETS))
            ),
        )

    def draw(self, rng: np.random.Generator, before: Int32, scenes: Int8, day: Int32, appetite: Float32) -> Int32:
        """(n, len(KINDS)) tracks, which the listener may be unable to play.

        before: (n,) the track before; scenes: (n, 3) the listener's, nearest first; day: (n,); appetite: (n,) 0..1 for
        the new.
        """
        music, n = self.music, len(before)
        favourite = np.searchsorted(np.cumsum(SUCCESSORS)[:-1], rng.random(n), side="right")
        second = rng.integers(1, 3, n)
        far = music.sample(rng, n)
        begin, end = self.new_begin[day], self.new_end[day]
        new = np.flatnonzero((rng.random(n, dtype=np.float32) < appetite) & (begin < end))
        far[new] = self.by_release.sample(rng, begin[new], end[new])
        return np.stack(
            [
                music.successors[before, favourite],
                music.sample_artist(rng, music.artist[before]),
                music.sample_scene(rng, scenes[:, 0]),
                music.sample_scene(rng, scenes[np.arange(n), second]),
                far,
            ],
            axis=1,
        )

    def playable(self, rng: np.random.Generator, listeners: Listeners, listener: Int64) -> Int32:
        """(n,) tracks by popularity that each listener may play on any day."""
        out = np.empty(len(listener), dtype=np.int32)
        market = listeners.market[listener]
        for m in np.unique(market):
            mine = np.flatnonzero(market == m)
            pool = self.for_all[m]
            out[mine] = pool.sample(rng, np.zeros(len(mine), np.int64), np.full(len(mine), len(pool.tracks)))
        return out

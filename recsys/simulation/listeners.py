"""The listeners of the simulated world: where they live, how much they listen, what they like on which day.

A taste is a direction in the space of the tracks' latent vectors. It has a long-term part, which moves slowly from
where it is on the first day to where it will be on the last, and a whim: a track that has caught the listener, and that
gives way to another after some days. Both are functions of (listener, day) without any state, so they can be asked for
in any order and by any process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recsys.errors import InputError
from recsys.ragged import Bool, Float32, Float64, Int8, Int32
from recsys.simulation.arrays import products, unit
from recsys.simulation.laws import ACTIVITY
from recsys.simulation.music import MARKETS, Music
from recsys.simulation.settings import SCENES, WorldSettings

Integers = npt.NDArray[np.integer[Any]]

# Share of the listeners, hours from UTC.
_MARKETS: dict[str, tuple[float, int]] = {
    "US": (0.26, -6), "GB": (0.11, 0), "DE": (0.10, 1), "FR": (0.08, 1), "SE": (0.04, 1), "ES": (0.07, 1),
    "BR": (0.10, -3), "MX": (0.08, -6), "NG": (0.03, 1), "IN": (0.07, 5), "JP": (0.03, 9), "AU": (0.03, 10),
}  # fmt: skip

COLD_SHARE = 0.1
"""Of the listeners: they arrive in the last part of the window, with few plays."""
_COLD_FROM = 0.85
_COLD_EVENTS = (1, 12)
_DRIFT = 0.6
"""Length of the step from the first day's taste to the last day's, before it is brought back to length 1."""
_WHIM = 0.45
"""Weight of the whim beside the long-term taste, which has weight 1."""
_WHIMS = 1024
"""Tracks among which whims are found."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """One array each, (listeners,) where nothing else is said.

    market: index into recsys.simulation.music.MARKETS; utc_offset: hours; explicit_ok: hears explicit tracks too;
    activity: share of all events, sums to 1; cold: arrived late, hears little; arrival: first day on which the listener
    may listen; rhythm: hours by which the day begins later than others'; discovery: 0..1, appetite for the new;
    mainstream: standard normal, above 0 for those who like what is popular; start, end: (listeners, LATENT), taste on
    the first and the last day, length 1; whim_days: days that a whim lasts.
    """

    seed: int
    days: int
    first_weekday: int
    """Of day 0; Monday is 0."""
    market: Int8
    utc_offset: Int8
    explicit_ok: Bool
    activity: Float64
    cold: Bool
    arrival: Int32
    rhythm: Int8
    discovery: Float32
    mainstream: Float32
    start: Float32
    end: Float32
    whim_days: Int8
    whims: Float32
    """(whims, LATENT): what there is to be caught by; length 1."""
    centres: Float32
    """(SCENES, LATENT): the middle of each scene; length 1."""

    @classmethod
    def draw(cls, rng: np.random.Generator, settings: WorldSettings, music: Music) -> Self:
        """Raises InputError where no market has a track that all its listeners may hear on the first day."""
        n, days = settings.sizes.listeners, settings.days
        open_markets = _markets_with_music(music)
        shares, offsets = np.array([_MARKETS[code] for code in MARKETS]).T
        share = shares * open_markets
        market = rng.choice(len(share), n, p=share / share.sum()).astype(np.int8)
        cold = rng.random(n) < COLD_SHARE
        centres = _centres(music)
        start = unit(_tastes(rng, n, centres, music))
        return cls(
            seed=settings.seed,
            days=days,
            first_weekday=settings.first_day.weekday(),
            market=market,
            utc_offset=offsets.astype(np.int8)[market],
            explicit_ok=rng.random(n) < 0.8,
            activity=_activity(rng, cold, settings.events),
            cold=cold,
            arrival=np.where(cold, days * _COLD_FROM, 0).astype(np.int32),
            rhythm=rng.integers(-2, 4, n).astype(np.int8),
            discovery=rng.beta(2, 3, n).astype(np.float32),
            mainstream=rng.standard_normal(n, dtype=np.float32),
            start=start,
            end=unit(start + _DRIFT * unit(_tastes(rng, n, centres, music))),
            whim_days=rng.integers(3, 10, n).astype(np.int8),
            whims=music.latent[music.sample(rng, _WHIMS)],
            centres=centres,
        )

    def __len__(self) -> int:
        return len(self.market)

    def long_taste(self, listener: Integers, day: Integers) -> Float32:
        """(n, LATENT) of length 1: the taste without the whim."""
        gone = (np.asarray(day, dtype=np.float32) / max(self.days - 1, 1))[:, None]
        return unit(self.start[listener] * (1 - gone) + self.end[listener] * gone)

    def taste(self, listener: Integers, day: Integers) -> Float32:
        """(n, LATENT) of length 1: what (n,) listeners like on (n,) days, 0 the first."""
        # Every listener's first whim began at another time, so that they do not all change on one day.
        turn = (np.asarray(day, dtype=np.int64) + listener) // self.whim_days[listener]
        whim = scrambled(self.seed, listener, turn) % np.uint64(len(self.whims))
        return unit(self.long_taste(listener, day) + _WHIM * self.whims[whim])

    def scenes(self, listener: Integers, day: Integers) -> Int8:
        """(n, 3) the scenes that are nearest to the taste of the day, nearest first."""
        nearness = products(self.taste(listener, day), self.centres)
        return np.argsort(-nearness, axis=1)[:, :3].astype(np.int8)


def scrambled(seed: int, *keys: Integers) -> npt.NDArray[np.uint64]:
    """(n,) bits that look random and depend on nothing but ``seed`` and the keys (n,).

    The finaliser of SplitMix64 after each key (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014).
    """
    state = np.full(len(keys[0]), seed, dtype=np.uint64)
    for key in keys:
        state = (state ^ np.asarray(key).astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def _markets_with_music(music: Music) -> Bool:
    for_all = music.markets[~music.explicit & (music.release_day <= music.first_day)]
    found = np.bitwise_or.reduce(for_all, initial=0) >> np.arange(len(MARKETS)) & 1 == 1
    if not found.any():
        raise InputError("simulation.tracks: too few; no market has a track that is out on first_day; ask for more")
    return np.asarray(found)


def _centres(music: Music) -> Float32:
    total = np.zeros((SCENES, music.latent.shape[1]))
    np.add.at(total, music.scene, music.latent)
    return unit(total)


def _tastes(rng: np.random.Generator, n: int, centres: Float32, music: Music) -> Float64:
    """(n, LATENT): near one scene, less so two more, chosen by how much each is heard, and something of one's own."""
    heard = np.bincount(music.scene, music.popularity.astype(np.float64), minlength=SCENES)
    scenes = rng.choice(SCENES, (n, 3), p=heard / heard.sum())
    taste = (np.array([1.0, 0.6, 0.3])[:, None] * centres[scenes]).sum(axis=1)
    return np.asarray(taste + rng.normal(0, 0.3 / np.sqrt(centres.shape[1]), taste.shape))


def _activity(rng: np.random.Generator, cold: Bool, events: int) -> Float64:
    """(n,) shares that sum to 1; a cold listener's is that of a few events."""
    plays = ACTIVITY.sample(rng, len(cold))
    few = rng.integers(_COLD_EVENTS[0], _COLD_EVENTS[1] + 1, len(cold))
    warm = plays[~cold].sum()
    if warm:
        plays[~cold] *= max(events - few[cold].sum(), events / 2) / warm
    activity = np.where(cold, few, plays)
    return np.asarray(activity / activity.sum())

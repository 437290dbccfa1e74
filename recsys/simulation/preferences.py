"""Why a listener likes a track: several forms, so that no recommender is rewarded for having the simulator's own.

A utility is the logit of hearing the track to its end. The forms differ in what they look at, but are brought to one
scale: a track from anywhere is heard to its end in about 45% of cases, one that the listener picked out of four from
the scenes of the day's taste in about 75%.

To add a form:
1. Write it as a function like `tags` below: one number for each listener and track, larger for what is liked more.
2. Give it a row in PREFERENCES, with a scale and an offset.
3. Run tests/recsys/simulation/test_preferences.py, which every row joins; it says where the two shares lie.
   A larger scale draws them apart, a larger offset raises both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys.errors import InputError
from recsys.ragged import Bool, Float32
from recsys.simulation.contexts import ACTIVITIES, Context
from recsys.simulation.listeners import Integers, Listeners, scrambled
from recsys.simulation.music import Music

CIRCLES = 50
"""Groups of listeners who share their favourite artists, in the form `tags`."""
_DECADE_DAYS = 3652

# What suits an activity: energy 0..1, tempo in beats a minute.
_SUITS = {
    "none": (0.60, 116), "commute": (0.65, 118), "work": (0.45, 108), "exercise": (0.88, 135), "party": (0.80, 124),
    "sleep": (0.25, 90),
}  # fmt: skip
_ENERGY, _TEMPO = np.array([_SUITS[activity] for activity in ACTIVITIES], dtype=np.float32).T
# The same in the small hours is wanted calmer than in the afternoon.
_HOUR_ENERGY = (0.1 * np.cos((np.arange(24) - 16) / 24 * 2 * np.pi)).astype(np.float32)


class Preference(Protocol):
    def utility(
        self, music: Music, listeners: Listeners, listener: Integers, context: Context, tracks: Integers
    ) -> Float32:
        """float32 (n, k): how much each of n listeners likes each of k tracks, in n contexts; -inf for a track that
        the listener cannot play then.

        listener: (n,), context: n moments, tracks: (n, k). A row depends on nothing but itself.
        """
        ...


Form = Callable[[Music, Listeners, Integers, Context, Integers], Float32]
"""The heart of a preference, of the same arguments and shape as `Preference.utility`, on a scale of its own."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A form on the common scale, with a little of what is true of all listeners: loud music does not suit every
    moment, and what is popular pleases most, though not all."""

    form: Form
    scale: float
    offset: float

    def utility(
        self, music: Music, listeners: Listeners, listener: Integers, context: Context, tracks: Integers
    ) -> Float32:
        liking = np.float32(self.scale) * self.form(music, listeners, listener, context, tracks)
        mood = -np.abs(music.energy[tracks] - _wanted_energy(context))
        known = (1 + listeners.mainstream[listener])[:, None] * fame(music, tracks)
        utility = np.float32(self.offset) + liking + np.float32(1.2) * mood + np.float32(0.1) * known
        return np.where(playable(music, listeners, listener, context, tracks), utility, np.float32(-np.inf))


def playable(music: Music, listeners: Listeners, listener: Integers, context: Context, tracks: Integers) -> Bool:
    """bool (n, k): the track is out, licensed in the listener's market, and not behind the explicit filter.

    Arguments as of `Preference.utility`.
    """
    released = music.release_day[tracks] <= (music.first_day + context.day)[:, None]
    licensed = music.markets[tracks] >> listeners.market[listener].astype(np.uint16)[:, None] & 1 == 1
    return np.asarray(released & licensed & (listeners.explicit_ok[listener][:, None] | ~music.explicit[tracks]))


def fame(music: Music, tracks: Integers) -> Float32:
    """float32, of the shape of ``tracks``: log of popularity, about 0 in the middle, cut to -2..3."""
    level = np.log(music.popularity[tracks] * np.float32(len(music))) + np.float32(0.8)
    return np.asarray(np.clip(level, np.float32(-2), np.float32(3)))


def inner_product(
    music: Music, listeners: Listeners, listener: Integers, context: Context, tracks: Integers
) -> Float32:
    """The taste of the day times the track's latent vector: what matrix factorisation and two towers assume."""
    return _products(listeners.taste(listener, context.day)[:, None], music.latent[tracks])[:, :, 0]


def nearest_taste(
    music: Music, listeners: Listeners, listener: Integers, context: Context, tracks: Integers
) -> Float32:
    """How far a track lies from the nearest of four tastes, of the day and of the middle of three favourite scenes.

    Neither too far nor too near is best, and the best distance grows with the appetite for the new: the inverted U of
    Berlyne (Chmiel and Schubert, "Back to the inverted-U for music preference", Psychology of Music 45 (2017),
    https://doi.org/10.1177/0305735617697507). No single vector, and no inner product, stands for such a listener.
    """
    points = np.concatenate(
        [
            listeners.taste(listener, context.day)[:, None],
            listeners.centres[listeners.scenes(listener, context.day)],
        ],
        axis=1,
    )
    nearest = _products(points, music.latent[tracks]).max(axis=2)
    distance = np.sqrt(np.maximum(2 - 2 * nearest, 0))
    best = np.float32(0.45) + np.float32(0.5) * listeners.discovery[listener]
    return np.asarray(-((distance - best[:, None]) ** 2))


def tags(music: Music, listeners: Listeners, listener: Integers, context: Context, tracks: Integers) -> Float32:
    """Labels alone, without vectors: the favourite scenes, the favourite artists of the listener's circle, and each
    listener's own decades and feelings about explicit words."""
    scenes = listeners.scenes(listener, context.day)
    order = (music.scene[tracks][:, :, None] == scenes[:, None]) @ np.array([1.5, 1.2, 0.9], dtype=np.float32)
    circle = (scrambled(listeners.seed, listener) % np.uint64(CIRCLES))[:, None]
    artist = _affinity(listeners.seed + 1, circle, music.artist[tracks])
    decade = _affinity(listeners.seed + 2, listener[:, None], music.release_day[tracks] // _DECADE_DAYS)
    explicit = _affinity(listeners.seed + 3, listener[:, None], music.explicit[tracks].view(np.int8))
    return np.asarray(order + np.float32(0.5) * artist + np.float32(0.3) * decade + np.float32(0.2) * explicit)


def context_flow(music: Music, listeners: Listeners, listener: Integers, context: Context, tracks: Integers) -> Float32:
    """What suits the hour and the activity in energy and tempo, among what is famous, or just not, as the listener
    likes it; more easily in one of the listener's own scenes."""
    energy = np.abs(music.energy[tracks] - _wanted_energy(context)) / np.float32(0.25)
    tempo = np.abs(music.tempo[tracks] - _TEMPO[context.activity][:, None]) / np.float32(25)
    crowd = listeners.mainstream[listener][:, None] * fame(music, tracks)
    scenes = listeners.scenes(listener, context.day)
    home = (music.scene[tracks][:, :, None] == scenes[:, None]).any(axis=2)
    return np.asarray(np.float32(0.6) * home + np.float32(0.4) * crowd - np.float32(0.6) * (energy + tempo))


PREFERENCES: dict[str, Preference] = {
    "inner-product": Calibrated(inner_product, scale=3.0, offset=-0.35),
    "nearest-taste": Calibrated(nearest_taste, scale=3.9, offset=1.3),
    "tags": Calibrated(tags, scale=1.0, offset=-0.15),
    "context-flow": Calibrated(context_flow, scale=2.0, offset=1.65),
}


def preference(name: str) -> Preference:
    """Raises InputError where there is no preference of that name."""
    if name not in PREFERENCES:
        raise InputError(f"simulation.preference: there is no {name!r}; one of {', '.join(PREFERENCES)}")
    return PREFERENCES[name]


def _products(points: Float32, latent: Float32) -> Float32:
    """(n, k, p): p points (n, p, d) with k tracks (n, k, d)."""
    # Not by BLAS, see recsys.simulation.arrays. One point at a time is twice as fast.
    return np.stack([np.einsum("nkd,nd->nk", latent, point) for point in points.transpose(1, 0, 2)], axis=2)


def _wanted_energy(context: Context) -> Float32:
    """(n, 1)."""
    return np.asarray(_ENERGY[context.activity] + _HOUR_ENERGY[context.hour])[:, None]


def _affinity(seed: int, who: Integers, what: Integers) -> Float32:
    """(n, k) numbers of mean 0 and variance 1 that look random and are always the same for ``who`` and ``what``."""
    keys = np.broadcast_arrays(who, what)
    bits = scrambled(seed, *(key.ravel() for key in keys)).reshape(keys[0].shape)
    share = (bits >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
    return np.asarray((share - np.float32(0.5)) * np.float32(np.sqrt(12)))

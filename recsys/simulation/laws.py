"""The laws that the simulated world is drawn from: each fitted by maximum likelihood to a real set, or marked assumed.

A law is a frozen dataclass of its parameters with ``sample(rng, n)`` and, for fitted ones, ``fit(...)`` (which alone
needs scipy). The constants below hold the fitted parameters; their docstrings name the set. `segue report world` fits
them anew and lays real and simulated distributions side by side. No set at hand holds the ordered plays of individual
listeners, so radio stands in for them where order or time matters: see docs/simulation.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.ragged import Float64, Int64


@dataclass(frozen=True, slots=True)
class ZipfMandelbrot:
    """Popularity by rank (Mandelbrot 1953): weight(rank) = (rank + shift) ** -exponent, rank = 1, 2, ...

    >>> ZipfMandelbrot(exponent=1.0, shift=0.0).weights(2).round(3).tolist()
    [0.667, 0.333]
    """

    exponent: float
    shift: float

    def weights(self, n: int) -> Float64:
        """(n,) shares of the ranks 1 to n; they sum to one."""
        weights: Float64 = (np.arange(1.0, n + 1) + self.shift) ** -self.exponent
        weights /= weights.sum()
        return weights

    def sample(self, rng: np.random.Generator, n: int, ranks: int) -> Int64:
        """(n,) ranks, counted from 0, of ``ranks`` there are."""
        return _at(np.cumsum(self.weights(ranks)), rng.random(n))

    @staticmethod
    def fit(counts: npt.ArrayLike) -> ZipfMandelbrot:
        """counts: (items,) plays an item, in any order; items that were never played have no rank."""
        ordered = np.sort(np.asarray(counts, dtype=np.float64))[::-1]
        ordered = ordered[ordered > 0]

        def law(x: Float64) -> ZipfMandelbrot:
            return ZipfMandelbrot(exponent=float(x[0]), shift=float(np.exp(x[1])))

        return law(_minimum(lambda x: -float(ordered @ np.log(law(x).weights(len(ordered)))), [1.0, 3.0]))


@dataclass(frozen=True, slots=True)
class CutLogNormal:
    """Whole numbers from low to high: p(k) in proportion to the lognormal density at k, ln k ~ N(mu, sigma).

    >>> CutLogNormal(mu=0.0, sigma=1.0, low=1, high=3).probabilities().round(2).tolist()
    [0.63, 0.25, 0.12]
    """

    mu: float
    sigma: float
    low: int
    high: int

    def probabilities(self) -> Float64:
        """(high - low + 1,) of low, low + 1, ... high."""
        logs = np.log(np.arange(self.low, self.high + 1, dtype=np.float64))
        density: Float64 = np.exp(-0.5 * ((logs - self.mu) / self.sigma) ** 2 - logs)
        density /= density.sum()
        return density

    def sample(self, rng: np.random.Generator, n: int) -> Int64:
        return _at(np.cumsum(self.probabilities()), rng.random(n)) + self.low

    @staticmethod
    def fit(values: npt.ArrayLike, low: int, high: int, cap: int | None = None) -> CutLogNormal:
        """values: (n,) whole numbers; those out of low..high are left out.

        cap: the publisher shows no number above it, so that ``cap`` means "so many or more".
        """
        found, counts = np.unique(np.asarray(values, dtype=np.int64), return_counts=True)
        inside = (found >= low) & (found <= high)
        at, counts = np.minimum(found[inside], cap or high) - low, counts[inside]

        def law(x: Float64) -> CutLogNormal:
            return CutLogNormal(mu=float(x[0]), sigma=float(np.exp(x[1])), low=low, high=high)

        def loss(x: Float64) -> float:
            p = law(x).probabilities()
            if cap is not None:
                p[cap - low] = p[cap - low :].sum()
            return -float(counts @ np.log(np.maximum(p[at], 1e-300)))

        logs = np.log(np.average(at + low, weights=counts))
        return law(_minimum(loss, [float(logs), -0.5]))


@dataclass(frozen=True, slots=True)
class Burr:
    """Positive numbers with a heavy tail (Burr XII): P(X > x) = (1 + (x / scale) ** shape) ** -tail.

    shape 1 is Lomax's law, tail 1 the log-logistic. Far out, P(X > x) falls as x ** -(shape * tail).
    """

    scale: float
    shape: float
    tail: float

    def beyond(self, x: npt.ArrayLike) -> Float64:
        """P(X > x).

        >>> Burr(scale=2.0, shape=1.0, tail=1.0).beyond([0, 2, 6]).tolist()
        [1.0, 0.5, 0.25]
        """
        ratio = np.asarray(x, dtype=np.float64) / self.scale
        beyond: Float64 = (1.0 + ratio**self.shape) ** -self.tail
        return beyond

    def sample(self, rng: np.random.Generator, n: int) -> Float64:
        beyond = 1.0 - rng.random(n)
        values: Float64 = self.scale * (beyond ** (-1.0 / self.tail) - 1.0) ** (1.0 / self.shape)
        return values

    @staticmethod
    def fit(values: npt.ArrayLike) -> Burr:
        """values: (n,), all above 0."""
        given = np.asarray(values, dtype=np.float64)
        middle = float(np.median(given))

        def loss(x: Float64) -> float:
            law = _burr(x, middle)
            logs = law.shape * np.log(given / law.scale)
            density = np.log(law.shape * law.tail / given) + logs - (law.tail + 1) * np.logaddexp(0.0, logs)
            return -float(density.sum())

        return _burr(_minimum(loss, [0.0, 0.0, 0.0]), middle)


@dataclass(frozen=True, slots=True)
class Repeat:
    """How far back a play points: to the play ``lag`` before it; one that points before the first play is new.

    One law thus gives the share of repeats at a listener's n-th play, P(lag <= plays before), and their lags. That the
    chance of a repeat depends on its lag, with a heavy tail, is the recency law of Anderson, Kumar, Tomkins and
    Vassilvitskii, "The Dynamics of Repeat Consumption", WWW 2014.

    >>> Repeat(Burr(scale=100.0, shape=1.0, tail=1.0)).share([0, 100, 900]).round(2).tolist()
    [0.0, 0.5, 0.9]
    """

    lag: Burr

    def share(self, before: npt.ArrayLike) -> Float64:
        """P(repeat) for plays that have ``before`` plays of the listener before them."""
        return 1.0 - self.lag.beyond(before)

    def sample(self, rng: np.random.Generator, n: int) -> Int64:
        """(n,) lags in plays, 1 or more; where one is larger than the number of plays before, the play is new."""
        lags: Int64 = np.ceil(np.minimum(self.lag.sample(rng, n), 2.0**40)).astype(np.int64)
        return np.maximum(lags, 1)

    @staticmethod
    def fit(lag: npt.ArrayLike, before: npt.ArrayLike) -> Repeat:
        """lag: (n,) plays since the last play of the same track, 0 for a new one; before: (n,) plays before.

        A new play says that its lag is larger than the history: it enters as a censored lag.
        """
        lags, past = np.asarray(lag, dtype=np.int64), np.asarray(before, dtype=np.int64)
        known, counts = np.unique(lags[lags > 0], return_counts=True)
        unknown, new = np.unique(past[lags == 0], return_counts=True)
        middle = float(np.median(lags[lags > 0]))

        def loss(x: Float64) -> float:
            law = _burr(x, middle)
            chance = law.beyond(known - 1) - law.beyond(known)
            return -float(counts @ np.log(np.maximum(chance, 1e-300)) + new @ np.log(law.beyond(unknown)))

        return Repeat(_burr(_minimum(loss, [0.0, 0.0, 0.0]), middle))


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds between the end of a track and the start of the next: none with probability at_once, else ``wait``."""

    at_once: float
    wait: CutLogNormal

    def sample(self, rng: np.random.Generator, n: int) -> Int64:
        at_once = rng.random(n) < self.at_once
        return np.where(at_once, 0, self.wait.sample(rng, n))

    @staticmethod
    def fit(values: npt.ArrayLike, low: int, high: int) -> Pause:
        """values: (n,) whole seconds; below ``low`` (negative: faded over) is at once; above ``high`` is left out."""
        seconds = np.asarray(values, dtype=np.int64)
        seconds = seconds[seconds <= high]
        return Pause(float((seconds < low).mean()), CutLogNormal.fit(seconds, low, high))


def _burr(x: Float64, middle: float) -> Burr:
    """The law at a point of the search: logarithms of the parameters, the scale in units of the median."""
    scale, shape, tail = np.exp(np.clip(x, -20.0, 20.0)) * [middle, 1.0, 1.0]
    return Burr(scale=float(scale), shape=float(shape), tail=float(tail))


def _at(reach: Float64, points: Float64) -> Int64:
    """Inverse of a cumulated distribution; the last sum may fall short of one by rounding."""
    return np.minimum(np.searchsorted(reach, points, side="right"), len(reach) - 1).astype(np.int64)


def _minimum(loss: Callable[[Float64], float], start: list[float]) -> Float64:
    from scipy.optimize import minimize  # not among the dependencies of sampling

    found: Float64 = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 2_000, "xatol": 1e-5}).x
    return found


POPULARITY = ZipfMandelbrot(exponent=0.832, shift=68.7)
"""Plays a track: yes-radio, 190,649 plays of 9,765 songs by hundreds of US stations."""
ARTIST_POPULARITY = ZipfMandelbrot(exponent=1.222, shift=13.1)
"""Plays an artist: HetRec Last.fm, 69 million plays by 1,892 listeners, the only individual listeners at hand."""
ACTIVITY = Burr(scale=3.712, shape=0.990, tail=4.693)
"""Plays a listener, in units of their mean (1.0): HetRec Last.fm. Close to Lomax's law."""
SESSION_LENGTH = CutLogNormal(mu=0.620, sigma=1.821, low=1, high=200)
"""Tracks a session (mean 10): yes-radio, 18,093 playlists as their publisher cut them. Radio, not listeners."""
PLAYLIST_LENGTH = CutLogNormal(mu=4.145, sigma=0.622, low=5, high=500)
"""Tracks a playlist (median 63): spotify-songs, 471 playlists, of which its crawler took 100 tracks at most."""
REPEAT = Repeat(Burr(scale=98.3, shape=2.398, tail=0.1540))
"""Lag to the last play of the same track: triple j, 134,943 plays in order. A station's rotation, not a listener's."""
PAUSE = Pause(at_once=0.421, wait=CutLogNormal(mu=3.728, sigma=0.852, low=7, high=120))
"""Seconds between tracks: triple j, gaps up to 120 s within a programme (the longer: talk, or a song not logged)."""
LENGTH_MS = Burr(scale=190_300.0, shape=6.92, tail=0.821)
"""Length of a track, ms: spotify-playlist-archive, 69,428 tracks (median 199 s)."""
RETURN = Burr(scale=24.0, shape=1.5, tail=1.0)
"""Hours between sessions of a listener (median a day). ASSUMED: no set at hand has the times of a listener."""

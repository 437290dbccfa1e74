"""Policies that fill slates by chance, and know by what chance: what off-policy evaluation needs of a logging policy.

The propensity of a slot is the probability of its track given the listener, the context and the slots above it, as it
stands in `impressions.propensity`. Their product down to a slot weighs that slot's reward (cascade estimators), the
product of all of them the whole slate's (inverse propensity scoring).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, softmax

from recsys.errors import InputError
from recsys.ragged import Float64, Int32, Int64
from recsys.simulation.contexts import Context
from recsys.simulation.listeners import Integers

_CELLS = 1 << 20
"""Numbers that one block of rows may hold in each of its arrays."""


class Slates(NamedTuple):
    """tracks: int32 (n, k), -1 for an empty slot; propensity: float64 (n, k), 1 where nothing was left to chance."""

    tracks: Int32
    propensity: Float64


class Policy(Protocol):
    def slates(self, rng: np.random.Generator, listener: Integers, context: Context) -> Slates:
        """One slate for each of n listeners (n,) in n contexts."""
        ...

    def propensity(self, listener: Integers, context: Context, tracks: Integers) -> Float64:
        """float64 (n, k): the propensity of each slot of slates that somebody else may have made, -1 for an empty slot;
        0 from the first slot on that this policy would never have filled so."""
        ...


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best-scored tracks first, or by chance: the Plackett-Luce law of ``scores / temperature``.

    candidates: int32 (c,), ascending: the tracks that may be shown. scores: of (listener, context) to (n, c), -inf for
    what is never shown to a listener; slots for which nothing is left stay empty. temperature: 0 ranks without chance;
    with equal scores any other gives the uniform policy. Slates are drawn by the Gumbel-top-k trick (Kool, van Hoof and
    Welling, "Stochastic beams and where to find them", ICML 2019, https://proceedings.mlr.press/v97/kool19a.html).
    Raises InputError for candidates that do not ascend, a size that they cannot fill, a temperature below 0.
    """

    candidates: Int32
    scores: Callable[[Integers, Context], npt.NDArray[np.floating[Any]]]
    size: int
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if self.candidates.ndim != 1 or bool((np.diff(self.candidates) <= 0).any()):
            raise InputError("candidates must be one-dimensional and ascend, each track once")
        if not 1 <= self.size <= len(self.candidates):
            raise InputError(f"size is {self.size}: it must lie from 1 to the {len(self.candidates)} candidates")
        if not self.temperature >= 0:
            raise InputError(f"temperature is {self.temperature}: it must be 0 or more")

    def slates(self, rng: np.random.Generator, listener: Integers, context: Context) -> Slates:
        tracks = np.empty((len(listener), self.size), dtype=np.int32)
        propensity = np.ones((len(listener), self.size))
        for rows, logits in self._logits(listener, context):
            keys = logits + rng.gumbel(size=logits.shape) if self.temperature else logits
            positions = self._best(keys)
            tracks[rows] = np.where(positions < 0, -1, self.candidates[positions])
            if self.temperature:
                propensity[rows] = _plackett_luce(logits, positions)
        return Slates(tracks, propensity)

    def propensity(self, listener: Integers, context: Context, tracks: Integers) -> Float64:
        if tracks.shape != (len(listener), self.size):
            raise InputError(f"slates have the shape {tracks.shape}: this policy makes {(len(listener), self.size)}")
        out = np.empty(tracks.shape)
        for rows, logits in self._logits(listener, context):
            found = np.searchsorted(self.candidates, tracks[rows]).clip(max=len(self.candidates) - 1)
            known = self.candidates[found] == tracks[rows]
            if self.temperature:
                chance = _plackett_luce(logits, np.where(known, found, -1))
            else:
                chance = np.where(known, found, -1) == self._best(logits)
            out[rows] = np.where(known | (tracks[rows] < 0), chance, 0.0)
        return np.where(np.cumprod(out, axis=1) > 0, out, 0.0)

    def probabilities(self, listener: Integers, context: Context) -> Float64:
        """float64 (n, c): of each candidate, to stand in the first slot. Raises InputError at a temperature of 0."""
        if not self.temperature:
            raise InputError("a ranking of temperature 0 leaves nothing to chance: ask for its slates")
        return np.concatenate([softmax(logits, axis=1) for _, logits in self._logits(listener, context)])

    def _logits(self, listener: Integers, context: Context) -> Iterator[tuple[Int64, Float64]]:
        """Block by block the rows and their scores over the temperature."""
        for rows in blocks(len(listener), len(self.candidates)):
            scores = np.asarray(self.scores(listener[rows], context.take(rows)), dtype=np.float64)
            yield rows, scores / (self.temperature or 1.0)

    def _best(self, keys: Float64) -> Int64:
        """(n, size) positions of the largest keys, best first; -1 where only -inf is left."""
        best = np.argpartition(-keys, self.size - 1, axis=1)[:, : self.size]
        values = np.take_along_axis(keys, best, axis=1)
        order = np.argsort(-values, axis=1)
        best = np.where(np.isneginf(values), -1, best)
        return np.take_along_axis(best, order, axis=1)


def blocks(n: int, width: int) -> Iterator[Int64]:
    """The rows from 0 to n in stretches, so that an array of one stretch by ``width`` stays small.

    >>> [rows.tolist() for rows in blocks(5, _CELLS // 2)]
    [[0, 1], [2, 3], [4]]
    """
    step = max(1, _CELLS // max(width, 1))
    for start in range(0, n, step):
        yield np.arange(start, min(start + step, n))


def _plackett_luce(logits: Float64, positions: Int64) -> Float64:
    """(n, k) probability of each position given those before it, drawn without replacement by ``logits`` (n, c).

    positions: (n, k), -1 for none, which is certain where only -inf is left. What is left is summed afresh for each
    slot: one minus the probability of those above would lose all digits of a peaked law.
    """
    left, rows = logits.copy(), np.arange(len(logits))
    out = np.empty(positions.shape)
    for slot, position in enumerate(positions.T):
        total = logsumexp(left, axis=1)
        none_left, empty = np.isneginf(total), position < 0
        chosen = np.where(empty, -np.inf, left[rows, position])
        out[:, slot] = np.where(none_left, empty, np.exp(chosen - np.where(none_left, 0.0, total)))
        left[rows[~empty], position[~empty]] = -np.inf
    return out

"""The closed loop: listeners answer what they are shown, and what a policy is truly worth can be computed.

Whoever estimates the worth of a policy, by an A/B test or from logs of another, can be checked against `value`: it
knows the listeners' utilities, and takes the expectation over their reactions exactly. Where slates are drawn by chance
it averages these expectations over drawn slates (Rao-Blackwell), and says by how much the mean may be off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.errors import InputError
from recsys.ragged import Float32, Float64
from recsys.simulation.contexts import Context
from recsys.simulation.feedback import Expected, Reactions, Reward, expected, react
from recsys.simulation.listeners import Integers, Listeners
from recsys.simulation.music import Music
from recsys.simulation.policies import Policy, blocks
from recsys.simulation.preferences import Preference


@dataclass(frozen=True, slots=True)
class Value:
    """rows: float64 (n,), the expected reward of a slate to each listener; standard_error: of their mean, 0 where
    nothing was drawn."""

    rows: Float64
    standard_error: float = 0.0

    @property
    def mean(self) -> float:
        return float(self.rows.mean())


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """All take n listeners (n,), n contexts and slates (n, k) of tracks, -1 for an empty slot. Listeners and tracks are
    indices into the world's arrays; others, and unlike lengths, raise InputError."""

    music: Music
    listeners: Listeners
    preference: Preference

    def utility(self, listener: Integers, context: Context, slate: Integers) -> Float32:
        """float32 (n, k), the logit of hearing a track to its end; -inf for what cannot be played and empty slots."""
        self._check(listener, context, slate)
        out = np.empty(slate.shape, dtype=np.float32)
        # The latent vectors of a block are its largest array.
        for rows in blocks(len(listener), slate.shape[1] * 4):
            tracks = np.maximum(slate[rows], 0)
            out[rows] = self.preference.utility(self.music, self.listeners, listener[rows], context.take(rows), tracks)
        return np.where(slate < 0, np.float32(-np.inf), out)

    def react(self, listener: Integers, context: Context, slate: Integers, rng: np.random.Generator) -> Reactions:
        """What the listeners do with their slates, drawn once."""
        self._check(listener, context, slate)
        out = Reactions(*np.zeros((3, *slate.shape), dtype=np.bool_))
        for rows in blocks(len(listener), slate.shape[1]):
            utility = self.utility(listener[rows], context.take(rows), slate[rows])
            for whole, part in zip(out, react(rng, utility, self._songs(slate[rows])), strict=True):
                whole[rows] = part
        return out

    def expected(self, listener: Integers, context: Context, slate: Integers) -> Expected:
        """The exact expectation of `react`."""
        return expected(self.utility(listener, context, slate), self._songs(slate))

    def value(
        self,
        policy: Policy,
        listener: Integers,
        context: Context,
        rng: np.random.Generator,
        *,
        reward: Reward | None = None,
        draws: int = 64,
    ) -> Value:
        """What a slate of the policy is worth: exact where the policy leaves nothing to chance, else over ``draws``
        slates for each listener, 2 at least. By default the reward is the number of tracks heard to their end."""
        if draws < 2:
            raise InputError(f"draws is {draws}: it must be 2 or more, to tell how far the mean may be off")
        reward = reward or Reward()
        mean, squares = np.zeros(len(listener)), np.zeros(len(listener))
        for drawn in range(1, draws + 1):
            slates = policy.slates(rng, listener, context)
            worth = self._worth(listener, context, slates.tracks, reward)
            if drawn == 1 and bool((slates.propensity == 1).all()):
                return Value(worth)
            # Welford's running mean and sum of squares: no (draws, n) array.
            change = worth - mean
            mean += change / drawn
            squares += change * (worth - mean)
        variance = squares / (draws - 1) / draws
        return Value(mean, float(np.sqrt(variance.sum())) / len(listener))

    def choice_value(
        self,
        candidates: Integers,
        probabilities: Float64,
        listener: Integers,
        context: Context,
        *,
        reward: Reward | None = None,
    ) -> Value:
        """What it is worth to show one track, drawn from ``candidates`` (c,) by ``probabilities`` (n, c): exact."""
        if probabilities.shape != (len(listener), len(candidates)):
            wanted = (len(listener), len(candidates))
            raise InputError(
                f"probabilities has the shape {probabilities.shape}: listeners and candidates ask for {wanted}"
            )
        out = np.empty(len(listener))
        for rows in blocks(len(listener), len(candidates)):
            offered = np.broadcast_to(candidates, (len(rows), len(candidates)))
            utility = self.utility(listener[rows], context.take(rows), offered)
            alone = expected(utility.reshape(-1, 1), self._songs(offered).reshape(-1, 1))
            worth = (reward or Reward()).of(alone).reshape(offered.shape)
            out[rows] = (worth * probabilities[rows]).sum(axis=1)
        return Value(out)

    def _worth(self, listener: Integers, context: Context, slate: Integers, reward: Reward) -> Float64:
        """(n,) the expected reward of each slate."""
        out = np.empty(len(listener))
        for rows in blocks(len(listener), slate.shape[1]):
            out[rows] = reward.of(self.expected(listener[rows], context.take(rows), slate[rows])).sum(axis=1)
        return out

    def _songs(self, slate: Integers) -> Integers:
        return np.where(slate < 0, -1, self.music.version_of[np.maximum(slate, 0)])

    def _check(self, listener: Integers, context: Context, slate: Integers) -> None:
        if slate.ndim != 2 or not len(listener) == len(context) == len(slate):
            raise InputError(
                f"{len(listener)} listeners, {len(context)} contexts, slates of the shape {slate.shape}: "
                "for n listeners n contexts and slates (n, k) are wanted"
            )
        for what, indices, lowest, end in (
            ("listener", listener, 0, len(self.listeners)),
            ("slate", slate, -1, len(self.music)),
        ):
            if indices.size and not (lowest <= indices.min() and indices.max() < end):
                raise InputError(
                    f"{what}: indices must lie from {lowest} to {end - 1}; found {indices.min()} to {indices.max()}"
                )

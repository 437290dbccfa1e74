"""Exploration: a few fixed slots of a slate go to a track by chance, and the chance is written down.

The draw of a slot is made from the tracks that may stand there, given the slots before it, so that the probability
logged with it is the one that off-policy estimators need (Li et al., WSDM 2011; Swaminathan et al., NeurIPS 2017,
section 2). Nothing reorders after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from recsys.ragged import Float32, Float64, Int32
from recsys.ranking.slate.base import Candidates, HardRule, SlateContext


class ExplorationConfig(Protocol):
    """What a draw has to know; `recsys.policy.Exploration` says it in a policy."""

    @property
    def slots(self) -> Sequence[int]: ...
    @property
    def pool(self) -> int: ...
    @property
    def temperature(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Slate:
    """What is shown. candidates: one a place; propensities: float32 (places,), the probability of that track in that
    slot given the slots before it, NaN where the slot was not left to chance; pools: int32 (places,), from how many
    tracks it was drawn, 0 where it was not; seed: of all draws, 0 where there was none."""

    candidates: Candidates
    propensities: Float32
    pools: Int32
    seed: int

    @classmethod
    def without_chance(cls, candidates: Candidates, places: int) -> Self:
        """The first ``places``."""
        shown = candidates.take(np.arange(min(places, len(candidates))))
        return cls(shown, np.full(len(shown), np.nan, np.float32), np.zeros(len(shown), np.int32), 0)


def draw_seed(request_id: str, policy_version: str) -> int:
    """Seed of a request's draws, 1 to 2**64 - 1: the same request under the same policy draws the same.

    >>> draw_seed("r1", "0a1b2c3d4e5f") == draw_seed("r1", "0a1b2c3d4e5f") != draw_seed("r2", "0a1b2c3d4e5f")
    True
    """
    digest = hashlib.sha256(f"{request_id}\0{policy_version}".encode()).digest()
    return int.from_bytes(digest[:8], "big") or 1


def explore(
    candidates: Candidates, config: ExplorationConfig, rules: Sequence[HardRule], context: SlateContext, seed: int
) -> Slate:
    """The slate of ``context.places``: the arranged candidates, with the slots of ``config`` drawn by chance.

    The best candidates fill the other places in their order. A slot is drawn from the next ``config.pool`` behind
    them: those not drawn before that every rule lets stand there, between the tracks on both sides. All alike, or with
    a ``temperature`` by exp(utility / temperature), the utility falling evenly from 1 to 0 over the pool. Where the
    rules let none in, the best of the pool comes, and the slot was not left to chance.
    """
    places = min(context.places, len(candidates))
    slots = [slot for slot in config.slots if slot < places]
    if not slots:
        return Slate.without_chance(candidates, context.places)
    kept = places - len(slots)
    pool = candidates.take(np.arange(kept, min(kept + max(config.pool, len(slots)), len(candidates))))
    weights = _weights(len(pool), config.temperature)
    filled = np.ones(places, dtype=np.bool_)
    filled[slots] = False
    rows = np.zeros(places, dtype=np.int64)
    rows[filled] = np.arange(kept)
    slate = candidates.take(rows)
    propensities = np.full(places, np.nan, dtype=np.float32)
    pools = np.zeros(places, dtype=np.int32)
    left = np.ones(len(pool), dtype=np.bool_)
    random = np.random.Generator(np.random.PCG64(seed))
    for slot in slots:
        eligible = left.copy()
        for rule in rules:
            eligible &= rule.keeps(slate, filled, slot, pool, context)
        among = eligible.nonzero()[0]
        if len(among):
            cumulative = weights[among].cumsum()
            drawn = int(cumulative.searchsorted(random.random() * cumulative[-1], side="right"))
            chosen = among[min(drawn, len(among) - 1)]
            propensities[slot] = weights[chosen] / cumulative[-1]
            pools[slot] = len(among)
        else:
            chosen = left.argmax()
        left[chosen] = False
        filled[slot] = True
        rows[slot] = kept + chosen
        slate = candidates.take(rows)
    return Slate(slate, propensities, pools, seed)


def _weights(n: int, temperature: float | None) -> Float64:
    """(n,) what each candidate of the pool weighs in a draw."""
    if temperature is None:
        return np.ones(n)
    return np.exp(-np.arange(n) / max(n - 1, 1) / temperature)

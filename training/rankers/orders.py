"""Orders of a pool of candidates, and the slates that they give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys.ragged import Float32, Int32
from recsys.ranking.pool import Pool

SOFTNESS = 60.0
"""Of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)."""


def by_steps(pool: Pool, steps: Sequence[int]) -> Float32:
    """(m,) without a ranker: an earlier step of sources before a later one, within one by reciprocal rank fusion.

    steps: the step of each source, (S,).

    >>> first = [(np.array([7, 3], np.int32), np.ones(2, np.float32))]
    >>> second = [(np.array([3, 5], np.int32), np.ones(2, np.float32))]
    >>> pool = Pool.of([first, second])
    >>> slates(pool, by_steps(pool, [0, 1]), 3).tolist(), slates(pool, by_steps(pool, [0, 0]), 3).tolist()
    ([[7, 3, 5]], [[3, 7, 5]])
    """
    proposed = pool.ranks >= 0
    step = np.where(proposed, np.array(steps), len(steps)).min(axis=1)
    counted = proposed & (np.array(steps) == step[:, None])
    votes = np.where(counted, 1.0 / (SOFTNESS + pool.ranks), 0.0).sum(axis=1)
    scores: Float32 = (votes - step).astype(np.float32)
    return scores


def slates(pool: Pool, scores: Float32, k: int) -> Int32:
    """(n, k) the items of each request by their score, best first, equal ones by their index; -1 past the last."""
    order = np.lexsort((-scores, pool.requests))
    place = np.arange(len(pool)) - pool.offsets[pool.requests]
    out = np.full((pool.n_requests, k), -1, np.int32)
    shown = place < k
    out[pool.requests[shown], place[shown]] = pool.items[order][shown]
    return out

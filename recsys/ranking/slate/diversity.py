"""Unlike each other: maximal marginal relevance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.ranking.slate.base import Candidates, SlateContext, utility

REACH = 5
"""A slate is chosen from this many times its places, the best ones: what stands further down is no match for them."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) with one knob.

    Each place goes to the candidate with the largest (1 - diversity) x utility - diversity x cosine to the most alike
    track placed before; the utility is that of the incoming place. 0: the order stays; 1: only unlikeness counts after
    the first place. Where no source knows items as vectors, the order stays.
    """

    diversity: float

    def arrange(self, candidates: Candidates, context: SlateContext) -> Candidates:
        n = min(len(candidates), REACH * context.places)
        if context.vectors is None or n < 2 or self.diversity == 0:
            return candidates
        vectors = context.vectors(candidates.items[:n])
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        scaled = vectors * (np.sqrt(self.diversity) / np.maximum(lengths, 1e-12)).astype(np.float32)[:, None]
        # What each candidate is worth beside each that is placed; one that is placed is worth nothing more.
        beside = ((1 - self.diversity) * utility(n)).astype(np.float32) - scaled @ scaled.T
        beside.flat[:: n + 1] = -np.inf
        worth = beside[0].copy()
        order = [0]
        for _ in range(min(n, context.places) - 1):
            order.append(int(worth.argmax()))
            np.minimum(worth, beside[order[-1]], out=worth)
        rest = np.ones(len(candidates), dtype=np.bool_)
        rest[order] = False
        return candidates.take(np.concatenate([np.array(order, dtype=np.int64), np.flatnonzero(rest)]))

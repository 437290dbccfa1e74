"""Candidate sources: the parts of a bundle that propose tracks for a history, behind one interface."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from recsys.ragged import Bool, Float32, Int32, Ragged
from recsys.retrieval.index import FlatIndex, unit
from recsys.scoring.base import Evidence, Scorer, top_k


class Source(Protocol):
    """Proposes tracks for a history."""

    name: str

    def candidates(self, history: Int32, allowed: Bool, k: int) -> tuple[Int32, Float32]:
        """At most k allowed items that the source has evidence for, best first, and their scores."""
        ...

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """Why each of ``items`` for ``history``."""
        ...


@runtime_checkable
class HasItemVectors(Protocol):
    """A scorer that knows every item as a vector."""

    item_vectors: Float32
    """(n_items, dim)"""


class ScorerSource:
    """Ranks by a scorer all that it has evidence for: what it does not score exactly 0 (recsys.scoring.base)."""

    def __init__(self, name: str, scorer: Scorer) -> None:
        self.name = name
        self._scorer = scorer

    def candidates(self, history: Int32, allowed: Bool, k: int) -> tuple[Int32, Float32]:
        scores = self._scorer.scores(Ragged.from_lengths(history, [len(history)]))[0]
        known = np.flatnonzero(allowed & (scores != 0)).astype(np.int32)
        best, values = top_k(scores[None, known], k)
        return known[best[0]], values[0]

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        return self._scorer.evidence(history, items)


class VectorSource:
    """Cosine to the mean direction of the history, by exact search over the item vectors.

    Their mean is taken off first: what all vectors share says nothing of likeness (Mu and Viswanath 2018,
    "All-but-the-top", section 2).
    """

    def __init__(self, name: str, vectors: Float32) -> None:
        self.name = name
        self._vectors = unit(vectors - vectors.mean(axis=0))
        self._index = FlatIndex(self._vectors)

    def candidates(self, history: Int32, allowed: Bool, k: int) -> tuple[Int32, Float32]:
        if not len(history):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        # What points away from the history is not like it.
        middle = unit(self._vectors[history].mean(axis=0, keepdims=True))
        items, scores = self._index.search(middle, k, allowed)
        known = (items[0] >= 0) & (scores[0] > 0)
        return items[0][known], scores[0][known]

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """The track of the history that is closest to each item."""
        return Evidence.strongest(self._vectors[history] @ self._vectors[items].T, history)


def sources_of(surface: str, name: str, scorer: Scorer) -> Source:
    """Likeness is a matter of item vectors, where the scorer has them; everything else is the scorer's ranking."""
    if surface == "similar" and isinstance(scorer, HasItemVectors):
        return VectorSource(name, scorer.item_vectors)
    return ScorerSource(name, scorer)

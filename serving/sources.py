"""Candidate sources: the parts of a bundle that propose tracks for a history, behind one interface."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from recsys.ragged import Bool, Float32, Int32, Ragged
from recsys.retrieval.index import FlatIndex, unit
from recsys.scoring.base import Evidence, Scorer, rank


class Source(Protocol):
    """Proposes tracks for a history."""

    name: str

    def candidates(self, history: Int32, allowed: Bool, k: int) -> tuple[Int32, Float32]:
        """At most k allowed items that the source has evidence for, best first, and their scores."""
        ...

    def evidence(self, history: Int32, item: int) -> Evidence | None:
        """Why ``item`` for ``history``; None where the source cannot say."""
        ...


@runtime_checkable
class HasItemVectors(Protocol):
    """A scorer that knows every item as a vector."""

    item_vectors: Float32
    """(n_items, dim)"""


class ScorerSource:
    """Ranks the whole catalogue by a scorer. A score of 0 or less is no evidence (recsys.scoring.base).

    But inner products with item vectors have no zero point (softmax training leaves it free): there a known history
    is evidence for every item.
    """

    def __init__(self, name: str, scorer: Scorer) -> None:
        self.name = name
        self._scorer = scorer
        self._floor = -np.inf if isinstance(scorer, HasItemVectors) else 0.0

    def candidates(self, history: Int32, allowed: Bool, k: int) -> tuple[Int32, Float32]:
        asked = Ragged.from_lengths(history, [len(history)])
        _, items, scores = next(rank(self._scorer, asked, k, mask_history=False, allowed=allowed))
        known = (items[0] >= 0) & (scores[0] > (self._floor if len(history) else 0.0))
        return items[0][known], scores[0][known]

    def evidence(self, history: Int32, item: int) -> Evidence | None:
        return self._scorer.evidence(history, item)


class VectorSource:
    """Cosine to the mean direction of the history, by exact search over the item vectors."""

    def __init__(self, name: str, vectors: Float32) -> None:
        self.name = name
        self._vectors = unit(vectors)
        self._index = FlatIndex(self._vectors)

    def candidates(self, history: Int32, allowed: Bool, k: int) -> tuple[Int32, Float32]:
        if not len(history):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        middle = unit(self._vectors[history].mean(axis=0, keepdims=True))
        items, scores = self._index.search(middle, k, allowed)
        known = (items[0] >= 0) & (scores[0] > 0)
        return items[0][known], scores[0][known]

    def evidence(self, history: Int32, item: int) -> Evidence | None:
        """The track of the history that is closest to the item."""
        closest = int(history[np.argmax(self._vectors[history] @ self._vectors[item])])
        return Evidence(seed=closest, count=0)


def sources_of(surface: str, name: str, scorer: Scorer) -> Source:
    """Likeness is a matter of item vectors, where the scorer has them; everything else is the scorer's ranking."""
    if surface == "similar" and isinstance(scorer, HasItemVectors):
        return VectorSource(name, scorer.item_vectors)
    return ScorerSource(name, scorer)

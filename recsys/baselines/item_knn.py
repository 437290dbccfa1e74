"""Item-kNN: items that were played in the same sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from recsys.baselines.base import Baseline, Days
from recsys.baselines.counting import CountedNeighbours, Rule, counted_by_day
from recsys.dataset import Sequences
from recsys.scoring.neighbours import ItemNeighbours
from recsys.scoring.postings import Postings, distinct


class ItemKNN(Baseline):
    """Similarity of two items from the sequences that hold both, in any order (Sarwar et al. 2001)."""

    name: ClassVar[str] = "item-knn"

    neighbours: int = Field(default=500, ge=1)
    """Similar items kept for each item."""
    length: float = Field(default=0.5, ge=0)
    """A sequence of n items counts n ** -length, as TF-IDF and BM25 weigh a long document's words less."""
    balance: float = Field(default=0.5, ge=0, le=1)
    """0.5: cosine; 0: the chance of the partner given the item, which favours popular partners; 1: the reverse."""
    shrinkage: float = Field(default=0.0, ge=0)
    """Added to the denominator: pairs that rest on few sequences count less."""
    recency: float = Field(default=0.0, ge=0)
    """The a-th item from the history's end, a from 0, weighs (1 + a) ** -recency."""
    last: int = Field(default=100, ge=1)
    """Only so many items of the history's end count."""

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> ItemNeighbours:
        postings = Postings.build(distinct(train.items), train.n_items)
        return ItemNeighbours(CountedNeighbours.build(postings, self._rule()).stored(), self.recency, self.last)

    @classmethod
    def grid(cls) -> list[Self]:
        return [cls(length=length, balance=balance) for length in (0.5, 0.0) for balance in (0.5, 0.3)]

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, ItemNeighbours]]:
        for day, table in counted_by_day(history, days, self._rule()):
            yield day, ItemNeighbours(table, self.recency, self.last)

    def _rule(self) -> Rule:
        return Rule(
            window=1 << 30,
            distance=0.0,
            backward=1.0,
            length=self.length,
            balance=self.balance,
            shrinkage=self.shrinkage,
            neighbours=self.neighbours,
        )

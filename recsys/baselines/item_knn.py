"""Item-kNN and sequential rules: the items that went with those of the history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from recsys.baselines.base import Baseline, Days
from recsys.baselines.counting import Rule, count, count_live
from recsys.dataset import Sequences
from recsys.scoring.neighbours import ItemNeighbours


class _Neighbours(Baseline):
    """What the two share; they differ in which pairs of a sequence they count."""

    neighbours: int = Field(default=500, ge=1)
    """So many items are kept for each item."""
    length: float = Field(default=0.5, ge=0)
    """A sequence of n items counts n ** -length, as TF-IDF weighs the words of a long document less."""
    balance: float = Field(default=0.3, ge=0, le=1)
    """0.5: cosine; 0: the chance of the partner given the item, which favours popular partners; 1: the reverse."""
    shrinkage: float = Field(default=0.0, ge=0)
    """Added to the denominator: pairs that rest on few sequences count less."""
    recency: float = Field(default=0.5, ge=0)
    """The a-th item from the history's end, a from 0, weighs (1 + a) ** -recency."""
    last: int = Field(default=100, ge=1)
    """Only so many items of the history's end count."""
    half_life_days: float | None = Field(default=None, gt=0)
    """A sequence is worth half as much after every so many days; None: age does not matter."""

    @property
    def timed(self) -> bool:
        return self.half_life_days is not None

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> ItemNeighbours:
        return ItemNeighbours(count(train, self._rule(), as_of), self.recency, self.last)

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, ItemNeighbours]]:
        """Counts, for the items that are asked for, what precedes each day: the same figures as a fit on that day."""
        for day, table in count_live(history, days, self._rule()):
            yield day, ItemNeighbours(table, self.recency, self.last)

    def _rule(self) -> Rule:
        """Every pair of a sequence."""
        return Rule(
            window=1 << 30,
            distance=0.0,
            backward=1.0,
            length=self.length,
            balance=self.balance,
            shrinkage=self.shrinkage,
            neighbours=self.neighbours,
            half_life_days=self.half_life_days,
        )


class ItemKNN(_Neighbours):
    """Items of the same sequences, in any order (Sarwar, Karypis, Konstan and Riedl 2001, section 3)."""

    name: ClassVar[str] = "item-knn"

    @classmethod
    def grid(cls) -> list[Self]:
        return [
            cls(recency=0.0),
            cls(recency=0.2, balance=0.25),
            cls(recency=1.0),
            cls(recency=0.0, half_life_days=7.0),
            cls(recency=0.0, half_life_days=30.0),
            cls(recency=0.5, half_life_days=365.0),
        ]


class SequentialRules(_Neighbours):
    """Items that came soon after the history's, nearer ones for more (Ludewig and Jannach 2018, section 3.1, SR)."""

    name: ClassVar[str] = "sequential-rules"

    length: float = Field(default=0.0, ge=0)
    """A sequence of n items counts n ** -length."""
    window: int = Field(default=20, ge=1)
    """The partner came at most so many places later."""
    distance: float = Field(default=0.5, ge=0)
    """A partner d places later counts d ** -distance."""
    backward: float = Field(default=0.0, ge=0)
    """What a partner that came before counts, against 1 for one that came after; 0 is a strict rule."""

    @classmethod
    def grid(cls) -> list[Self]:
        return [
            cls(backward=0.7, recency=0.2, distance=0.3),
            cls(backward=0.3, recency=1.0),
            cls(backward=0.0, recency=1.0),
            cls(backward=0.7, recency=0.2, distance=0.3, half_life_days=14.0),
            cls(backward=0.3, recency=1.0, half_life_days=365.0),
        ]

    def _rule(self) -> Rule:
        return replace(super()._rule(), window=self.window, distance=self.distance, backward=self.backward)

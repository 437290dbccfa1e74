"""Popularity, and popularity that forgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from recsys.baselines.base import Baseline, Days, by_day, start_days
from recsys.dataset import Sequences
from recsys.ragged import Float64
from recsys.scoring.popularity import Popularity as Scorer


class Popularity(Baseline):
    """Items by how often they were played."""

    name: ClassVar[str] = "popularity"

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> Scorer:
        counts = np.bincount(train.items.values, minlength=train.n_items)
        return Scorer(counts.astype(np.float32), counts)

    @classmethod
    def grid(cls) -> list[Self]:
        return [cls()]

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, Scorer]]:
        counts = np.zeros(history.n_items, dtype=np.int64)
        for day, new in by_day(history, days):
            counts = counts + np.bincount(new.items.values, minlength=history.n_items)
            yield day, Scorer(counts.astype(np.float32), counts)


class DecayedPopularity(Baseline):
    """Items by their plays, each play worth half as much after every ``half_life_days``."""

    name: ClassVar[str] = "decayed-popularity"
    needs_time: ClassVar[bool] = True

    half_life_days: float = Field(default=14.0, gt=0)
    """Days after which a play counts half."""

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> Scorer:
        if as_of is None:
            as_of = max(start_days(train, self.name), default=np.datetime64(0, "D")) + 1
        return Scorer(
            self._decayed(train, as_of).astype(np.float32), np.bincount(train.items.values, minlength=train.n_items)
        )

    @classmethod
    def grid(cls) -> list[Self]:
        return [cls(half_life_days=days) for days in (14.0, 3.0, 7.0, 30.0, 90.0, 365.0)]

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, Scorer]]:
        counts = np.zeros(history.n_items, dtype=np.int64)
        weights = np.zeros(history.n_items)
        last: np.datetime64 | None = None
        for day, new in by_day(history, days):
            if last is not None:
                weights *= np.exp2(-(day - last).astype(float) / self.half_life_days)
            weights += self._decayed(new, day)
            counts = counts + np.bincount(new.items.values, minlength=history.n_items)
            last = day
            yield day, Scorer(weights.astype(np.float32), counts)

    def _decayed(self, sequences: Sequences, as_of: np.datetime64) -> Float64:
        """(n_items,) plays, each weighted by its age on that day."""
        age = (as_of - start_days(sequences, self.name)).astype(np.float64)
        weights = np.repeat(np.exp2(-age / self.half_life_days), sequences.items.lengths)
        return np.bincount(sequences.items.values, weights, sequences.n_items).astype(np.float64)

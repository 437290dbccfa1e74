"""Popularity, and popularity that forgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from recsys.baselines.base import Baseline, Days, cuts, oldest_first, start_days, worth
from recsys.dataset import Sequences
from recsys.scoring.popularity import Popularity as Scorer


class Popularity(Baseline):
    """Items by how often they were played."""

    name: ClassVar[str] = "popularity"

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> Scorer:
        return _count(train, len(train), None, as_of)

    @classmethod
    def grid(cls) -> list[Self]:
        return [cls()]

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, Scorer]]:
        history = oldest_first(history)
        for day, cut in cuts(history, days):
            yield day, _count(history, cut, None, day)


class DecayedPopularity(Baseline):
    """Items by their plays, each play worth half as much after every ``half_life_days``."""

    name: ClassVar[str] = "decayed-popularity"
    needs_time: ClassVar[bool] = True

    half_life_days: float = Field(default=7.0, gt=0)
    """Days after which a play counts half."""

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> Scorer:
        start_days(train, self.name)
        return _count(train, len(train), self.half_life_days, as_of)

    @classmethod
    def grid(cls) -> list[Self]:
        return [cls(half_life_days=days) for days in (7.0, 3.0, 14.0, 30.0, 90.0, 365.0)]

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, Scorer]]:
        history = oldest_first(history)
        for day, cut in cuts(history, days):
            yield day, _count(history, cut, self.half_life_days, day)


def _count(sequences: Sequences, cut: int, half_life_days: float | None, as_of: np.datetime64 | None) -> Scorer:
    """Plays in the first ``cut`` sequences, weighted by their worth on the day ``as_of``."""
    items = sequences.items.values[: sequences.items.offsets[cut]]
    weights = np.repeat(worth(sequences, half_life_days, as_of)[:cut], sequences.items.lengths[:cut])
    weighted = np.bincount(items, weights, sequences.n_items).astype(np.float32)
    return Scorer(weighted, np.bincount(items, minlength=sequences.n_items))

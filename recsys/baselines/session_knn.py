"""Session-kNN: the training sequences most like the history, as in VSTAN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from recsys.baselines.base import Baseline, Days, cuts, oldest_first, worth
from recsys.dataset import Sequences
from recsys.scoring.postings import Postings, distinct
from recsys.scoring.sequences import Matching, SequenceNeighbours


class SessionKNN(Baseline):
    """Sequences that share items with the history vote for their other items.

    Recency of the history, rarity of the shared items, age of the sequence and distance from the shared item are the
    weights of VSTAN (Ludewig, Mauro, Latifi and Jannach 2021, section 3); its exponential decays are powers here, and
    ``amplify`` is case amplification (Breese, Heckerman and Kadie 1998, section 2.2.3).
    """

    name: ClassVar[str] = "session-knn"

    neighbours: int = Field(default=500, ge=1)
    """So many of the most similar sequences vote."""
    recency: float = Field(default=0.1, ge=0)
    """The a-th item from the history's end, a from 0, weighs (1 + a) ** -recency."""
    last: int = Field(default=50, ge=1)
    """Only so many items of the history's end are matched."""
    rarity: float = Field(default=1.5, ge=0)
    """A shared item weighs log(sequences / those that hold it) ** rarity."""
    length: float = Field(default=0.3, ge=0)
    """similarity = shared weight / n ** length, for a sequence of n items."""
    amplify: float = Field(default=2.5, gt=0)
    """A sequence votes with similarity ** amplify: above 1 the nearest count for more."""
    distance: float = Field(default=0.1, ge=0)
    """A vote for an item d places from the latest shared one counts d ** -distance."""
    backward: float = Field(default=0.85, ge=0)
    """What an item that came before the latest shared one counts, against 1 for one that came after."""
    half_life_days: float | None = Field(default=None, gt=0)
    """A sequence is worth half as much after every so many days; None: age does not matter."""

    @property
    def timed(self) -> bool:
        return self.half_life_days is not None

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> SequenceNeighbours:
        return self._scorer(oldest_first(train), as_of)

    @classmethod
    def grid(cls) -> list[Self]:
        return [
            cls(),
            cls(amplify=2.0, rarity=2.5, length=0.25),
            cls(amplify=2.0, length=0.5, rarity=1.0, distance=0.0, backward=1.0),
            cls(recency=0.7, rarity=0.0, length=0.2, amplify=2.0, distance=0.3),
            cls(recency=1.0, rarity=0.5, amplify=1.5, distance=0.5, backward=0.7),
            cls(amplify=1.0, distance=0.0, half_life_days=7.0),
            cls(amplify=2.0, distance=0.0, half_life_days=30.0),
            cls(amplify=1.0, distance=0.0, half_life_days=365.0),
        ]

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, SequenceNeighbours]]:
        """One index over ``history`` serves every day; each day sees only what precedes it."""
        history = oldest_first(history)
        scorer = self._scorer(history, None)
        for day, cut in cuts(history, days):
            yield day, scorer.until(cut, worth(history, self.half_life_days, day))

    def _scorer(self, sequences: Sequences, as_of: np.datetime64 | None) -> SequenceNeighbours:
        matching = Matching(**self.model_dump(include={f.name for f in fields(Matching)}))
        postings = Postings.build(distinct(sequences.items), sequences.n_items)
        return SequenceNeighbours(postings, worth(sequences, self.half_life_days, as_of), matching)

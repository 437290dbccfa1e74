"""A mix of simple models, each fitted on its own, their rankings weighted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from recsys.baselines.base import Baseline, Days
from recsys.baselines.factorization import ALS
from recsys.baselines.item_knn import ItemKNN, SequentialRules
from recsys.baselines.popularity import DecayedPopularity, Popularity
from recsys.baselines.session_knn import SessionKNN
from recsys.dataset import Sequences
from recsys.scoring import mix as scoring
from recsys.scoring.base import Scorer

MEMBERS: dict[str, type[Baseline]] = {
    cls.name: cls for cls in (Popularity, DecayedPopularity, ItemKNN, SequentialRules, SessionKNN, ALS)
}
"""What a mix may hold."""


class Mix(Baseline):
    """The members' rankings in a weighted sum, see recsys.scoring.mix; recsys.baselines.tuning finds the weights."""

    name: ClassVar[str] = "mix"

    members: dict[str, SerializeAsAny[Baseline]] = Field(min_length=1)
    """Configs by name."""
    weights: dict[str, float]
    """By name, above 0."""
    votes: Literal["score", "rank"] = "score"
    """Whether a member votes for an item by its share of the member's best score, or by its rank alone."""
    softness: float = Field(default=30.0, gt=0)
    """Votes by rank: an item on rank r, from 0, gets softness / (softness + r)."""
    depth: int = Field(default=1000, ge=1)
    """So many of each member's ranking count."""
    repeats: float = Field(default=1.0, ge=0)
    """Factor on the score of what the history holds already."""

    @field_validator("members", mode="before")
    @classmethod
    def _by_name(cls, members: Mapping[str, Any]) -> dict[str, Baseline]:
        if unknown := set(members) - set(MEMBERS):
            raise ValueError(f"a mix cannot hold {sorted(unknown)}; it can hold {sorted(MEMBERS)}")
        return {name: MEMBERS[name].model_validate(config) for name, config in members.items()}

    @model_validator(mode="after")
    def _a_weight_each(self) -> Self:
        if set(self.weights) != set(self.members) or any(w <= 0 for w in self.weights.values()):
            raise ValueError("a mix needs a weight above 0 for each of its members")
        return self

    @classmethod
    def of(cls, *members: tuple[Baseline, float], **settings: Any) -> Self:
        """From members with their weights.

        >>> Mix.of((ItemKNN(), 1.0), (Popularity(), 0.1), votes="rank").weights
        {'item-knn': 1.0, 'popularity': 0.1}
        """
        configs = {member.name: member for member, _ in members}
        return cls(members=configs, weights={member.name: weight for member, weight in members}, **settings)

    @property
    def timed(self) -> bool:
        return any(member.timed for member in self.members.values())

    @property
    def random(self) -> bool:
        return any(member.random for member in self.members.values())

    def seeded(self, seed: int) -> Self:
        members = {name: member.seeded(seed) for name, member in self.members.items()}
        return self.model_copy(update={"members": members})

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> scoring.Mix:
        return self._scorer(*(member.fit(train, as_of) for member in self.members.values()))

    @classmethod
    def grid(cls) -> list[Self]:
        """Where the search for weights starts: tuning puts tuned members in."""
        return [cls.of(*((member(), 1.0) for member in MEMBERS.values()))]

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, scoring.Mix]]:
        states = [member.live(history, days) for member in self.members.values()]
        for state in zip(*states, strict=True):
            yield state[0][0], self._scorer(*(scorer for _, scorer in state))

    def _scorer(self, *members: Scorer) -> scoring.Mix:
        weights = tuple(self.weights[name] for name in self.members)
        return scoring.Mix(members, weights, self.votes, self.softness, self.depth, self.repeats)

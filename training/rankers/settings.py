"""The settings of `segue ranker`: table `ranker` of segue.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from recsys.ranking.pool import MOST
from recsys.ranking.ranker import Trees
from recsys.settings import Settings


class RankerSettings(Settings, table="ranker"):
    """From what `segue ranker` learns, and how."""

    seeds: list[int] = Field(default=[1, 2, 3], min_length=1)
    """One ranker a seed; the figures are means over them, and the first is served."""
    candidates: Annotated[int, Field(ge=1, le=MOST)] = 200
    """How many candidates each source gives, in training and then in serving."""
    objective: Literal["lambdarank", "binary"] = "lambdarank"
    """lambdarank: NDCG within each query; binary: the chance that a candidate is right."""
    trees: int = Field(default=100, ge=1)
    """At most so many; the held part says how many."""
    leaves: int = Field(default=31, ge=2)
    """Leaves of a tree."""
    learning_rate: float = Field(default=0.1, gt=0)
    """What each tree adds of its correction."""
    min_leaf: int = Field(default=50, ge=1)
    """Candidates that a leaf must hold."""
    queries: int = Field(default=10_000, ge=1)
    """At most so many queries of validation are learned from, and at most so many of test are asked."""
    negatives: int = Field(default=100, ge=1)
    """So many wrong candidates, on average, stand beside the right ones of a query in training."""
    held: float = Field(default=0.4, gt=0, lt=1)
    """Share of the validation clusters (listeners, sessions, playlists) that no tree grows from: half of them say how
    many trees there are, the others whether there is a gain."""

    def grown(self, seed: int) -> Trees:
        return Trees(
            objective=self.objective,
            count=self.trees,
            leaves=self.leaves,
            min_leaf=self.min_leaf,
            learning_rate=self.learning_rate,
            seed=seed,
        )

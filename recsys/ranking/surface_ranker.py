"""The ranker of one surface as a bundle holds it: the trees, and what must be put before them.

model.txt      LightGBM's text format
ranker.json    RankerCard: the sources and features in their order, how it was trained, what it gained
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recsys.errors import InputError
from recsys.files import read_model, write_json
from recsys.ragged import Float32
from recsys.ranking.pool import MOST
from recsys.ranking.ranker import Ranker, Trees
from recsys.ranking.request_features import names


class RankerCard(BaseModel):
    """`ranker.json`."""

    model_config = ConfigDict(extra="forbid")

    sources: list[str] = Field(min_length=1)
    """Whose candidates it ranks, by their names in the bundle, in the order of the pool."""
    vectors: str | None
    """The source whose item vectors are compared; None: no likeness among the features."""
    features: list[str]
    """The columns of the trees, in order."""
    candidates: int = Field(ge=1, le=MOST)
    """How many candidates each source gave in training."""
    trees: Trees
    protocol: str
    """On which queries it was trained and measured, in words."""
    queries: int
    """So many it learned from."""
    metrics: dict[str, float]
    """On the test queries."""


@dataclass(frozen=True)
class SurfaceRanker:
    """Scores of candidates from their features (recsys.ranking.request_features)."""

    card: RankerCard
    trees: Ranker

    def score(self, features: Float32) -> Float32:
        """(m,), higher is better, comparable within a request; features: float32 (m, columns of the card)."""
        if not len(features):
            return np.zeros(0, np.float32)
        return self.trees.score(features).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Into an existing folder."""
        self.trees.save(folder / "model.txt")
        write_json(folder / "ranker.json", self.card.model_dump())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises InputError where a file is damaged, or made for features that this Segue does not make."""
        card = read_model(folder / "ranker.json", RankerCard)
        made = names(card.sources, vectors=card.vectors is not None)
        if tuple(card.features) != made:
            unknown = [name for name in card.features if name not in made]
            raise InputError(
                f"{folder}/ranker.json: features {unknown or card.features} are not what this Segue makes of the "
                f"sources {', '.join(card.sources)}; train the ranker anew: segue ranker"
            )
        trees = Ranker.load(folder / "model.txt")
        if trees.names != made:
            raise InputError(f"{folder}/model.txt: its features are not those of ranker.json")
        return cls(card, trees)

"""The learned ranker: gradient-boosted trees (LightGBM) over the columns of recsys.ranking.features.

Ke et al. 2017, "LightGBM"; the objective lambdarank is Burges 2010, "From RankNet to LambdaRank to LambdaMART".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recsys.errors import InputError
from recsys.files import write_bytes
from recsys.ragged import Bool, Float32, Float64, Int64
from recsys.ranking import model_text
from recsys.ranking.predictor import Predictor

if TYPE_CHECKING:  # at run time it is imported where it trains: a server does without (recsys.ranking.predictor)
    import lightgbm


class Trees(BaseModel):
    """How the trees grow."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    objective: Literal["binary", "lambdarank"] = "binary"
    """binary: the chance that a candidate is the next track; lambdarank: NDCG at 20 within each query."""
    count: int = Field(default=300, ge=1)
    """So many trees."""
    learning_rate: float = Field(default=0.05, gt=0)
    """What each tree adds of its correction."""
    leaves: int = Field(default=31, ge=2)
    """Leaves of a tree."""
    min_leaf: int = Field(default=50, ge=1)
    """Rows that a leaf must hold."""
    features: float = Field(default=0.5, gt=0, le=1)
    """Share of the features that each tree may look at."""
    rows: float = Field(default=0.8, gt=0, le=1)
    """Share of the rows that each tree is grown from."""
    l2: float = Field(default=5.0, ge=0)
    """Weight of the L2 penalty on the leaves."""
    seed: int = 0
    """Equal seeds, rows and threads give equal trees."""
    threads: int = Field(default=1, ge=1)
    """Of LightGBM, which on a busy machine is slower with more."""

    def parameters(self) -> dict[str, object]:
        return {
            "objective": self.objective,
            "lambdarank_truncation_level": 20,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_leaf,
            "feature_fraction": self.features,
            "bagging_fraction": self.rows,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


@dataclass(frozen=True)
class Ranker:
    """Trees, as LightGBM's text without what does not change a score, and the names of the columns they look at."""

    text: str
    names: tuple[str, ...]
    threads: int = 1

    @classmethod
    def train(
        cls,
        rows: Float32,
        right: Bool,
        queries: Int64,
        names: tuple[str, ...],
        trees: Trees,
        held: tuple[Float32, Bool, Int64] | None = None,
    ) -> Self:
        """rows: (m, features); right: (m,), whether it was the next track; queries: (m,), equal for candidates of one
        query, which stand together. held: others, on which more trees than are kept gain nothing in NDCG at 20.

        Raises ValueError where no row is right, for then there is nothing to learn."""
        import lightgbm

        if not right.any():
            raise ValueError("a ranker needs a row that is right")
        data = lightgbm.Dataset(rows, right.astype(np.int8), group=_sizes(queries), feature_name=list(names))
        if held is None:
            return cls._of(lightgbm.train(trees.parameters(), data, trees.count), names, trees)
        judged = lightgbm.Dataset(held[0], held[1].astype(np.int8), group=_sizes(held[2]), reference=data)
        booster = lightgbm.train(
            trees.parameters() | {"metric": "ndcg", "eval_at": [20]},
            data,
            trees.count,
            valid_sets=[judged],
            callbacks=[lightgbm.early_stopping(max(trees.count // 4, 10), verbose=False)],
        )
        return cls._of(booster, names, trees)

    @classmethod
    def _of(cls, booster: lightgbm.Booster, names: tuple[str, ...], trees: Trees) -> Self:
        return cls(model_text.trees(booster.model_to_string()), names, trees.threads)

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.text, self.threads)

    def score(self, rows: Float32) -> Float64:
        """(m,) higher is better; comparable within a query."""
        return self._predictor.scores(rows)

    @property
    def size(self) -> int:
        """How many trees score."""
        return self._predictor.trees

    @property
    def gains(self) -> dict[str, float]:
        """What each feature gained in training, the most first."""
        import lightgbm

        gains = lightgbm.Booster(model_str=self.text).feature_importance("gain").tolist()
        return dict(sorted(zip(self.names, gains, strict=True), key=lambda pair: -pair[1]))

    def save(self, path: Path) -> None:
        """LightGBM's text format, which any of its versions and languages reads."""
        write_bytes(path, self.text.encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises InputError where the file is no such model."""
        try:
            text = model_text.trees(path.read_text())
            ranker = cls(text, model_text.names(text))
            ranker.size  # noqa: B018 - LightGBM reads it now, and not at the first request
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a ranker that LightGBM reads: {error}") from error
        return ranker


def _sizes(queries: Int64) -> Int64:
    """Of each run of equal numbers, its length."""
    change = np.flatnonzero(np.diff(queries)) + 1
    sizes: Int64 = np.diff(np.concatenate(([0], change, [len(queries)])))
    return sizes

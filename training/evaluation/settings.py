"""The settings of `segue evaluate`: table `evaluate` of segue.toml."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recsys.settings import Settings

QUICK_QUERIES = 500


class EvaluateSettings(Settings, table="evaluate"):
    """What is scored, on how many rows, with which intervals."""

    protocol: Literal["static", "refit", "live", "both", "all"] = "both"
    """static: fitted once, on the training split. refit: once, on the training and validation splits. live: knows all
    days before that of the session. both: static and live, or static alone where the data have no time. all: the
    three."""
    valid_queries: int = Field(default=2000, ge=1)
    """Validation queries for tuning, at most; a fixed sample."""
    test_queries: int = Field(default=20_000, ge=1)
    """Test queries, at most; a fixed sample."""
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(default=[1, 2, 3], min_length=1)
    """Seeds of the baselines that draw random numbers (ALS, BPR, a mix with ALS); their figures are means over these.
    Fewer than three are named below the table as too few."""
    resamples: int = Field(default=1000, ge=100)
    """Of the bootstrap."""
    bootstrap_seed: int = 0
    """Equal seeds give equal intervals."""
    ranked: bool = True
    """Whether the learned ranker joins in, where the data have time and the task is the next track."""
    ranked_lessons: int = Field(default=40_000, ge=1)
    """Queries that the ranker is trained on, at most."""
    quick: bool = False
    """A look at 500 queries. It writes evaluation-quick.json and publishes nothing."""

    @model_validator(mode="after")
    def _legal(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: a seed stands twice")
        return self

    @property
    def limits(self) -> tuple[int, int]:
        """Validation and test queries, at most."""
        if self.quick:
            return min(self.valid_queries, QUICK_QUERIES), min(self.test_queries, QUICK_QUERIES)
        return self.valid_queries, self.test_queries

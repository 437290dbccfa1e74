"""`reports/<dataset>/ranker-<bundle>-<surface>.json`: what the ranker gained, on which rows, and what was decided."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from recsys.metrics.bootstrap import Interval

PRIMARY = "ndcg@20"
METRICS = (PRIMARY, "hr@20", "ndcg@100", "recall@100")


class Row(BaseModel):
    """One order of the same candidates, over the test queries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    figures: dict[str, float]
    """METRICS; of the ranker means over its seeds."""
    gains: dict[str, Interval]
    """The same against the reference: the mean of the paired differences, with its 95% interval by cluster."""


class RankerReport(BaseModel):
    """Of one surface."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    fingerprint: str
    simulated: bool
    surface: str
    protocol: str
    sources: list[str]
    reference: str
    """The order without a ranker that was the best on the held part."""
    seeds: list[int]
    trees: list[int]
    """Of the ranker of each seed."""
    learned: int
    """Validation queries with a target among the candidates."""
    test_queries: int
    test_clusters: int
    reach: float
    """Share of the test targets that are among the candidates: no order finds the others."""
    held: Interval
    """Gain in PRIMARY over the reference on validation queries that no tree has to do with, each seed on its own."""
    rows: list[Row]
    features: dict[str, float]
    """Share of the total gain of the served ranker's splits, the greatest first."""

    @property
    def surely_better(self) -> bool:
        """On the held part, which decides; the test part only tells."""
        return self.held.low > 0

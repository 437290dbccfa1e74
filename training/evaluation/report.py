"""`evaluation.json`: the whole result, enough to redraw the table and the plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from recsys.errors import InputError
from recsys.files import read_model, write_json
from recsys.metrics.bootstrap import Interval

SCHEMA_VERSION = 3
"""Raised with every change of what is measured or written, so that old reports are made anew."""

ProtocolName = Literal["static", "refit", "live"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inputs(_Part):
    """All that the figures depend on. A report with equal inputs is not made again."""

    schema_version: int
    dataset: str
    fingerprint: str
    """Of the data."""
    code: str
    """Fingerprint over the source that fits, splits and measures."""
    baselines: str
    """Fingerprint over the names and the candidates of all baselines."""
    bundles: dict[str, str]
    """Neural bundle -> sha256 of its manifest, which holds those of its files."""
    settings: dict[str, Any]


class Data(_Part):
    """The data card of the table."""

    simulated: bool
    task: Literal["continuation", "next"]
    split: str
    """The protocol in one line."""
    items: int
    train_sequences: int
    valid_queries: int
    test_queries: int
    test_clusters: int
    sampled_from: dict[str, int]
    """Queries there were before sampling, for the parts that were sampled."""
    dropped: dict[str, int]
    """Sequences that the guards left out, by reason."""


class Cost(_Part):
    fit_s: float | None
    """Seconds of fitting once; none where the bundle does not tell. In the live protocol fitting counts as scoring."""
    score_s: float
    """Seconds of ranking the full catalogue for all test queries, once."""


class Subgroup(_Part):
    queries: int
    primary: Interval


class Row(_Part):
    """One system under one protocol."""

    name: str
    kind: Literal["baseline", "neural", "ranked"]
    config: dict[str, Any]
    bundles: list[str]
    seeds: list[int]
    """Runs that the figures are means over; empty where nothing is random."""
    valid: float | None
    """Primary metric on validation, by which baselines are chosen; none where there was nothing to choose."""
    metrics: dict[str, Interval]
    """Mean over test queries with its 95% interval."""
    seed_deviation: dict[str, float]
    """Standard deviation of the mean over seeds, where there are two or more."""
    gains: dict[str, Interval]
    """Paired 95% interval of this minus the reference, for each metric; empty for the reference itself."""
    subgroups: dict[str, Subgroup]
    """Primary metric for repeats and discoveries, for targets that training held (warm) or not (cold), and for
    listeners by the popularity of what they hear."""
    catalogue: dict[str, float]
    """Coverage, Gini, popularity lift by group, recall of cold tracks."""
    cost: Cost


class ProtocolTable(_Part):
    protocol: ProtocolName
    primary: str
    reference: str
    """The best simple baseline, chosen on validation."""
    rows: list[Row]
    """By the primary metric, the best first."""

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)


class Report(_Part):
    inputs: Inputs
    data: Data
    tables: list[ProtocolTable]
    left_out: dict[str, str]
    """Baselines that the data do not allow, and why."""
    published: str | None
    """Bundle of the best simple baseline."""
    evaluated_at: str

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None where there is no report, a damaged one, or one of another version."""
        try:
            return read_model(path, cls) if path.is_file() else None
        except InputError:
            return None

    def write(self, path: Path) -> None:
        write_json(path, self.model_dump(mode="json"))

"""The report of a leave-one-out evaluation: what is written as JSON, and printed."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys.metrics.bootstrap import Interval

CUTS = (5, 10, 20)
METRICS = tuple(f"{name}@{k}" for name in ("hr", "ndcg") for k in CUTS)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trial(_Part):
    """A candidate that was judged on validation."""

    config: dict[str, Any]
    valid: float


class Row(_Part):
    """One system on the test items."""

    name: str
    kind: Literal["simple", "network", "system"]
    reads_attributes: bool
    members: list[dict[str, Any]]
    """Configs; one for all but the systems."""
    weights: dict[str, list[float]]
    """Of the members of a system, a weight a seed."""
    seeds: list[int]
    """Empty where nothing is random."""
    valid: float
    """NDCG@20 on validation, mean over seeds; of a system whose weights were fitted there, so a little too high."""
    metrics: dict[str, float]
    """Mean over test items and seeds."""
    deviation: dict[str, float]
    """Standard deviation over seeds; empty for one run."""
    gains: dict[str, Interval]
    """Over the best simple baseline, with the paired 95% interval over users; empty for itself."""


class Report(_Part):
    """All that the table shows."""

    data: str
    sha256: str
    attributes_sha256: str | None
    users: int
    items: int
    test_items: int
    valid_items: int
    """Used for choices; a sample where there are more."""
    protocol: str
    reference: str
    """The best simple baseline by ids, chosen on validation."""
    trials: list[Trial]
    """Networks that were tried."""
    rows: list[Row]
    resamples: int
    git_commit: str
    evaluated_at: str


def show(report: Report, console: Console) -> None:
    """Print the table and what it rests on."""
    ids = [row for row in report.rows if not row.reads_attributes]
    others = [row for row in report.rows if row.reads_attributes]
    table = Table(title=f"{report.data}, leave-one-out, full ranking", title_justify="left", box=None)
    table.add_column("by ids alone", no_wrap=True)
    for metric in METRICS:
        table.add_column(metric.upper(), justify="right", no_wrap=True)
    table.add_column("gain in NDCG@10\n95% interval", justify="right", no_wrap=True)
    for row in ids:
        table.add_row(*_cells(row))
    if others:
        table.add_section()
        table.add_row("[dim]attributes of items used[/]")
        for row in others:
            table.add_row(*_cells(row))
    console.width = max(console.width, 120)
    console.print(table)
    for line in _notes(report):
        console.print(escape(line), style="dim", highlight=False)


def _cells(row: Row) -> list[str]:
    """The figures, with the deviation over seeds below."""
    figures = [_short(row.metrics[m]) + (f"\n±{_short(row.deviation[m])}" if row.deviation else "") for m in METRICS]
    gain = row.gains.get("ndcg@10")
    told = "-" if gain is None else f"{_short(gain.mean, '+')}\n\\[{_short(gain.low, '+')}, {_short(gain.high, '+')}]"
    return [escape(row.name) + (f" ×{len(row.seeds)}" if row.seeds else ""), *figures, told]


def _short(value: float, sign: str = "") -> str:
    """
    >>> _short(0.0611), _short(-0.01, "+"), _short(1.0)
    ('.0611', '-.0100', '1.0000')
    """
    return f"{value:{sign}.4f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{sign}.4f}"


def _notes(report: Report) -> list[str]:
    lines = [
        f"Data {report.data} {report.sha256[:12]}: {report.users:,} users, {report.items:,} items; "
        f"{report.protocol}. {report.test_items:,} test items.",
        f"Everything was chosen on {report.valid_items:,} validation items before a test item was read: "
        f"of {len(report.trials)} networks, the settings of simple models, the weights of the systems.",
        f"×n ±: mean and deviation over n seeds. Gain over {report.reference}, the best simple baseline on validation: "
        f"paired bootstrap, {report.resamples:,} resamples of users.",
    ]
    for row in report.rows:
        using = " with attributes" if row.reads_attributes else ""
        if row.kind == "system":
            shares = (f"{name} {sum(w) / len(w):.2f}" for name, w in row.weights.items())
            lines.append(f"{row.name}{using}: mean weights {', '.join(shares)}.")
        else:
            lines.append(f"{row.name}{using}: {json.dumps(row.members[0])}.")
    lines.append(f"Commit {report.git_commit[:12]}, {report.evaluated_at}.")
    return lines

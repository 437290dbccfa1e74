"""The plot: each system's primary metric with its interval, and accuracy against coverage."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.files import write_bytes
from recsys.metrics.harness import SHOWN
from training.evaluation.report import ProtocolTable, Report, Row
from training.evaluation.table import SIMULATED

BASELINE, NEURAL, BAND = "#4c5b6b", "#c2410c", "#e8edf2"
LABEL = {"ndcg": "NDCG", "ndcg@20": "NDCG@20"}


def draw(report: Report, path: Path) -> None:
    """Write a PNG, two panels for each protocol. Equal reports give equal bytes."""
    rows = max(len(table.rows) for table in report.tables)
    height = (1.3 + 0.36 * rows) * len(report.tables) + 0.9
    figure = Figure(figsize=(12, max(height, 4.2)), dpi=130, layout="constrained")
    panels = figure.subplots(len(report.tables), 2, squeeze=False, width_ratios=[1.7, 1])
    for (forest, scatter), table in zip(panels, report.tables, strict=True):
        _forest(forest, table)
        _scatter(scatter, table)
    data, inputs = report.data, report.inputs
    figure.suptitle(f"{inputs.dataset}: {data.test_queries:,} test queries, 95% bootstrap intervals", x=0.01, ha="left")
    foot = f"Data {inputs.fingerprint} · {data.split}" + (f"\n{SIMULATED}" if data.simulated else "")
    figure.supxlabel(foot, fontsize=8, color="#555", x=0.01, ha="left")
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    write_bytes(path, image.getvalue())


def _forest(axes: Axes, table: ProtocolTable) -> None:
    rows = table.rows[::-1]
    reference = table.row(table.reference).metrics[table.primary]
    axes.axvspan(reference.low, reference.high, color=BAND, zorder=0)
    axes.axvline(reference.mean, color=BASELINE, lw=0.8, ls="--", zorder=1)
    for place, row in enumerate(rows):
        value = row.metrics[table.primary]
        axes.plot([value.low, value.high], [place, place], color=_colour(row), lw=2, solid_capstyle="round", zorder=2)
        axes.plot(value.mean, place, "D" if row.kind == "neural" else "o", color=_colour(row), ms=6, zorder=3)
        axes.annotate(
            f"{value.mean:.4f}  {_against(row, table)}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            color=_colour(row),
        )
    axes.set_yticks(range(len(rows)), [f"{_name(row)}   {len(rows) - place}" for place, row in enumerate(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=6)  # more would run into each other where figures are small
    axes.set_xlabel(f"{LABEL.get(table.primary, table.primary)} (dashed: best simple baseline)")
    axes.set_title(f"{table.protocol}: accuracy, paired gain over the best simple baseline", loc="left", fontsize=10)
    _plain(axes)


def _scatter(axes: Axes, table: ProtocolTable) -> None:
    """The best on top: the last is drawn first. Names would overlap, so each point has its place in the ranking."""
    for place, row in reversed(list(enumerate(table.rows, start=1))):
        x, y = 100 * row.catalogue["coverage"], row.metrics[table.primary].mean
        axes.plot(x, y, "o", color=_colour(row), ms=13, markeredgecolor="white", clip_on=False)
        axes.annotate(str(place), (x, y), ha="center", va="center_baseline", fontsize=8, color="white", weight="bold")
    axes.margins(x=0.12, y=0.12)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"catalogue shown in {SHOWN} places, %")
    axes.set_ylabel(LABEL.get(table.primary, table.primary))
    axes.set_title(f"{table.protocol}: accuracy against coverage", loc="left", fontsize=10)
    _plain(axes)


def _against(row: Row, table: ProtocolTable) -> str:
    if row.name == table.reference:
        return "best simple"
    gain = row.gains[table.primary]
    return f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"


def _name(row: Row) -> str:
    return f"{row.name} ×{len(row.seeds)}" if len(row.seeds) > 1 else row.name


def _colour(row: Row) -> str:
    return NEURAL if row.kind == "neural" else BASELINE


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#eee", zorder=0)
    axes.set_axisbelow(True)

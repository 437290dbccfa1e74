"""Paces at equal work as bars, and validation NDCG@10 by seconds as curves: one picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from report import LOSS, NAMES
from results import PEERS, PRODUCTS, SEGUE, Results

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = {SEGUE: "#d1495b", "replay": "#30638e", "rectools": "#8d96a3", "recbole": "#c9b79c", PRODUCTS: "0.9"}


def draw(results: Results, out: Path) -> None:
    """Left the paces, as shares of what the matrix products alone allow; right a panel a data set."""
    panels = [name for name in results.data if results.curves_of(name)]
    figure, axes = plt.subplots(
        1, 1 + len(panels), figsize=(5 + 4 * len(panels), 4), layout="constrained", squeeze=False
    )
    _paces(results, axes[0, 0])
    for name, at in zip(panels, axes[0, 1:], strict=True):
        for system, curve in results.curves_of(name).items():
            at.plot(curve.seconds, curve.ndcg, color=COLOURS[system], marker=".", lw=1.5, label=NAMES[system])
        at.set(xscale="log", xlabel="seconds of training", ylabel="validation NDCG@10", title=name)
        at.legend(frameon=False)
        at.spines[["top", "right"]].set_visible(False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120, metadata={"Software": None})


def _paces(results: Results, at: Axes) -> None:
    width = 0.2
    for number, work in enumerate(results.work):
        for place, system in enumerate((SEGUE, *PEERS)):
            if system in work.rounds[0].positions_s:
                share = work.share(system)
                left = number + (place - 1.5) * width
                at.bar(left, share, width, color=COLOURS[system], label=NAMES[system] if number == 0 else None)
                at.text(left, share, f"{work.pace(system) / 1000:.1f}k", ha="center", va="bottom", fontsize=7)
    ticks = [f"{work.data}\n{LOSS[work.loss]}" for work in results.work]
    at.set_xticks(range(len(ticks)), ticks, fontsize=8)
    at.set(ylabel="of the matrix products alone", title="targets a second, equal work", ylim=(0, 1))
    at.legend(frameon=False, ncols=2)
    at.spines[["top", "right"]].set_visible(False)

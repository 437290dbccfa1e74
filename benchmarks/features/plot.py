"""Seconds by events, as points, with what each command is projected to, as bands: one picture.

python benchmarks/features/plot.py results.json docs/img/scale-seconds.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from grid import power
from project import Projection, Target
from results import Results, results_file

mpl.use("Agg")
from matplotlib import pyplot as plt

COMMANDS = ("simulate", "import events (CSV)", "import events (Parquet)", "features")
TICKS = {60: "a minute", 3_600: "an hour", 86_400: "a day", 604_800: "a week"}


def draw(results: Results, out: Path) -> None:
    """One machine throughout: `features` is not spread over executors here."""
    projection = Projection(results)
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    events = np.geomspace(results.runs[0].events, Target().events, 100)
    for number, name in enumerate(COMMANDS):
        law, color = projection.wall(name), f"C{number}"
        low, high = ([at(n) for n in events] for at in (law.low, law.high))
        points = [run.step(name).wall_s for run in results.runs]
        axes.plot([run.events for run in results.runs], points, "o", color=color)
        axes.plot(events, low, color=color, lw=1, label=f"{name}, exponent {power(law.exponent)}")
        axes.fill_between(events, low, high, color=color, alpha=0.15, lw=0)
    axes.set(xscale="log", yscale="log", xlabel="events", ylabel="seconds", title=f"On {results.machine.cores} cores")
    for seconds, name in TICKS.items():
        axes.axhline(seconds, color="0.85", lw=0.8, zorder=0)
        axes.text(events[0], seconds, f" {name}", color="0.5", fontsize=8, va="bottom")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=results_file, help="JSON that `python benchmarks/features --out` wrote")
    parser.add_argument("picture", type=Path, help="where it is drawn, e.g. docs/img/scale-seconds.png")
    chosen = parser.parse_args()
    draw(chosen.results, chosen.picture)


if __name__ == "__main__":
    main()

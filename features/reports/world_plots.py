"""The plots of `segue report world`: simulated and real distributions in one panel a quantity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from features.reports.measures import Sample
from features.reports.world import QUANTITIES, Comparison, Quantity, cdf
from recsys.ragged import Float64
from recsys.simulation.laws import CutLogNormal

WARNING = "simulated: never evidence of quality"
_BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#7F7F7F")
"""After Okabe and Ito, told apart by the colour-blind too; the simulated curve is grey and thick, under the others."""
_POINTS = 300
_FEWEST_SKIPS = 100

FIGURES: dict[str, tuple[str, ...]] = {
    "popularity": ("track popularity", "artist popularity", "plays per listener"),
    "sessions": ("session length", "pause between tracks", "return to listening", "skips"),
    "repeats": ("repeat share", "repeat lag"),
    "playlists": ("playlist length", "artist spread", "track length"),
}
"""Panels by figure."""


def draw(found: Comparison, folder: Path, prefix: str = "world-") -> list[Path]:
    """Write one PNG a figure; a source that cannot tell a quantity has no curve in its panel."""
    sources = [*found.real, *([found.simulated] if found.simulated else [])]
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(found.real)}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for figure, panels in FIGURES.items():
        columns = 3 if len(panels) == 3 else 2
        lines = -(-len(panels) // columns)
        drawn = Figure(figsize=(4.2 * columns, 3.6 * lines + 0.4), layout="constrained")
        grid = drawn.subplots(lines, columns, squeeze=False).ravel()
        for axes, name in zip(grid, panels, strict=True):
            if name == "skips":
                _skips(axes, found, colours)
            else:
                _panel(axes, _BY_NAME[name], found.samples[name], colours, sources)
        drawn.suptitle(f"The simulated world and the real sets ({WARNING})", fontsize=12)
        path = folder / f"{prefix}{figure}.png"
        with matplotlib.rc_context({"font.size": 9}):
            drawn.savefig(path, dpi=100, pil_kwargs={"optimize": True})
        paths.append(path)
    return paths


def _panel(
    axes: Axes, quantity: Quantity, samples: dict[str, Sample], colours: dict[str, str], sources: list[str]
) -> None:
    draw_one = _share_by_rank if quantity.ranked else _reached
    for name in sources:
        if name in samples:
            x, y = draw_one(samples[name].x, samples[name].cdf)
            capped = f" (up to {samples[name].known_to + 1:.0f})" if samples[name].known_to < x[-1] else ""
            axes.plot(x, y, label=name + capped, **_style(name, colours))
    if quantity.law is not None and samples:
        x = samples.get(quantity.taught_by or "", next(iter(samples.values()))).x
        if isinstance(quantity.law, CutLogNormal):
            x = np.arange(quantity.law.low, quantity.law.high + 1.0)
        x, y = draw_one(x, cdf(quantity.law, x))
        label = f"law ({quantity.taught_by})" if quantity.taught_by else "law (assumed)"
        axes.plot(x, y, label=label, color="black", linewidth=1.3, linestyle=(0, (1, 1.5)), zorder=4)
    _SCALES.get(quantity.name, _log_x)(axes)
    axes.set(title=quantity.name, xlabel=quantity.axis)
    axes.set_ylabel(_Y.get(quantity.name, "share of plays" if quantity.ranked else "share with at most so many"))
    _finish(axes, "no source here can tell")


def _skips(axes: Axes, found: Comparison, colours: dict[str, str]) -> None:
    for name, places in found.skips.items():
        often = places.filter(places["heard"] >= _FEWEST_SKIPS).head(50)
        axes.plot(often["place"], often["skipped"] / often["heard"], label=name, **_style(name, colours))
    axes.set(title="skips", xlabel="place in the session", ylabel="share skipped", ylim=(0, 1))
    if not set(found.skips) & set(found.real):
        axes.text(0.03, 0.92, "no real set here knows skips", transform=axes.transAxes, fontsize=8)
    _finish(axes, "")


def _finish(axes: Axes, when_empty: str) -> None:
    axes.grid(alpha=0.25)
    if axes.lines:
        axes.legend(fontsize=7, framealpha=0.7)
    else:
        axes.text(0.5, 0.5, when_empty, ha="center", transform=axes.transAxes, fontsize=8)


def _style(name: str, colours: dict[str, str]) -> dict[str, object]:
    """A source that is not real is the simulated one."""
    if name in colours:
        return {"color": colours[name], "linewidth": 1.5, "zorder": 3}
    return {"color": "#6B6B6B", "linewidth": 4.0, "alpha": 0.75, "zorder": 2}


def _share_by_rank(x: Float64, cdf: Float64) -> tuple[Float64, Float64]:
    """Share of the plays that a rank has, averaged over ranks that lie close on a logarithmic axis."""
    edges = np.unique(np.round(np.geomspace(1, len(x), 80)).astype(np.int64))
    low, high = np.concatenate([[0], edges[:-1]]), edges
    share = np.diff(np.concatenate([[0.0], cdf])[np.concatenate([[0], edges])]) / (high - low)
    return np.sqrt((low + 1.0) * high), share


def _reached(x: Float64, cdf: Float64) -> tuple[Float64, Float64]:
    """At most so many points, evenly spread over the distribution and over its range."""
    if len(x) <= _POINTS:
        return x, cdf
    even = np.searchsorted(cdf, np.linspace(0, cdf[-1], _POINTS))
    kept = np.unique(np.concatenate([[0], np.minimum(even, len(x) - 1), [len(x) - 1]]))
    return x[kept], cdf[kept]


def _log_x(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)


def _log_log(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")


def _linear(axes: Axes) -> None:
    axes.set_ylim(0, 1.02)


def _to_ten_minutes(axes: Axes) -> None:
    axes.set(xlim=(0, 600), ylim=(0, 1.02))


_SCALES: dict[str, Callable[[Axes], None]] = {
    "track popularity": _log_log,
    "artist popularity": _log_log,
    "pause between tracks": _linear,
    "artist spread": _linear,
    "track length": _to_ten_minutes,
}
_Y = {
    "repeat share": "share whose track was among them",
    "artist spread": "share of playlists with at most so many",
    "playlist length": "share of playlists with at most so many",
}

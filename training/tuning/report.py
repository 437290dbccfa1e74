"""What a study found: a table, a plot, and the best settings as a segue.toml."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import optuna
import tomli_w
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from recsys.files import write_bytes, write_json
from training.tuning.study import DONE, Study

DOT, CUT, BEST = "#4c5b6b", "#c9d1d9", "#c2410c"


def write(study: Study, trials: list[FrozenTrial], metric: str, folder: Path) -> list[Path]:
    """`tuning-<name>.json`, `.png` and `.toml` under ``folder``; the last is a segue.toml with the best settings."""
    stem = folder / f"tuning-{study.name.rsplit('-', 1)[1]}"
    record = {
        "study": study.name,
        "dataset": study.dataset.manifest.name,
        "fingerprint": study.dataset.manifest.fingerprint,
        "metric": f"valid {metric}",
        "seed": study.settings.seed,
        "base": study.base,
        "space": {name: repr(dimension) for name, dimension in study.space.items()},
        "trials": [
            {"number": t.number, "state": t.state.name.lower(), "value": t.value, "params": t.params, **t.user_attrs}
            for t in trials
        ],
    }
    write_json(stem.with_suffix(".json"), record)
    draw(study, trials, metric, stem.with_suffix(".png"))
    best = {name: value for name, value in (study.base | finished(trials)[0].params).items() if value is not None}
    write_bytes(stem.with_suffix(".toml"), tomli_w.dumps({"train": best}).encode())
    return [stem.with_suffix(suffix) for suffix in (".json", ".png", ".toml")]


def finished(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those with a figure, the best first."""
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(whole, key=lambda trial: (-(trial.value or 0.0), trial.number))


def table(study: Study, trials: list[FrozenTrial], metric: str, rows: int = 10) -> Table:
    """The best trials."""
    whole, cut = finished(trials), sum(trial.state == TrialState.PRUNED for trial in trials)
    shown = Table(
        title=f"{study.dataset.manifest.name} ({study.dataset.manifest.fingerprint}): the best of {len(whole)} trials; "
        f"{cut} more were cut short",
        title_justify="left",
    )
    for column in ("trial", f"valid {metric}", "best epoch", "seconds", *study.space):
        shown.add_column(column.replace("_", " "), justify="right")
    for trial in whole[:rows]:
        attributes = str(trial.user_attrs["best_epoch"]), f"{trial.user_attrs['seconds']:.0f}"
        values = [_short(trial.params[name]) for name in study.space]
        shown.add_row(str(trial.number), f"{trial.value:.4f}", *attributes, *values)
    return shown


def draw(study: Study, trials: list[FrozenTrial], metric: str, path: Path) -> None:
    """Write a PNG: the figure over the trials, then over each setting. Equal studies give equal bytes."""
    names = list(study.space)
    columns = min(len(names) + 1, 4)
    lines = -(-(len(names) + 1) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.9 * lines + 0.6), dpi=130, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    values = [trial for trial in trials if trial.state in DONE and trial.intermediate_values]
    _history(panels[0], values, metric)
    for panel, name in zip(panels[1:], names, strict=False):
        _slice(panel, values, name, log=getattr(study.space[name], "log", False))
    for panel in panels[len(names) + 1 :]:
        panel.set_visible(False)
    figure.suptitle(f"{study.dataset.manifest.name}: {len(values)} trials, validation {metric}", x=0.01, ha="left")
    figure.supxlabel(
        f"Data {study.dataset.manifest.fingerprint} · grey: cut short, its best epoch until then · orange: the best",
        fontsize=8, color="#555", x=0.01, ha="left",
    )  # fmt: skip
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    write_bytes(path, image.getvalue())


def _history(axes: Axes, trials: list[FrozenTrial], metric: str) -> None:
    _scatter(axes, trials, [trial.number for trial in trials])
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if whole:
        best = np.maximum.accumulate([trial.value or 0.0 for trial in whole])
        axes.step([trial.number for trial in whole], best, where="post", color=BEST, lw=1)
    axes.set_xlabel("trial")
    axes.set_ylabel(f"validation {metric}")


def _slice(axes: Axes, trials: list[FrozenTrial], name: str, log: bool) -> None:
    chosen = [trial.params.get(name) for trial in trials]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in chosen):
        _scatter(axes, trials, chosen)
    else:
        words = sorted({str(value) for value in chosen})
        _scatter(axes, trials, [words.index(str(value)) for value in chosen])
        axes.set_xticks(range(len(words)), words)
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(name.replace("_", " "))


def _scatter(axes: Axes, trials: list[FrozenTrial], places: list[Any]) -> None:
    heights = [max(trial.intermediate_values.values()) for trial in trials]
    colours = [DOT if trial.state == TrialState.COMPLETE else CUT for trial in trials]
    axes.scatter(places, heights, c=colours, s=22, zorder=2)
    if best := finished(trials)[:1]:
        at = trials.index(best[0])
        axes.scatter(places[at], heights[at], c=BEST, s=46, zorder=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def importances(study: optuna.Study) -> dict[str, float]:
    """How much of the difference between good trials and the rest each setting explains, from 0 to 1 (PED-ANOVA,
    Watanabe et al., IJCAI 2023). Empty with fewer than ten finished trials: it would be noise."""
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < 10:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

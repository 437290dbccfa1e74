"""Choose a baseline's hyperparameters on validation, never on test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from rich.progress import track

from recsys.baselines import BASELINES
from recsys.baselines.base import Baseline, start_days
from recsys.dataset import Queries, Sequences
from recsys.errors import InputError
from recsys.scoring.base import Scorer

Metric = Callable[[Scorer, Queries], float]
"""The figure of a scorer on queries, a mean over them; higher is better."""


@dataclass(frozen=True)
class Tuned:
    """The best candidate, its scorer fitted on ``train``, and every trial: columns ``config`` (JSON), ``score``."""

    baseline: Baseline
    scorer: Scorer
    score: float
    trials: pl.DataFrame


def tune(
    cls: type[Baseline], train: Sequences, valid: Queries, metric: Metric, *, live: Sequences | None = None
) -> Tuned:
    """Fit each candidate of ``cls.grid()`` on ``train`` and keep the one with the highest ``metric`` on ``valid``.

    Ties go to the earlier candidate. With ``live`` (all sequences up to the end of validation) a candidate is judged
    in the live protocol: each day's queries by the state known up to the day before. Deterministic: seeds are fields
    of the candidates. Raises InputError where the baseline needs time and the data have none.
    """
    if cls.needs_time:
        start_days(train, cls.name)
    candidates = [c for c in cls.grid() if train.starts is not None or not c.timed]
    trials: list[tuple[Baseline, Scorer, float]] = []
    for candidate in track(candidates, description=f"tuning {cls.name}"):
        scorer = candidate.fit(train)
        score = metric(scorer, valid) if live is None else live_score(candidate, live, valid, metric)
        trials.append((candidate, scorer, score))
    baseline, scorer, score = max(trials, key=lambda trial: trial[2])
    table = pl.DataFrame({"config": [t[0].model_dump_json() for t in trials], "score": [t[2] for t in trials]})
    return Tuned(baseline, scorer, score, table)


def live_score(baseline: Baseline, history: Sequences, queries: Queries, metric: Metric) -> float:
    """Mean of ``metric`` over the queries, each judged by the scorer of its own day."""
    if queries.days is None:
        raise InputError("the live protocol needs the day of each query, and this data set has no time")
    total = 0.0
    for day, scorer in baseline.live(history, queries.days):
        today = queries.take(np.flatnonzero(queries.days == day))
        total += len(today) * metric(scorer, today)
    return total / len(queries)


def tune_all(train: Sequences, valid: Queries, metric: Metric, *, live: Sequences | None = None) -> dict[str, Tuned]:
    """Tune every baseline of BASELINES that the data allow, by name; those that need time are left out without it."""
    fitting = [cls for cls in BASELINES.values() if train.starts is not None or not cls.needs_time]
    return {cls.name: tune(cls, train, valid, metric, live=live) for cls in fitting}

"""Choose a baseline's hyperparameters on validation, never on test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from rich.progress import track

from recsys.baselines import BASELINES
from recsys.baselines.base import Baseline, start_days
from recsys.baselines.mix import MEMBERS, Mix
from recsys.baselines.rehearsal import Rehearsal, states
from recsys.dataset import Queries, Sequences
from recsys.scoring.base import Scorer

Metric = Callable[[Scorer, Queries], float]
"""The figure of a scorer on queries, a mean over them; higher is better."""

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Weights that the search for a mix tries for each member, beside leaving it out."""
REPEATS = (0.5, 0.1, 0.0)
"""Factors on repeats that are tried where the ranking keeps the history."""


@dataclass(frozen=True)
class Tuned:
    """The best candidate, its scorer fitted on ``train``, and every trial: columns ``config`` (JSON), ``score``."""

    baseline: Baseline
    scorer: Scorer
    score: float
    trials: pl.DataFrame


def tune(
    cls: type[Baseline],
    train: Sequences,
    valid: Queries,
    metric: Metric,
    *,
    live: Sequences | None = None,
    members: Mapping[str, Baseline] | None = None,
) -> Tuned:
    """Fit each candidate of ``cls.grid()`` on ``train`` and keep the one with the highest ``metric`` on ``valid``.

    Ties go to the earlier candidate. With ``live`` (all sequences up to the end of validation) a candidate is judged
    in the live protocol: each day's queries by the state known up to the day before. For Mix, ``members`` are tuned
    baselines by name; they are tuned here where none are given. Deterministic: seeds are fields of the candidates.
    Raises InputError where the baseline needs time and the data have none.
    """
    if cls is Mix:
        if members is None:
            members = {
                name: tune(member, train, valid, metric, live=live).baseline
                for name, member in _fitting(MEMBERS, train)
            }
        return _tune_mix({name: m for name, m in members.items() if name in MEMBERS}, train, valid, metric, live)
    if cls.needs_time:
        start_days(train, cls.name)
    candidates = [candidate for candidate in cls.grid() if train.starts is not None or not candidate.timed]
    scores = [
        sum(len(part) * metric(scorer, part) for scorer, part in states(candidate, train, valid, live)) / len(valid)
        for candidate in track(candidates, description=f"tuning {cls.name}")
    ]
    best = int(np.argmax(scores))
    return Tuned(candidates[best], candidates[best].fit(train), scores[best], _table(candidates, scores))


def tune_all(train: Sequences, valid: Queries, metric: Metric, *, live: Sequences | None = None) -> dict[str, Tuned]:
    """Tune every baseline that the data allow, by name, and last a mix of the tuned ones."""
    tuned: dict[str, Tuned] = {}
    for name, cls in _fitting(BASELINES, train):
        members = {n: t.baseline for n, t in tuned.items()} if cls is Mix else None
        tuned[name] = tune(cls, train, valid, metric, live=live, members=members)
    return tuned


def _fitting(table: Mapping[str, type[Baseline]], train: Sequences) -> list[tuple[str, type[Baseline]]]:
    return [(name, cls) for name, cls in table.items() if train.starts is not None or not cls.needs_time]


def _tune_mix(
    members: dict[str, Baseline], train: Sequences, valid: Queries, metric: Metric, live: Sequences | None
) -> Tuned:
    """Coordinate search: from the best member, one weight at a time, twice round; a change stays only where it helps.

    Then votes by rank, and where the ranking keeps the history, the factor on repeats.
    """
    rehearsal = Rehearsal.of(members, train, valid, live, Mix.model_fields["depth"].default)
    trials: dict[str, tuple[Mix, float]] = {}

    def attempt(weights: dict[str, float], **settings: Any) -> tuple[Mix, float]:
        mix = Mix.of(*((members[name], weight) for name, weight in weights.items()), **settings)
        key = mix.model_dump_json()
        if key not in trials:
            trials[key] = mix, rehearsal.score(mix, metric)
        return trials[key]

    def better(*options: tuple[Mix, float]) -> tuple[Mix, float]:
        return max(options, key=lambda trial: trial[1])

    best = better(*(attempt({name: 1.0}) for name in members))
    for name in track([*members, *members], description="weighing the mix"):
        others = {n: w for n, w in best[0].weights.items() if n != name}
        options = [{**others, name: share} for share in SHARES] + [others] * bool(others)
        best = better(best, *map(attempt, options))
    best = better(best, attempt(best[0].weights, votes="rank"))
    if not valid.mask_history:
        chosen = best[0]
        best = better(best, *(attempt(chosen.weights, votes=chosen.votes, repeats=factor) for factor in REPEATS))
    return Tuned(best[0], best[0].fit(train), best[1], _table(*zip(*trials.values(), strict=True)))


def _table(candidates: Sequence[Baseline], scores: Sequence[float]) -> pl.DataFrame:
    return pl.DataFrame({"config": [c.model_dump_json() for c in candidates], "score": list(scores)})

"""The order of the work: every choice on validation, then one look at the test items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import sparse

from recsys.baselines.mix import Mix
from recsys.bundle import now
from recsys.dataset import Queries
from recsys.files import write_json
from recsys.metrics import ranking
from recsys.metrics.bootstrap import mean_interval
from recsys.ragged import Float64
from recsys.splits import leave_one_out
from training.code import MEASURED, code_fingerprint
from training.evaluation.systems import sample
from training.evaluation.tuned import TunedBaselines
from training.leave_one_out import candidates, pool
from training.leave_one_out.attributes import RECENCIES
from training.leave_one_out.members import Arena, ByAttributes, Member, Simple, Trained
from training.leave_one_out.members import Report as Watched
from training.leave_one_out.parts import Parts
from training.leave_one_out.reading import read, read_attributes
from training.leave_one_out.report import CUTS, METRICS, Report, Row, Trial
from training.leave_one_out.settings import LeaveOneOutSettings
from training.publish import git_commit

CODE = (
    *MEASURED,
    "recsys.models",
    "recsys.losses",
    "training.engine",
    "training.loader",
    "training.pretraining",
    "training.settings",
    "training.leave_one_out",
)
"""What makes a member what it is."""
NO_WEIGHT = 1e-3
"""A member of less weight is not asked on test."""


@dataclass(frozen=True)
class Chosen:
    """A row of the table before it is judged. weights: float64 (seeds, members)."""

    name: str
    kind: Literal["simple", "network", "system"]
    members: tuple[Member, ...]
    weights: Float64
    seeds: list[int]
    valid: float


def evaluate(
    data: Path,
    attributes: Path | None,
    settings: LeaveOneOutSettings,
    folder: Path,
    watch: Callable[[str], AbstractContextManager[Watched]],
) -> Report:
    """Tune, train, weigh and judge; the report is written to ``folder``/report.json, with the finished parts beside it.

    Raises what recsys.errors has for files that are not what they must be (see reading).
    """
    interactions = read(data)
    described = None if attributes is None else read_attributes(attributes, interactions.ids)
    whole = leave_one_out(interactions.sequences)
    split = replace(whole, valid=sample(whole.valid, settings.valid_queries))
    inputs = {
        "data": interactions.sha256,
        "valid_queries": len(split.valid),
        "code": code_fingerprint(*CODE),
    }
    arena = Arena(split, Parts(folder / "parts", inputs), watch)
    seeds = list(range(1, settings.seeds + 1))

    tuned = TunedBaselines(folder / "tuned.json", interactions.fingerprint)
    choices = tuned.tune_all("static", split.train, sample(split.valid, settings.tuning_queries), "next", None)
    best = Simple(max(choices.values(), key=lambda choice: choice[1])[0])
    simple = [Simple(baseline) for name, (baseline, _) in choices.items() if name != Mix.name]
    network, trials = _best([Trained(config) for config in candidates.NETWORKS], arena)
    chosen = [
        _alone(best, "simple", arena, seeds),
        _alone(network, "network", arena, seeds),
        _system([*simple, network], arena, seeds),
    ]
    if described is not None:
        reader, tried = _best([Trained(config, described) for config in candidates.NETWORKS], arena)
        neighbours, compared = _best([ByAttributes(described, recency) for recency in RECENCIES], arena)
        trials += tried + compared
        chosen += [
            _alone(neighbours, "simple", arena, seeds),
            _alone(reader, "network", arena, seeds),
            _system([*simple, neighbours, network, reader], arena, seeds),
        ]

    # Every choice is made: from here on the test items are read.
    judged = [_judge(row, arena) for row in chosen]
    report = Report(
        data=interactions.name,
        sha256=interactions.sha256,
        attributes_sha256=described and described.sha256,
        users=len(interactions.sequences),
        items=len(interactions.ids),
        test_items=len(split.test),
        valid_items=len(split.valid),
        protocol=split.protocol,
        reference=best.name,
        trials=trials,
        rows=[
            _row(row, figures, judged[0], split.test, settings.resamples)
            for row, figures in zip(chosen, judged, strict=True)
        ],
        resamples=settings.resamples,
        git_commit=git_commit(),
        evaluated_at=now(),
    )
    write_json(folder / "report.json", report.model_dump(mode="json"))
    return report


def _best(members: Sequence[Member], arena: Arena) -> tuple[Member, list[Trial]]:
    """The one with the highest figure on validation, of the first seed; and all figures."""
    figures = [_figure([arena.opinion(member, 1, "valid")], np.ones(1), arena.split.valid) for member in members]
    trials = [Trial(config=m.config(1), valid=figure) for m, figure in zip(members, figures, strict=True)]
    return members[int(np.argmax(figures))], trials


def _alone(member: Member, kind: Literal["simple", "network"], arena: Arena, seeds: list[int]) -> Chosen:
    runs = seeds if member.random else [0]
    valid = [_figure([arena.opinion(member, seed, "valid")], np.ones(1), arena.split.valid) for seed in runs]
    return Chosen(member.name, kind, (member,), np.ones((len(runs), 1)), runs, float(np.mean(valid)))


def _system(members: Sequence[Member], arena: Arena, seeds: list[int]) -> Chosen:
    """For each seed the pool of the members of that seed, with its weights."""
    weights, valid = [], []
    for seed in seeds:
        opinions = [arena.opinion(member, seed, "valid") for member in members]
        weights.append(pool.fit(opinions, arena.split.valid))
        valid.append(_figure(opinions, weights[-1], arena.split.valid))
    return Chosen("system", "system", tuple(members), np.array(weights), seeds, float(np.mean(valid)))


def _figure(opinions: Sequence[sparse.csr_array], weights: Float64, queries: Queries) -> float:
    return float(ranking.ndcg(pool.slates(opinions, weights, 20), queries.targets, 20).mean())


def _judge(row: Chosen, arena: Arena) -> list[dict[str, Float64]]:
    """For each run every metric, float64 (test items,)."""
    runs = []
    for seed, weights in zip(row.seeds, row.weights, strict=True):
        heard = np.flatnonzero(weights > NO_WEIGHT)
        opinions = [arena.opinion(row.members[i], seed, "test") for i in heard]
        slates, targets = pool.slates(opinions, weights[heard], max(CUTS)), arena.split.test.targets
        runs.append(
            {f"hr@{k}": ranking.hit_rate(slates, targets, k) for k in CUTS}
            | {f"ndcg@{k}": ranking.ndcg(slates, targets, k) for k in CUTS}
        )
    return runs


def _row(
    row: Chosen, runs: list[dict[str, Float64]], baseline: list[dict[str, Float64]], queries: Queries, resamples: int
) -> Row:
    def mean(of: list[dict[str, Float64]], metric: str) -> Float64:
        averaged: Float64 = np.mean([run[metric] for run in of], axis=0)
        return averaged

    random = any(member.random for member in row.members)
    gains = {
        metric: mean_interval(mean(runs, metric) - mean(baseline, metric), queries.clusters, resamples=resamples)
        for metric in METRICS
        if runs is not baseline
    }
    return Row(
        name=row.name,
        kind=row.kind,
        reads_attributes=any(member.reads_attributes for member in row.members),
        members=[member.config(row.seeds[0]) for member in row.members],
        weights={} if len(row.members) == 1 else _named(row),
        seeds=row.seeds if random else [],
        valid=row.valid,
        metrics={metric: float(mean(runs, metric).mean()) for metric in METRICS},
        deviation={m: float(np.std([run[m].mean() for run in runs], ddof=1)) for m in METRICS if len(runs) > 1},
        gains=gains,
    )


def _named(row: Chosen) -> dict[str, list[float]]:
    """The weights of each member by its name."""
    names = [f"{m.name}, attributes" if m.reads_attributes and m.random else m.name for m in row.members]
    return {name: row.weights[:, i].round(4).tolist() for i, name in enumerate(names)}

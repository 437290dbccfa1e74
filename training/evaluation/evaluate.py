"""The order of the work: split, tune on validation, score on test, compare, write, publish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from recsys.baselines import BASELINES
from recsys.baselines.base import Baseline
from recsys.baselines.ranked import Ranked
from recsys.bundle import now
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.files import fingerprint, sha256
from recsys.metrics import exposure, harness
from recsys.metrics.bootstrap import Interval, mean_interval
from recsys.plays import STORED
from recsys.ragged import Bool, Float64
from recsys.splits import Split, for_dataset, is_repeat
from recsys.workspace import Workspace
from training.code import FITTED, RANKED, code_fingerprint
from training.evaluation.report import (
    SCHEMA_VERSION,
    Data,
    Inputs,
    ProtocolName,
    ProtocolTable,
    Report,
    Row,
    Subgroup,
)
from training.evaluation.settings import EvaluateSettings
from training.evaluation.systems import (
    Arena,
    Scored,
    neural_bundles,
    sampled,
    score_baseline,
    score_bundles,
    up_to_valid,
)
from training.evaluation.tuned import Choices, TunedBaselines, grids
from training.publish import publish

Averager = Callable[[Float64], Interval]


def report_path(workspace: Workspace, dataset: Dataset, settings: EvaluateSettings) -> Path:
    name = "evaluation-quick.json" if settings.quick else "evaluation.json"
    return workspace.reports / dataset.manifest.name / name


def evaluate(workspace: Workspace, dataset: Dataset, settings: EvaluateSettings) -> tuple[Report, bool]:
    """The report, and whether it was made now: with equal inputs the stored one is returned.

    Raises InputError on a leak (recsys.splits.guards), on too many copies, and for the live protocol without time.
    """
    protocols = _protocols(dataset, settings)
    path = report_path(workspace, dataset, settings)
    inputs = _inputs(workspace, dataset, settings)
    stored = Report.read(path)
    if stored is not None and stored.inputs == inputs and _stands(workspace, stored):
        return stored, False
    dataset = dataset.with_beside(STORED)
    whole = for_dataset(dataset)
    arena = Arena(dataset, sampled(whole, *settings.limits), harness.Catalogue.of(dataset))
    tuned = TunedBaselines(path.with_name("tuned.json"), dataset.manifest.fingerprint)
    neural = [score_bundles(workspace, arena, *group) for group in neural_bundles(workspace, dataset).items()]
    chosen = {protocol: _tuned(tuned, protocol, arena) for protocol in protocols}
    tables = []
    for protocol, choices in chosen.items():
        systems: list[tuple[Baseline | Ranked, float | None]] = list(choices.values())
        if _ranks(dataset, settings):
            systems.append(tuned.ranked(choices, arena.split, settings.ranked_lessons, protocol == "live"))
        scored = [score_baseline(arena, *system, protocol, settings.seeds) for system in systems]
        tables.append(_table(arena, protocol, [*scored, *neural], settings))
    report = Report(
        inputs=inputs,
        data=_data(arena, whole),
        tables=tables,
        left_out={name: "needs time" for name in BASELINES if name not in chosen[protocols[0]]},
        published=None if settings.quick else _publish(workspace, arena, chosen[protocols[0]], tables[0].reference),
        evaluated_at=now(),
    )
    report.write(path)
    return report, True


def _protocols(dataset: Dataset, settings: EvaluateSettings) -> list[ProtocolName]:
    timeless = not dataset.manifest.dated or dataset.manifest.protocol == "leave_one_out"
    if timeless and settings.protocol == "live":
        raise InputError(
            f"protocol live needs the day of each session, which data set {dataset.manifest.name!r} does not have "
            f"(dated: {str(dataset.manifest.dated).lower()}, split: {dataset.manifest.protocol}); use --protocol static"
        )
    if settings.protocol == "both":
        return ["static"] if timeless else ["static", "live"]
    if settings.protocol in ("refit", "all") and dataset.manifest.protocol == "leave_one_out":
        raise InputError("protocol refit: a leave-one-out split trains on all but two tracks already; use static")
    if settings.protocol == "all":
        return ["static", "refit"] if timeless else ["static", "refit", "live"]
    return [settings.protocol]


def _ranks(dataset: Dataset, settings: EvaluateSettings) -> bool:
    manifest = dataset.manifest
    timed = manifest.dated and manifest.protocol in ("global_time", "owner_time")
    return settings.ranked and not settings.quick and timed and manifest.task == "next"


def _inputs(workspace: Workspace, dataset: Dataset, settings: EvaluateSettings) -> Inputs:
    names = [m.name for runs in neural_bundles(workspace, dataset).values() for m in runs]
    return Inputs(
        schema_version=SCHEMA_VERSION,
        dataset=dataset.manifest.name,
        fingerprint=dataset.manifest.fingerprint,
        code=code_fingerprint(*RANKED, "training.evaluation"),
        baselines=grids(),
        bundles={name: sha256(workspace.bundles / name / "manifest.json") for name in sorted(names)},
        settings=settings.model_dump(mode="json"),
    )


def _stands(workspace: Workspace, report: Report) -> bool:
    return report.published is None or (workspace.bundles / report.published / "manifest.json").is_file()


def _tuned(tuned: TunedBaselines, protocol: ProtocolName, arena: Arena) -> Choices:
    live = up_to_valid(arena.dataset) if protocol == "live" else None
    return tuned.tune_all(protocol, arena.split.train, arena.split.valid, arena.task, live)


def _table(arena: Arena, protocol: ProtocolName, scored: list[Scored], settings: EvaluateSettings) -> ProtocolTable:
    primary = harness.PRIMARY[arena.task]
    simple = [s for s in scored if s.kind == "baseline"]
    reference = max(simple, key=lambda s: s.valid if s.valid is not None else -np.inf)
    rows = [_row(arena, s, None if s is reference else reference, settings) for s in scored]
    rows.sort(key=lambda row: -row.metrics[primary].mean)
    return ProtocolTable(protocol=protocol, primary=primary, reference=reference.name, rows=rows)


def _row(arena: Arena, scored: Scored, reference: Scored | None, settings: EvaluateSettings) -> Row:
    queries, mean = arena.split.test, scored.mean

    def interval(values: Float64, chosen: Bool | slice = slice(None)) -> Interval:
        return mean_interval(
            values[chosen], queries.clusters[chosen], seed=settings.bootstrap_seed, resamples=settings.resamples
        )

    primary = mean.per_query[harness.PRIMARY[arena.task]]
    base = {} if reference is None else reference.mean.per_query
    return Row(
        name=scored.name,
        kind=scored.kind,
        config=scored.config,
        bundles=scored.bundles,
        seeds=scored.seeds,
        valid=scored.valid,
        metrics={m: interval(values) for m, values in mean.per_query.items()},
        seed_deviation=scored.deviation,
        gains={m: interval(mean.per_query[m] - values) for m, values in base.items()},
        subgroups={
            name: Subgroup(queries=int(member.sum()), primary=interval(primary, member))
            for name, member in _subgroups(arena).items()
            if member.any()
        },
        catalogue=mean.catalogue,
        cost=scored.cost,
    )


def _subgroups(arena: Arena) -> dict[str, Bool]:
    queries = arena.split.test
    groups = exposure.listener_groups(queries.histories, arena.catalogue.train_counts, len(harness.GROUPS))
    by_taste = {name: groups == i for i, name in enumerate(harness.GROUPS)}
    if queries.mask_history:
        return by_taste
    repeat = is_repeat(queries)
    cold = arena.catalogue.train_counts[queries.targets.values] == 0
    return {"repeats": repeat, "discoveries": ~repeat, "warm": ~cold, "cold": cold, **by_taste}


def _data(arena: Arena, whole: Split) -> Data:
    split, manifest = arena.split, arena.dataset.manifest
    parts = {"valid": (whole.valid, split.valid), "test": (whole.test, split.test)}
    return Data(
        simulated=manifest.simulated,
        task=manifest.task,
        split=split.protocol,
        items=arena.catalogue.n_items,
        train_sequences=len(split.train),
        valid_queries=len(split.valid),
        test_queries=len(split.test),
        test_clusters=len(np.unique(split.test.clusters)),
        sampled_from={name: len(all_) for name, (all_, used) in parts.items() if len(all_) > len(used)},
        dropped=split.dropped,
    )


def _publish(workspace: Workspace, arena: Arena, choices: Choices, best: str) -> str:
    """The best simple baseline as a bundle, with popularity behind it for whom it knows nothing."""
    dataset, train = arena.dataset, arena.split.train
    baseline, valid = choices[best]
    config = baseline.model_dump(mode="json")
    scorers = {name: choices[n][0].fit(train) for name, n in (("main", best), ("popularity", "popularity"))}
    if best == "popularity":
        del scorers["popularity"]
    key = fingerprint({"data": dataset.manifest.fingerprint, "config": config, "code": code_fingerprint(*FITTED)})
    folder = publish(
        workspace,
        dataset,
        name=f"{dataset.manifest.name}-{best}-{key}",
        model=best,
        scorers=scorers,
        config=config,
        metrics={f"valid_{harness.PRIMARY[arena.task]}": valid},
    )
    return folder.name

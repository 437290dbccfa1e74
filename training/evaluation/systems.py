"""What is scored: baselines, fitted here, and neural bundles, opened; each on the same test queries."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import rich
from rich.progress import track

from recsys.baselines.base import Baseline
from recsys.baselines.ranked import Ranked, RankedState
from recsys.bundle import Bundle, BundleManifest, read_manifest
from recsys.dataset import Dataset, Queries, Sequences, Task
from recsys.files import fingerprint
from recsys.metrics import harness
from recsys.metrics.harness import Catalogue, Measurement
from recsys.ragged import Int32
from recsys.scoring.base import CHUNK, Scorer
from recsys.splits import Split
from recsys.workspace import Workspace
from training.evaluation.report import Cost, ProtocolName

T = TypeVar("T")

NOT_CONFIG = frozenset({"seed", "seeds", "run", "run_id", "device", "threads"})
"""Keys of a bundle's config in which bundles of one model may differ and still be runs of the same thing."""


@dataclass(frozen=True)
class Arena:
    """The rows of an evaluation: equal for all systems."""

    dataset: Dataset
    split: Split
    """Its queries sampled down to what the settings allow."""
    catalogue: Catalogue

    @property
    def task(self) -> Task:
        return self.dataset.manifest.task

    @property
    def depth(self) -> int:
        return harness.DEPTH[self.task]

    def train(self, protocol: ProtocolName) -> Sequences:
        """What is learned from where fitting is done once."""
        return self.split.train if protocol == "static" else self.dataset.part("train", "valid")

    def judge(self, slates: Int32) -> Measurement:
        return harness.judge(slates, self.split.test, self.task, self.catalogue)


@dataclass(frozen=True)
class Scored:
    """One system on the test queries; ``runs`` holds one measurement a seed, or the only one."""

    name: str
    kind: Literal["baseline", "neural", "ranked"]
    config: dict[str, Any]
    bundles: list[str]
    seeds: list[int]
    valid: float | None
    runs: list[Measurement]
    cost: Cost

    @property
    def mean(self) -> Measurement:
        """The mean over runs, query by query."""
        first = self.runs[0]
        return Measurement(
            {m: np.mean([run.per_query[m] for run in self.runs], axis=0) for m in first.per_query},
            {f: float(np.mean([run.catalogue[f] for run in self.runs])) for f in first.catalogue},
        )

    @property
    def deviation(self) -> dict[str, float]:
        """Standard deviation of each metric's mean over runs; empty for a single run."""
        if len(self.runs) < 2:
            return {}
        return {m: float(np.std([run.mean(m) for run in self.runs], ddof=1)) for m in self.runs[0].per_query}


def score_baseline(
    arena: Arena, baseline: Baseline | Ranked, valid: float | None, protocol: ProtocolName, seeds: list[int]
) -> Scored:
    """Fit and score; once for each seed where the baseline, or a member of a mix, is random."""
    variants = [baseline.seeded(seed) for seed in seeds] if baseline.random else [baseline]
    runs, fit_s, score_s = [], 0.0, 0.0
    for variant in variants:
        if protocol == "live":
            slates, seconds = live_slates(arena, variant)
        else:
            start = time.perf_counter()
            scorer = variant.fit(arena.train(protocol))
            fit_s += time.perf_counter() - start
            slates, seconds = static_slates(arena, baseline.name, scorer)
        score_s += seconds
        runs.append(arena.judge(slates))
    cost = Cost(fit_s=None if protocol == "live" else fit_s / len(variants), score_s=score_s / len(variants))
    config = baseline.model_dump(mode="json")
    kind: Literal["baseline", "ranked"] = "ranked" if isinstance(baseline, Ranked) else "baseline"
    return Scored(baseline.name, kind, config, [], seeds if baseline.random else [], valid, runs, cost)


def static_slates(arena: Arena, name: str, scorer: Scorer | RankedState) -> tuple[Int32, float]:
    """int32 (n, depth) and the seconds they took."""
    start = time.perf_counter()
    queries = arena.split.test
    out = np.full((len(queries), min(arena.depth, arena.catalogue.n_items)), -1, dtype=np.int32)
    for first in _bar(range(0, len(queries), CHUNK), f"scoring {name}", -(-len(queries) // CHUNK)):
        rows = np.arange(first, min(first + CHUNK, len(queries)))
        out[rows] = harness.slates(scorer, queries.take(rows), arena.depth)
    return out, time.perf_counter() - start


def live_slates(arena: Arena, baseline: Baseline | Ranked) -> tuple[Int32, float]:
    """As static_slates, but each day's queries by what is known up to the day before."""
    start = time.perf_counter()
    queries = arena.split.test
    assert queries.days is not None
    history = arena.dataset.known("train", "valid", "test")
    out = np.full((len(queries), min(arena.depth, history.n_items)), -1, dtype=np.int32)
    days = len(np.unique(queries.days))
    states: Iterable[tuple[np.datetime64, Scorer | RankedState]] = baseline.live(history, queries.days)
    for day, scorer in _bar(states, f"scoring {baseline.name} day by day", days):
        today = np.flatnonzero(queries.days == day)
        out[today] = harness.slates(scorer, queries.take(today), arena.depth)
    return out, time.perf_counter() - start


def neural_bundles(workspace: Workspace, dataset: Dataset) -> dict[str, list[BundleManifest]]:
    """The neural bundles of exactly these data: name of the model -> its runs, by seed.

    Bundles that differ in their seed alone are runs of one model; where a model's bundles differ in more, four digits
    of the config's fingerprint tell them apart. Those with a ranker (`segue ranker`) hold copies of others' sources.
    """
    manifests = (read_manifest(path.parent) for path in sorted(workspace.bundles.glob("[!.]*/manifest.json")))
    found = [manifest for manifest in manifests if not manifest.rankers]
    groups: dict[tuple[str, str], list[BundleManifest]] = {}
    for manifest in found:
        if manifest.data.fingerprint == dataset.manifest.fingerprint and manifest.sources.get("main") == "neural":
            config = {key: value for key, value in manifest.config.items() if key not in NOT_CONFIG}
            groups.setdefault((manifest.model, fingerprint(config)), []).append(manifest)
    models = [model for model, _ in groups]
    return {
        model if models.count(model) == 1 else f"{model} {key[:4]}": sorted(runs, key=lambda m: (_seed(m), m.name))
        for (model, key), runs in groups.items()
    }


def score_bundles(workspace: Workspace, arena: Arena, name: str, manifests: list[BundleManifest]) -> Scored:
    """Score each run of a neural model; its weights stay as they are in both protocols."""
    runs, score_s = [], 0.0
    for manifest in manifests:
        bundle = Bundle.open(workspace.bundles / manifest.name)
        slates, seconds = static_slates(arena, name, bundle.scorers["main"])
        score_s += seconds
        runs.append(arena.judge(slates))
    valid = [m.metrics.get(f"valid_{harness.PRIMARY[arena.task]}") for m in manifests]
    fit = [m.metrics["seconds"] for m in manifests if "seconds" in m.metrics]
    return Scored(
        name,
        "neural",
        manifests[0].config,
        [m.name for m in manifests],
        [_seed(m) for m in manifests],
        float(np.mean([v for v in valid if v is not None])) if None not in valid else None,
        runs,
        Cost(fit_s=float(np.mean(fit)) if fit else None, score_s=score_s / len(manifests)),
    )


def sample(queries: Queries, limit: int) -> Queries:
    """A fixed sample, in the order of the queries."""
    if len(queries) <= limit:
        return queries
    return queries.take(np.sort(np.random.default_rng(0).permutation(len(queries))[:limit]))


def sampled(split: Split, valid: int, test: int) -> Split:
    return replace(split, valid=sample(split.valid, valid), test=sample(split.test, test))


def up_to_valid(dataset: Dataset) -> Sequences:
    """What the live protocol may draw on while it is tuned."""
    return dataset.known("train", "valid")


def _bar(steps: Iterable[T], description: str, total: int) -> Iterable[T]:
    """A bar that goes when it is full, and none where nobody watches."""
    return track(steps, description, total=total, transient=True, disable=not rich.get_console().is_terminal)


def _seed(manifest: BundleManifest) -> int:
    return int(manifest.config.get("seed", 0))

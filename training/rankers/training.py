"""Training and judging the ranker of one surface.

Trees grow from validation queries, for the sources of the bundle have seen the training part and would look better on
it than they are. A part of the validation clusters is held back, in two halves: one says how many trees are kept, the
other which order without a ranker is the one to beat, and whether the ranker beats it. The test part is only told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsys.bundle import Bundle
from recsys.dataset import Dataset, Queries
from recsys.errors import InputError
from recsys.metrics import ranking
from recsys.metrics.bootstrap import Interval, mean_interval
from recsys.ragged import Bool, Float32, Float64, Int32, Ragged
from recsys.ranking.pool import Pool
from recsys.ranking.ranker import Ranker
from recsys.ranking.surface_ranker import RankerCard, SurfaceRanker
from recsys.splits import for_dataset
from recsys.splits.base import sampled
from training.publish import window_of
from training.rankers.candidates import Proposer
from training.rankers.lessons import Lessons, held_clusters, learn, practice
from training.rankers.orders import by_steps, slates
from training.rankers.report import METRICS, PRIMARY, RankerReport, Row
from training.rankers.settings import RankerSettings

SHOWN = 100
SERVED = "as the policy asks"
FUSED = "all fused"
RANKER = "ranker"

Order = Callable[[Pool, Float32], Float32]
"""A pool and its features -> scores (m,), higher is better."""
OnProgress = Callable[[str, int, int], None]
"""What is done, how many queries or rankers more, of how many."""


@dataclass(frozen=True)
class Trained:
    ranker: SurfaceRanker
    report: RankerReport


def train(
    dataset: Dataset,
    bundle: Bundle,
    surface: str,
    settings: RankerSettings,
    on_progress: OnProgress = lambda what, more, total: None,
) -> Trained:
    """All sources of the bundle are asked together, those of the surface's policy first.

    Raises InputError where the bundle is of other data or has seen the validation part, where the surface has no ranker
    or the data have too little to learn from.
    """
    check(dataset, bundle, surface)
    policy = bundle.policy.surfaces[surface]
    sources = [*policy.source_names, *(name for name in bundle.scorers if name not in policy.source_names)]
    proposer = Proposer.of(bundle, sources, policy, settings.candidates)
    told = {"time", *(c for s in sources for c in getattr(getattr(bundle.scorers[s], "config", None), "columns", ()))}
    dataset = dataset.with_beside(sorted(told))
    split = for_dataset(dataset, most=settings.queries)
    valid, test = (q.take(sampled(len(q), settings.queries)) for q in (split.valid, split.test))
    asked = practice(dataset, valid, settings.queries)
    lessons = Lessons.of(
        proposer, asked, settings.negatives, settings.seeds[0], lambda n: on_progress("learn", n, len(asked))
    )
    rankers, deciding = [], []
    on_progress("grow", 0, len(settings.seeds))
    for seed in settings.seeds:
        try:
            stop, decide = held_clusters(valid.clusters, settings.held, seed)
            grow = ~np.isin(asked.clusters, [*stop, *decide])
            grown = learn(lessons, grow, np.isin(asked.clusters, stop), proposer.features, settings.grown(seed))
            rankers.append(grown)
            deciding.append(np.isin(valid.clusters, decide))
            on_progress("grow", 1, len(settings.seeds))
        except ValueError as error:
            raise InputError(f"{dataset.folder}: {error}; a ranker has too little to learn from") from error
    plain = _plain(sources, policy.sources)
    orders = plain | _scored(rankers)
    on_valid, _ = _measured(proposer, valid, orders, lambda n: on_progress("judge", n, len(valid)))
    on_test, reach = _measured(proposer, test, orders, lambda n: on_progress("test", n, len(test)))
    reference, gain = _decided(on_valid, valid, deciding, plain)
    rows = [_row(name, [on_test[name]], on_test[reference], test) for name in plain]
    rows.append(_row(RANKER, [on_test[name] for name in _scored(rankers)], on_test[reference], test))
    report = RankerReport(
        dataset=dataset.manifest.name,
        fingerprint=dataset.manifest.fingerprint,
        simulated=dataset.manifest.simulated,
        surface=surface,
        protocol=f"{split.protocol}; as served: {'no version of a seed' if policy.mask_seeds else 'seeds kept'}",
        sources=list(sources),
        reference=reference,
        seeds=settings.seeds,
        trees=[ranker.size for ranker in rankers],
        learned=len(np.unique(lessons.queries)),
        test_queries=len(test),
        test_clusters=len(np.unique(test.clusters)),
        reach=reach,
        held=gain,
        rows=rows,
        features=_shares(rankers[0]),
    )
    card = RankerCard(
        sources=list(sources),
        vectors=proposer.vectors,
        features=list(proposer.features),
        candidates=settings.candidates,
        trees=settings.grown(settings.seeds[0]),
        protocol=report.protocol,
        queries=report.learned,
        metrics={f"test_{name}": value for name, value in rows[-1].figures.items()},
    )
    return Trained(SurfaceRanker(card, rankers[0]), report)


def check(dataset: Dataset, bundle: Bundle, surface: str) -> None:
    """Raise InputError where a ranker of this surface cannot be learned from these data."""
    data, name = bundle.manifest.data, bundle.manifest.name
    if data.fingerprint != dataset.manifest.fingerprint:
        raise InputError(
            f"--bundle: {name!r} was made of data {data.fingerprint}, {dataset.folder} holds "
            f"{dataset.manifest.fingerprint}; train it anew on these: segue train"
        )
    trained, window = bundle.manifest.training_window[1], window_of(dataset, "train")[1]
    if trained is not None and window is not None and trained > window:
        raise InputError(
            f"--bundle: {name!r} has seen plays up to {trained}, after the training part's last of {window}; a ranker "
            "learns from what its sources have not seen"
        )
    if surface not in bundle.policy.surfaces:
        raise InputError(f"--surface: {name!r} has {', '.join(bundle.policy.surfaces)}, not {surface!r}")
    if surface == "similar":
        raise InputError("--surface: similar shows what is alike, and no play says what that is; there is no ranker")


def _plain(sources: Sequence[str], policy: Sequence[list[str]]) -> dict[str, Order]:
    """The orders without a ranker: the policy's steps, each source before all others, and all in one step.

    A ranker that only learned which source is the best one has not earned its place.
    """

    def order(steps: Sequence[int]) -> Order:
        return lambda pool, features: by_steps(pool, steps)

    served = [next((n for n, step in enumerate(policy) if s in step), len(policy)) for s in sources]
    orders = {SERVED: order(served), FUSED: order([0] * len(sources))}
    alone = [source for source in sources if [source] != policy[0]]  # that one stands first as it is served
    return orders | {f"{first} first": order([int(s != first) for s in sources]) for first in alone}


def _scored(rankers: Sequence[Ranker]) -> dict[str, Order]:
    def order(ranker: Ranker) -> Order:
        return lambda pool, features: ranker.score(features).astype(np.float32)

    return {f"{RANKER} {number}": order(ranker) for number, ranker in enumerate(rankers)}


def _measured(
    proposer: Proposer, queries: Queries, orders: Mapping[str, Order], on_batch: Callable[[int], None]
) -> tuple[dict[str, dict[str, Float64]], float]:
    """Order -> metric -> (n,), and the share of all targets that are among the candidates."""
    out = {name: np.full((len(queries), SHOWN), -1, np.int32) for name in orders}
    reached = 0
    for batch in proposer.batches(queries):
        for name, order in orders.items():
            out[name][batch.rows] = slates(batch.pool, order(batch.pool, batch.features), SHOWN)
        reached += _reached(batch.pool, queries.targets.take(np.arange(batch.rows.start, batch.rows.stop)))
        on_batch(batch.pool.n_requests)
    return {name: _metrics(found, queries.targets) for name, found in out.items()}, reached / len(
        queries.targets.values
    )


def _reached(pool: Pool, targets: Ragged) -> int:
    span = int(max(pool.items.max(initial=0), targets.values.max(initial=0))) + 1
    proposed = pool.requests.astype(np.int64) * span + pool.items
    return int(np.isin(targets.rows * span + targets.values, proposed).sum())


def _metrics(found: Int32, targets: Ragged) -> dict[str, Float64]:
    return {
        "ndcg@20": ranking.ndcg(found, targets, 20),
        "hr@20": ranking.hit_rate(found, targets, 20),
        "ndcg@100": ranking.ndcg(found, targets, 100),
        "recall@100": ranking.recall(found, targets, 100),
    }


def _decided(
    measured: Mapping[str, Mapping[str, Float64]],
    queries: Queries,
    deciding: Sequence[Bool],
    plain: Mapping[str, Order],
) -> tuple[str, Interval]:
    """The better plain order on the held queries, and what the rankers gain there, each on its own held part."""
    held = np.stack(deciding)
    judged = held.any(axis=0)
    reference = max(plain, key=lambda name: float(measured[name][PRIMARY][judged].mean()))
    scores = np.stack([measured[f"{RANKER} {number}"][PRIMARY] for number in range(len(deciding))])
    gains = np.where(held, scores - measured[reference][PRIMARY], 0).sum(axis=0)[judged] / held.sum(axis=0)[judged]
    return reference, mean_interval(gains, queries.clusters[judged])


def _row(name: str, runs: Sequence[Mapping[str, Float64]], reference: Mapping[str, Float64], queries: Queries) -> Row:
    means = {metric: np.mean([run[metric] for run in runs], axis=0) for metric in METRICS}
    gains = {metric: mean_interval(means[metric] - reference[metric], queries.clusters) for metric in METRICS}
    return Row(name=name, figures={metric: float(mean.mean()) for metric, mean in means.items()}, gains=gains)


def _shares(ranker: Ranker) -> dict[str, float]:
    gains = ranker.gains
    total = sum(gains.values()) or 1.0
    return {name: round(gain / total, 4) for name, gain in gains.items() if gain > 0}

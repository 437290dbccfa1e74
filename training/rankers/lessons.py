"""What a ranker is trained on: candidates of validation queries, the right ones and a sample of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.dataset import Dataset, Queries
from recsys.ragged import Bool, Float32, Int64, Ragged
from recsys.ranking.ranker import Ranker, Trees
from recsys.splits import for_dataset
from recsys.splits.base import sampled
from training.rankers.candidates import Proposer

SEEDS = (1, 2, 5, 10, 25)
"""Of how many tracks of a playlist the rest is asked, in practice."""


@dataclass(frozen=True)
class Lessons:
    """m candidates. queries: int64 (m,) rising, the number of the query; right: (m,); features: float32 (m, F)."""

    queries: Int64
    right: Bool
    features: Float32

    @classmethod
    def of(
        cls, proposer: Proposer, queries: Queries, negatives: int, seed: int, on_batch: Callable[[int], None]
    ) -> Self:
        """Queries of which a target is among the candidates; ``negatives`` others of each on average."""
        random = np.random.default_rng(seed)
        numbers, right, features = [], [], []
        for batch in proposer.batches(queries):
            pool = batch.pool
            targets = queries.targets.take(np.arange(batch.rows.start, batch.rows.stop))
            span = len(proposer.columns)
            good = np.isin(pool.requests.astype(np.int64) * span + pool.items, targets.rows * span + targets.values)
            found = np.bincount(pool.requests[good], minlength=pool.n_requests)
            wrong = np.diff(pool.offsets) - found
            drawn = random.random(len(pool)) < (negatives / np.maximum(wrong, 1))[pool.requests]
            kept = (found > 0)[pool.requests] & (good | drawn)
            numbers.append(batch.rows.start + pool.requests[kept].astype(np.int64))
            right.append(good[kept])
            features.append(batch.features[kept])
            on_batch(pool.n_requests)
        return cls(np.concatenate(numbers), np.concatenate(right), np.concatenate(features))

    def take(self, queries: Bool) -> tuple[Float32, Bool, Int64]:
        """Those of the queries for which it is true, (queries,): features, right, queries."""
        kept = queries[self.queries]
        return self.features[kept], self.right[kept], self.queries[kept]


def practice(dataset: Dataset, queries: Queries, most: int) -> Queries:
    """What is learned from: validation queries, of a playlist several, since a listener may ask early or late in it."""
    if dataset.manifest.task == "continuation":
        queries = _joined([for_dataset(dataset, seeds=seeds).valid for seeds in SEEDS])
    return queries.take(sampled(len(queries), most))


def _joined(parts: Sequence[Queries]) -> Queries:
    def ragged(rows: list[Ragged]) -> Ragged:
        return Ragged.from_lengths(np.concatenate([r.values for r in rows]), np.concatenate([r.lengths for r in rows]))

    first = parts[0]
    return Queries(
        ragged([part.histories for part in parts]),
        ragged([part.targets for part in parts]),
        np.concatenate([part.clusters for part in parts]),
        None if first.days is None else np.concatenate([part.days for part in parts if part.days is not None]),
        first.mask_history,
    )


def held_clusters(clusters: Int64, share: float, seed: int) -> tuple[Int64, Int64]:
    """A share of the distinct ones, drawn by the seed, in two halves: one to stop by, one to decide by.

    At least one each, and never all. Raises ValueError for fewer than three clusters, which cannot be parted so.
    """
    distinct = np.unique(clusters)
    if len(distinct) < 3:
        raise ValueError(f"validation queries of {len(distinct)} clusters cannot be parted in three")
    count = min(max(round(share * len(distinct)), 2), len(distinct) - 1)
    drawn: Int64 = np.random.default_rng(seed).permutation(distinct)[:count]
    return drawn[: count // 2], drawn[count // 2 :]


def learn(lessons: Lessons, grow: Bool, stop: Bool, names: tuple[str, ...], trees: Trees) -> Ranker:
    """grow, stop: (queries,), those from which trees grow, and those that say how many are kept.

    Raises ValueError where nothing of a part is right: nothing to learn, or nothing to judge by.
    """
    judges = lessons.take(stop)
    if not judges[1].any():
        raise ValueError("no target of the held queries is among the candidates")
    return Ranker.train(*lessons.take(grow), names, trees, held=judges)

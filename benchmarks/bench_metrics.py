"""Full-catalogue ranking and all next-track metrics: 10,000 listeners x 100,000 items, top 100.

    python benchmarks/bench_metrics.py [--listeners N] [--items N] [--factors D]

Prints the seconds of scoring (by matrix factors), ranking and judging; measures, asserts nothing.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.dataset import Queries
from recsys.metrics import bootstrap, harness
from recsys.ragged import Float32, Ragged


@dataclass
class Factors:
    """Scores by the mean vector of a history; counts its own time."""

    kind: ClassVar[str] = "bench"
    vectors: Float32
    seconds: float = 0.0

    @property
    def n_items(self) -> int:
        return len(self.vectors)

    def scores(self, histories: Ragged) -> Float32:
        start = time.perf_counter()
        listener = np.add.reduceat(self.vectors[histories.values], histories.offsets[:-1])
        scored: Float32 = listener @ self.vectors.T
        self.seconds += time.perf_counter() - start
        return scored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--factors", type=int, default=64)
    size = parser.parse_args()
    random = np.random.default_rng(0)
    scorer = Factors(random.normal(size=(size.items, size.factors)).astype(np.float32))
    popularity = 1.0 / np.arange(1, size.items + 1)
    plays = random.choice(size.items, size=(size.listeners, 31), p=popularity / popularity.sum()).astype(np.int32)
    queries = Queries(
        Ragged.from_lengths(plays[:, :30].ravel(), np.full(size.listeners, 30)),
        Ragged.from_lengths(plays[:, 30], np.ones(size.listeners)),
        np.arange(size.listeners),
        None,
        mask_history=False,
    )
    counts = np.bincount(plays.ravel(), minlength=size.items)
    catalogue = harness.Catalogue(np.arange(size.items, dtype=np.int32) // 8, counts, scorer.vectors)

    start = time.perf_counter()
    slates = harness.slates(scorer, queries, harness.DEPTH["next"])
    ranked = time.perf_counter()
    measured = harness.judge(slates, queries, "next", catalogue)
    judged = time.perf_counter()
    values = measured.per_query[harness.PRIMARY["next"]]
    bootstrap.mean_interval(values, queries.clusters)
    done = time.perf_counter()

    print(f"{size.listeners:,} listeners x {size.items:,} items, top {slates.shape[1]}")
    print(f"  scoring    {scorer.seconds:7.1f} s  ({size.factors} factors)")
    print(f"  ranking    {ranked - start - scorer.seconds:7.1f} s")
    print(f"  metrics    {judged - ranked:7.1f} s  ({len(measured.per_query) + len(measured.catalogue)} figures)")
    print(f"  bootstrap  {done - judged:7.1f} s  (1,000 resamples)")
    print(f"  together   {done - start:7.1f} s")


if __name__ == "__main__":
    main()

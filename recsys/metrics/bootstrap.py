"""Intervals by the paired cluster bootstrap.

Queries of one listener, show or playlist are not independent, so whole clusters are resampled, with replacement; the
statistic is the mean over the queries that a resample holds. Two systems are compared on the same resamples (paired),
for then the difficulty of a query cancels out (Efron & Tibshirani 1993, ch. 8 and 13; Field & Welsh, JRSS-B 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.ragged import Float64, Int64


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the bounds of its percentile interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def paired_interval(
    a: Float64, b: Float64, clusters: Int64, *, seed: int = 0, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """The mean of a - b over queries with its interval; a, b float64 (n,), clusters int64 (n,).

    A constant gain has an interval of no width:

    >>> i = paired_interval(np.array([0.5, 1.0, 0.25]), np.array([0.25, 0.75, 0.0]), np.array([0, 0, 1]))
    >>> i.mean, i.low, i.high
    (0.25, 0.25, 0.25)
    """
    if not len(a) == len(b) == len(clusters):
        raise ValueError(f"a, b and clusters must have one entry a query, got {len(a)}, {len(b)}, {len(clusters)}")
    return mean_interval(a - b, clusters, seed=seed, resamples=resamples, level=level)


def mean_interval(
    values: Float64, clusters: Int64, *, seed: int = 0, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """The mean of ``values`` (n,) over queries with its interval.

    Seeded, so the same call gives the same numbers; equal ``clusters`` and seed give equal resamples, whatever the
    values. Raises ValueError without a query.
    """
    if len(values) == 0:
        raise ValueError("no query to average over")
    _, group = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(group).astype(np.float64)
    sums = np.bincount(group, weights=values)
    n = len(sizes)
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    # Some resamples at a time: the draws of all at once would be resamples * n integers.
    step = max(1, 2_000_000 // n)
    for start in range(0, resamples, step):
        drawn = random.integers(n, size=(min(step, resamples - start), n))
        means[start : start + step] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(float(values.mean()), float(low), float(high))

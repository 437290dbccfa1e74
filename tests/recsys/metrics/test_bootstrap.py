from __future__ import annotations

import numpy as np
import pytest

from recsys.metrics.bootstrap import mean_interval, paired_interval


def test_the_same_call_gives_the_same_numbers():
    random = np.random.default_rng(1)
    a, b, clusters = random.normal(size=200), random.normal(size=200), random.integers(40, size=200)
    assert paired_interval(a, b, clusters, seed=3) == paired_interval(a, b, clusters, seed=3)
    assert paired_interval(a, b, clusters, seed=3) != paired_interval(a, b, clusters, seed=4)


def test_width_is_that_of_the_standard_error():
    values = np.random.default_rng(2).normal(size=2000)
    interval = mean_interval(values, np.arange(2000), resamples=4000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.06)


def test_clusters_widen_it():
    """Ten equal queries a cluster say no more than one: the width is that of the clusters alone."""
    means = np.random.default_rng(3).normal(size=200)
    repeated, clusters = np.repeat(means, 10), np.repeat(np.arange(200), 10)
    by_cluster, naive = mean_interval(repeated, clusters), mean_interval(repeated, np.arange(2000))
    alone = mean_interval(means, np.arange(200))
    assert by_cluster.high - by_cluster.low == pytest.approx(alone.high - alone.low)
    assert (by_cluster.high - by_cluster.low) / (naive.high - naive.low) == pytest.approx(np.sqrt(10), rel=0.15)


def test_pairing_cancels_the_difficulty_of_a_query():
    random = np.random.default_rng(4)
    difficulty = random.normal(size=500) * 10
    a, b = difficulty + 0.5 + random.normal(size=500) * 0.1, difficulty
    interval = paired_interval(a, b, np.arange(500))
    assert interval.low > 0.4
    assert interval.high < 0.6
    assert interval.excludes_zero
    assert not mean_interval(difficulty, np.arange(500)).excludes_zero


def test_it_covers_the_truth_about_as_often_as_it_says():
    """300 samples of 60 clusters of unequal size: the true mean 0 lies within about 95% of the intervals."""
    random = np.random.default_rng(5)
    covered = 0
    for trial in range(300):
        sizes = random.integers(1, 6, size=60)
        values = np.repeat(random.normal(size=60), sizes) + random.normal(size=sizes.sum())
        interval = mean_interval(values, np.repeat(np.arange(60), sizes), seed=trial, resamples=300)
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_many_clusters_go_in_steps():
    values = np.random.default_rng(6).normal(size=5000)
    whole = mean_interval(values, np.arange(5000), resamples=1000)
    assert whole.low < values.mean() < whole.high


def test_input_is_checked():
    with pytest.raises(ValueError, match="one entry a query"):
        paired_interval(np.zeros(2), np.zeros(3), np.arange(2))
    with pytest.raises(ValueError, match="no query"):
        mean_interval(np.zeros(0), np.zeros(0, np.int64))

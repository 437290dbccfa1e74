from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import pdist

from recsys.metrics import diversity, exposure
from recsys.ragged import Ragged

SLATES = hnp.arrays(np.int32, st.tuples(st.integers(1, 6), st.just(5)), elements=st.integers(-1, 8))


@settings(max_examples=60, deadline=None)
@given(slates=SLATES)
def test_gini_is_the_mean_difference_over_twice_the_mean(slates):
    shown = exposure.exposure(slates, 9)
    if shown.sum() == 0:
        assert exposure.gini(slates, 9) == 0.0
        return
    expected = np.abs(shown[:, None] - shown[None, :]).mean() / (2 * shown.mean())
    assert exposure.gini(slates, 9) == pytest.approx(expected)


def test_gini_at_its_ends():
    assert exposure.gini(np.arange(4)[None], 4) == 0.0
    assert exposure.gini(np.zeros((9, 1), np.int32), 4) == 0.75  # (n - 1) / n: all on one of four


def test_coverage_ignores_padding():
    assert exposure.coverage(np.array([[-1, -1], [2, -1]]), 4) == 0.25


def test_popularity_lift_tells_the_groups_apart():
    counts = np.array([90, 60, 30, 3, 2, 1])
    histories = Ragged.of([[0, 1], [2], [5], [4, 5]])
    groups = exposure.listener_groups(histories, counts, groups=2)
    assert groups.tolist() == [1, 1, 0, 0]
    everybody_the_hit = np.zeros((4, 1), np.int32)
    lifts = exposure.popularity_bias_by_group(everybody_the_hit, histories, counts, groups)
    assert lifts[0] == pytest.approx(90 / 1.25 - 1)
    assert lifts[1] == pytest.approx(90 / 52.5 - 1)


def test_groups_are_even_and_leave_out_empty_histories():
    histories = Ragged.of([[i] for i in range(9)] + [[]])
    groups = exposure.listener_groups(histories, np.arange(1, 10), groups=3)
    assert groups.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, -1]


@settings(max_examples=40, deadline=None)
@given(slates=SLATES, seed=st.integers(0, 99))
def test_vector_diversity_is_the_mean_cosine_distance(slates, seed):
    vectors = np.random.default_rng(seed).normal(size=(9, 3))
    vectors[4] = 0  # no content: takes no part
    ours = diversity.vector_diversity(slates, vectors)
    for row, value in zip(slates, ours, strict=True):
        described = row[(row >= 0) & (row != 4)]
        expected = pdist(vectors[described], "cosine").mean() if len(described) > 1 else 0.0
        assert value == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(slates=SLATES)
def test_artist_diversity_counts_pairs(slates):
    artists = np.array([0, 0, 0, 1, 1, 2, 3, 3, 4])
    ours = diversity.artist_diversity(slates, artists)
    for row, value in zip(slates, ours, strict=True):
        by = artists[row[row >= 0]]
        pairs = [a != b for i, a in enumerate(by) for b in by[:i]]
        assert value == pytest.approx(np.mean(pairs) if pairs else 0.0)

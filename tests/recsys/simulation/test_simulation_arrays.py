from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from recsys.simulation.arrays import nth, products, summed, unit, weighted, year


def test_products_have_the_same_digits_for_any_number_of_rows_and_threads() -> None:
    rng = np.random.default_rng(0)
    vectors, points = rng.standard_normal((20_000, 16), np.float32), rng.standard_normal((24, 16), np.float32)
    with threadpool_limits(1):
        alone = products(vectors, points)
    with threadpool_limits(2):
        together = products(vectors, points)
    pieces = np.vstack([products(vectors[i : i + 97], points) for i in range(0, len(vectors), 97)])
    assert alone.shape == (20_000, 24)
    assert np.array_equal(alone, together)
    assert np.array_equal(alone, pieces)
    np.testing.assert_allclose(alone[:100], vectors[:100] @ points.T, rtol=1e-4, atol=1e-5)


def test_products_take_vectors_of_any_shape() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    assert products(vectors, np.float32([[1, 0], [0, 2]])).tolist() == (vectors * [1, 2]).tolist()


def test_unit_brings_to_length_one_and_leaves_zero() -> None:
    rows = unit(np.array([[1e-3, 0.0, 0.0], [5.0, 5.0, 5.0], [0.0, 0.0, 0.0]]))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 1, 0], rtol=1e-6)


def test_nth_counts_within_an_owner() -> None:
    assert nth(np.array([0, 0, 3, 3, 3, 9])).tolist() == [0, 1, 0, 1, 2, 0]
    assert nth(np.zeros(0, np.int64)).tolist() == []


def test_year_of_leap_days_and_of_days_before_1970() -> None:
    days = np.array(["1969-12-31", "2000-02-29", "2024-12-31", "2025-01-01"], dtype="datetime64[D]").astype(np.int64)
    assert year(days).tolist() == [1969, 2000, 2024, 2025]


@pytest.mark.parametrize(("begin", "end"), [(0, 4), (1, 4), (2, 3)])
def test_weighted_draws_within_the_stretch_in_proportion(begin: int, end: int) -> None:
    weights, n = np.array([5.0, 1.0, 0.0, 3.0]) + 1e-12, 40_000
    drawn = weighted(np.random.default_rng(1), summed(weights), np.full(n, begin), np.full(n, end))
    share = np.bincount(drawn, minlength=4) / n
    wanted = np.where((np.arange(4) >= begin) & (np.arange(4) < end), weights, 0)
    np.testing.assert_allclose(share, wanted / wanted.sum(), atol=0.01)

"""Array operations that several parts of the world share. They give the same digits for any number of rows and threads.

That rules out BLAS (``@``, matmul, dot) for fractions: its last digits depend on both, and one digit is enough to turn
a choice, so that equal seeds would give unequal worlds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.ragged import Float32, Float64, Int32, Int64


def unit(vectors: npt.NDArray[np.floating[Any]]) -> Float32:
    """(n, d) rows brought to length 1; a row of zeros stays one.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9), dtype=np.float32)


def products(vectors: Float32, points: Float32) -> Float32:
    """(..., p) inner products of the vectors (..., d) with points (p, d)."""
    return np.stack([np.einsum("...d,d->...", vectors, point) for point in points], axis=-1)


def nth(owner: npt.NDArray[np.integer[Any]]) -> Int64:
    """(n,) how many rows of the same owner stand before a row; ``owner`` never falls.

    >>> nth(np.array([4, 4, 4, 7])).tolist()
    [0, 1, 2, 0]
    """
    rows = np.arange(len(owner))
    return rows - np.maximum.accumulate(np.where(np.diff(owner, prepend=-1) != 0, rows, 0))


def year(day: npt.NDArray[np.integer[Any]]) -> Int64:
    """(n,) the calendar year of days since 1970-01-01.

    >>> year(np.array([-1, 0, 366])).tolist()
    [1969, 1970, 1971]
    """
    years: Int64 = day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    return years


def summed(weights: npt.NDArray[np.floating[Any]]) -> Float64:
    """(n + 1,) the sum of all weights before each place, and of all."""
    return np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])


def weighted(rng: np.random.Generator, reach: Float64, begin: Int64, end: Int64) -> Int32:
    """(n,) indices drawn by the weights that ``reach`` sums up, the i-th from begin[i] to before end[i]."""
    low, high = reach[begin], reach[end]
    point = low + rng.random(len(low)) * (high - low)
    # Rounding may put a point on the upper edge of its stretch.
    return np.clip(np.searchsorted(reach, point, side="right") - 1, begin, end - 1).astype(np.int32)

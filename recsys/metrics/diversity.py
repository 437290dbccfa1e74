"""How different the tracks of one slate are from each other.

Intra-list diversity (Smyth & McClave 2001; Ziegler et al., WWW 2005): the mean distance over all pairs of a slate.
Slates int32 (n, k), -1 where shorter; each function gives float64 (n,), 0 where a slate has no pair. The table shows
the mean over slates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recsys.ragged import Float64, Int32, Int64


def artist_diversity(slates: Int32, artists: Int32) -> Float64:
    """Share of a slate's pairs that are by different artists.

    Artists 0, 0, 1: one of three pairs is by the same artist.

    >>> artist_diversity(np.array([[0, 1, 2]]), np.array([0, 0, 1])).round(5).tolist()
    [0.66667]
    """
    present = slates >= 0
    span = int(artists.max(initial=0)) + 1
    row = np.nonzero(present)[0]
    group, size = np.unique(row * span + artists[slates[present]], return_counts=True)
    same = np.bincount(group // span, weights=size * (size - 1.0), minlength=len(slates))
    return _share_of_pairs(same, present.sum(axis=1))


def vector_diversity(slates: Int32, vectors: npt.NDArray[np.floating]) -> Float64:
    """Mean cosine distance over a slate's pairs, on content vectors (n_items, d).

    An item whose vector is all zeros has no content and takes no part. The sum over pairs of unit vectors' products is
    (abs(sum of vectors)**2 - m) / 2, so no pair is ever visited.

    Two equal vectors and one at a right angle: distances 0, 1, 1.

    >>> vector_diversity(np.array([[0, 1, 2]]), np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])).round(5).tolist()
    [0.66667]
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    described = (slates >= 0) & (norms[:, 0] > 0)[slates]
    total = np.zeros((len(slates), vectors.shape[1]))
    for place in range(slates.shape[1]):
        total += np.where(described[:, place, None], unit[slates[:, place]], 0.0)
    m = described.sum(axis=1)
    return _share_of_pairs((total * total).sum(axis=1) - m, m)


def _share_of_pairs(similar: Float64 | Int64, m: Int64) -> Float64:
    """1 - ``similar`` / (m (m - 1)), both over ordered pairs; 0 without a pair."""
    pairs = m * (m - 1.0)
    return np.where(pairs > 0, 1.0 - similar / np.maximum(pairs, 1.0), 0.0)

"""Accuracy of a ranked slate against the tracks that were right.

Each function takes slates int32 (n, k), best first, distinct, -1 where a slate is shorter, and targets, ragged over the
same n queries, distinct, at least one each; it gives float64 (n,). A table shows the mean over queries (each query
counts the same, however many targets it has). Relevance is binary; rank i starts at 1; G is the set of targets.

| metric            | formula                                                                    | source              |
|-------------------|----------------------------------------------------------------------------|---------------------|
| hit_rate          | 1 if any of the first k is in G                                            |                     |
| recall            | hits in the first k / abs(G)                                               |                     |
| mrr               | 1 / rank of the first hit, 0 without one                                   | Voorhees 1999       |
| ndcg              | sum of rel_i / log2(i + 1) over the same sum for min(abs(G), k) hits first | Järvelin 2002       |
| average_precision | sum over hits of precision at their rank / min(abs(G), k)                  | Manning et al. 8.4  |
| r_precision       | hits in the first abs(G) / abs(G)                                          | Manning et al. 8.4  |
"""

from __future__ import annotations

import numpy as np

from recsys.ragged import Bool, Float64, Int32, Ragged


def hits(slates: Int32, targets: Ragged) -> Bool:
    """(n, k) true where the slate's item is one of the query's targets.

    >>> hits(np.array([[5, 2, -1], [1, 5, 2]]), Ragged.of([[2, 9], [1]])).tolist()
    [[False, True, False], [True, False, False]]
    """
    if len(slates) != len(targets):
        raise ValueError(f"{len(slates)} slates for {len(targets)} rows of targets")
    span = int(max(slates.max(initial=-1), targets.values.max(initial=-1))) + 2
    # One integer for each (query, item); the padding -1 becomes 0, which no target is.
    asked = targets.rows * span + targets.values + 1
    offered = np.arange(len(slates))[:, None] * span + slates + 1
    return np.isin(offered, asked)


def hit_rate(slates: Int32, targets: Ragged, k: int) -> Float64:
    """1 where any of the first k items is a target.

    >>> hit_rate(np.array([[5, 2], [1, 5]]), Ragged.of([[2], [7]]), 2).tolist()
    [1.0, 0.0]
    """
    return np.where(hits(slates[:, :k], targets).any(axis=1), 1.0, 0.0)


def recall(slates: Int32, targets: Ragged, k: int) -> Float64:
    """Share of the targets that stand in the first k.

    >>> recall(np.array([[5, 2, 9]]), Ragged.of([[2, 7, 9, 8]]), 3).tolist()
    [0.5]
    """
    found: Float64 = hits(slates[:, :k], targets).sum(axis=1) / targets.lengths
    return found


def mrr(slates: Int32, targets: Ragged, k: int) -> Float64:
    """Reciprocal rank of the first hit in the first k; 0 without one.

    >>> mrr(np.array([[5, 2], [1, 5]]), Ragged.of([[2], [7]]), 2).tolist()
    [0.5, 0.0]
    """
    hit = hits(slates[:, :k], targets)
    return np.where(hit.any(axis=1), 1.0 / (hit.argmax(axis=1) + 1.0), 0.0)


def ndcg(slates: Int32, targets: Ragged, k: int) -> Float64:
    """Discounted gain over that of a slate which begins with all targets.

    Two targets, found at ranks 1 and 3 of 3: (1 + 1/2) / (1 + 1/log2(3)) = 1.5 / 1.63093.

    >>> ndcg(np.array([[4, 0, 6]]), Ragged.of([[4, 6]]), 3).round(5).tolist()
    [0.91972]
    """
    hit = hits(slates[:, :k], targets)
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(targets.lengths, k) - 1]
    gains: Float64 = np.where(hit, discounts[: hit.shape[1]], 0.0).sum(axis=1) / ideal
    return gains


def average_precision(slates: Int32, targets: Ragged, k: int) -> Float64:
    """Mean of the precision at each hit; a target that is not found counts 0. Its mean over queries is MAP.

    Hits at ranks 1 and 3, two targets: (1/1 + 2/3) / 2.

    >>> average_precision(np.array([[4, 0, 6]]), Ragged.of([[4, 6]]), 3).round(5).tolist()
    [0.83333]
    """
    hit = hits(slates[:, :k], targets)
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    averaged: Float64 = (precision * hit).sum(axis=1) / np.minimum(targets.lengths, k)
    return averaged


def r_precision(slates: Int32, targets: Ragged) -> Float64:
    """Precision of the first abs(G) items.

    >>> r_precision(np.array([[4, 0, 6]]), Ragged.of([[4, 6]])).tolist()
    [0.5]
    """
    hit = hits(slates, targets)
    first = np.arange(hit.shape[1]) < targets.lengths[:, None]
    precision: Float64 = (hit & first).sum(axis=1) / targets.lengths
    return precision

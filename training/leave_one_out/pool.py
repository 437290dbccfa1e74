"""A pool of recommenders: p(item | history) in proportion to the product of theirs, each to the power of its weight.

The logarithmic opinion pool (Genest and Zidek, Statistical Science 1986; Heskes, NIPS 1997). Its weights are those
under which the validation targets are most likely: a smooth, convex question with one number a member, where a search
for the highest NDCG would follow the chance of some hundred hits. No weight is below 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize, sparse

from recsys.dataset import Queries
from recsys.ragged import Float32, Float64, Int32
from recsys.scoring.base import CHUNK, top_k

DEPTH = 200
"""Items for which a member's opinion is kept; it holds all others for equally likely."""
UNIFORM = 0.05
"""Share of a member's opinion that is spread over the whole catalogue, so that nobody can rule an item out."""


def opinion(scores: Float32, queries: Queries, depth: int = DEPTH) -> sparse.csr_array:
    """What one member says: float32 (n, n_items), log of how much likelier an item is than one that is not kept.

    scores: (n, n_items), at least 0; their shares are the member's probabilities. Items of the history get nothing.

    >>> from recsys.ragged import Ragged
    >>> asked = Queries(Ragged.of([[0]]), Ragged.of([[1]]), np.zeros(1), None, mask_history=True)
    >>> opinion(np.array([[9.0, 3.0, 1.0, 0.0]], np.float32), asked, depth=2).toarray().round().tolist()
    [[0.0, 4.0, 3.0, 0.0]]
    """
    shares = scores.copy()
    shares[queries.histories.rows, queries.histories.values] = 0
    n_items = shares.shape[1]
    shares *= (1 - UNIFORM) / np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    items, chosen = top_k(shares, depth)
    kept = chosen > 0
    rest = np.maximum(1 - UNIFORM - chosen.sum(axis=1), 0) / max(n_items - items.shape[1], 1) + UNIFORM / n_items
    ratios = np.log((chosen + UNIFORM / n_items) / rest[:, None]).clip(0)
    indptr = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))
    return sparse.csr_array((ratios[kept].astype(np.float32), items[kept], indptr), shape=shares.shape)


def fit(members: Sequence[sparse.csr_array], queries: Queries) -> Float64:
    """The weights (members,) under which the targets of the queries, one each, are most likely.

    The likelihood is that over the whole catalogue: an item that no member keeps counts exp(0).
    """
    n, n_items = members[0].shape
    places = [np.repeat(np.arange(n) * n_items, np.diff(m.indptr)) + m.indices for m in members]
    cells = np.unique(np.concatenate(places))
    features = np.zeros((len(cells), len(members)))
    for column, (place, member) in enumerate(zip(places, members, strict=True)):
        features[np.searchsorted(cells, place), column] = member.data
    rows = cells // n_items
    others = n_items - queries.histories.lengths - np.bincount(rows, minlength=n)
    wanted = np.arange(n) * n_items + queries.targets.values
    found = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
    told = features[found[cells[found] == wanted]].sum(axis=0)

    def surprise(weights: Float64) -> tuple[float, Float64]:
        """Mean negative log likelihood, and its gradient."""
        masses = np.exp(features @ weights)
        totals = others + np.bincount(rows, masses, n)
        expected = features.T @ (masses / totals[rows])
        return float(np.log(totals).sum() - told @ weights) / n, (expected - told) / n

    start = np.full(len(members), 1 / len(members))
    found_at = optimize.minimize(surprise, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(members))
    weights: Float64 = found_at.x
    return weights


def slates(members: Sequence[sparse.csr_array], weights: Float64, k: int) -> Int32:
    """(n, k) the pool's first items, -1 where no member keeps any."""
    pooled = sum((float(w) * m for w, m in zip(weights, members, strict=True)), sparse.csr_array(members[0].shape))
    out: list[Int32] = []
    for start in range(0, pooled.shape[0], CHUNK):
        items, scores = top_k(pooled[start : start + CHUNK].toarray().astype(np.float32), k)
        items[scores <= 0] = -1
        out.append(items)
    return np.concatenate(out)

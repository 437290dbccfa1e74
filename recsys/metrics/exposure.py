"""What a recommender shows, beyond being right: how much of the catalogue, how evenly, how well known.

Slates int32 (n, k), -1 where shorter; counts int64 (n_items,) are plays in the training split.
"""

from __future__ import annotations

import numpy as np

from recsys.ragged import Bool, Float64, Int32, Int64, Ragged


def exposure(slates: Int32, n_items: int) -> Int64:
    """(n_items,) how often each item is shown."""
    return np.bincount(slates[slates >= 0], minlength=n_items)


def coverage(slates: Int32, n_items: int) -> float:
    """Share of the catalogue that stands in at least one slate.

    >>> coverage(np.array([[0, 1], [1, -1]]), 4)
    0.5
    """
    return float(np.count_nonzero(exposure(slates, n_items)) / n_items)


def gini(slates: Int32, n_items: int) -> float:
    """Gini index of exposure over the whole catalogue: 0 where all items are shown alike, towards 1 where one has all.

    With exposures x sorted upwards, sum over i of (2 i - n - 1) x_i / (n sum x).

    Exposures 0, 0, 1, 3: (-3*0 - 1*0 + 1*1 + 3*3) / (4 * 4).

    >>> gini(np.array([[3, 2], [3, -1], [3, -1]]), 4)
    0.625
    """
    shown = np.sort(exposure(slates, n_items))
    total = int(shown.sum())
    if total == 0:
        return 0.0
    return float(((2 * np.arange(1, n_items + 1) - n_items - 1) * shown).sum() / (n_items * total))


def novelty(slates: Int32, counts: Int64) -> Float64:
    """(n,) mean self-information of the slate's items in bits, -log2 p(item); 0 for an empty slate (Zhou et al. 2010).

    p is the share of training plays with one added to each count, so that a cold track is novel but not infinitely so.

    Counts 3, 0 become 4, 1 of 5: (log2(5/4) + log2(5)) / 2.

    >>> novelty(np.array([[0, 1]]), np.array([3, 0])).round(5).tolist()
    [1.32193]
    """
    information = np.log2(counts.sum() + len(counts)) - np.log2(counts + 1.0)
    return _mean_over(slates, information)


def cold_share(slates: Int32, cold: Bool) -> Float64:
    """(n,) share of the slate that never stood in training.

    >>> cold_share(np.array([[0, 1], [0, -1]]), np.array([False, True])).tolist()
    [0.5, 0.0]
    """
    return _mean_over(slates, cold.astype(np.float64))


def listener_groups(histories: Ragged, counts: Int64, groups: int = 3) -> Int64:
    """(n,) the group of each query by the mean popularity of its history: 0 the niche end, groups - 1 the mainstream.

    Groups are equal in size as far as ties allow; an empty history belongs to no group (-1).

    >>> listener_groups(Ragged.of([[0], [1], []]), np.array([9, 1]), groups=2).tolist()
    [1, 0, -1]
    """
    mean = _history_popularity(histories, counts)
    known = ~np.isnan(mean)
    edges = np.quantile(mean[known], np.arange(1, groups) / groups) if known.any() else np.zeros(groups - 1)
    return np.where(known, np.searchsorted(edges, np.nan_to_num(mean), side="left"), -1)


def popularity_bias_by_group(slates: Int32, histories: Ragged, counts: Int64, groups: Int64) -> dict[int, float]:
    """Popularity lift for each group: mean popularity of slates / mean popularity of histories - 1.

    0: a group is shown tracks as popular as its own; 1: twice as popular. Averages are over the group's queries, each
    query the mean over its tracks (Abdollahpouri et al., UMAP 2020, "popularity lift"). Groups as in listener_groups;
    -1 is left out, and so is a group whose histories have no plays in training.

    >>> slates, histories = np.array([[0, 0], [0, 1]]), Ragged.of([[0], [1]])
    >>> popularity_bias_by_group(slates, histories, np.array([9, 1]), np.array([1, 0]))
    {0: 4.0, 1: 0.0}
    """
    shown, own = _mean_over(slates, counts.astype(np.float64)), _history_popularity(histories, counts)
    lifts: dict[int, float] = {}
    for group in np.unique(groups[groups >= 0]):
        member = groups == group
        if (base := float(own[member].mean())) > 0:
            lifts[int(group)] = float(shown[member].mean()) / base - 1.0
    return lifts


def _mean_over(slates: Int32, values: Float64) -> Float64:
    """(n,) mean of ``values`` over the items of each slate; 0 for an empty slate."""
    present = slates >= 0
    total = np.where(present, values[slates], 0.0).sum(axis=1)
    mean: Float64 = total / np.maximum(present.sum(axis=1), 1)
    return mean


def _history_popularity(histories: Ragged, counts: Int64) -> Float64:
    """(n,) mean training plays of each history's tracks; NaN for an empty history."""
    total = np.bincount(histories.rows, weights=counts[histories.values], minlength=len(histories))
    return np.where(histories.lengths > 0, total / np.maximum(histories.lengths, 1), np.nan)

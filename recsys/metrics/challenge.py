"""The metrics of the RecSys Challenge 2018 (Chen et al., RecSys 2018; Zamani et al., ACM TIST 2019), playlist
continuation.

Slates int32 (n, 500), best first, distinct, without the seeds, -1 where shorter; targets ragged, distinct, G for one
query. Each gives float64 (n,); the table shows the mean over playlists.
"""

from __future__ import annotations

import numpy as np

from recsys.metrics.ranking import hits
from recsys.ragged import Float64, Int32, Ragged

DEPTH = 500
"""Tracks asked for a playlist."""

CLICK_PAGE = 10
NO_CLICK = 51.0
"""Clicks where no relevant track is in the list: one page more than there are."""


def challenge_r_precision(slates: Int32, targets: Ragged, artists: Int32) -> Float64:
    """(matches in the first abs(G) + a quarter for each matched artist) / abs(G).

    An artist counts once, for a track in the first abs(G) that is no match itself but whose artist has a track in G.
    ``artists`` int32 (n_items,) is the artist of each item.

    Items 0 and 1 are by artist 0, items 2 and 3 by artist 1. Of the first three, 0 matches, 3 shares the artist of 2,
    and -1 is no track: (1 + 1/4) / 3.

    >>> artists = np.array([0, 0, 1, 1, 2])
    >>> challenge_r_precision(np.array([[0, 3, -1]]), Ragged.of([[0, 2, 4]]), artists).round(5).tolist()
    [0.41667]
    """
    hit = hits(slates, targets)
    first = (np.arange(slates.shape[1]) < targets.lengths[:, None]) & (slates >= 0)
    span = int(artists.max(initial=0)) + 1
    row, column = np.nonzero(first & ~hit)
    offered = np.unique(row * span + artists[slates[row, column]])
    matched = offered[np.isin(offered, targets.rows * span + artists[targets.values])]
    quarters = np.bincount(matched // span, minlength=len(slates))
    precision: Float64 = ((hit & first).sum(axis=1) + 0.25 * quarters) / targets.lengths
    return precision


def challenge_ndcg(slates: Int32, targets: Ragged) -> Float64:
    """DCG = rel_1 + sum over i >= 2 of rel_i / log2(i), over that of min(abs(G), 500) hits in the first places.

    The published rules take the ideal over the *hits* instead (IDCG = 1 + sum for i = 2..abs(G and R) of 1 / log2(i)),
    so that a list with one hit at rank 1 scores 1 however much it misses. With the ideal over
    the targets, as here, only a list that begins with all of them scores 1.

    Hits at ranks 1 and 4, three targets: (1 + 1/2) / (1 + 1 + 1/log2(3)) = 1.5 / 2.63093.

    >>> challenge_ndcg(np.array([[7, 0, 1, 8, 2]]), Ragged.of([[7, 8, 9]])).round(5).tolist()
    [0.57014]
    """
    hit = hits(slates[:, :DEPTH], targets)
    discounts = 1.0 / np.log2(np.maximum(np.arange(1, DEPTH + 1), 2))
    ideal = np.cumsum(discounts)[np.minimum(targets.lengths, DEPTH) - 1]
    gains: Float64 = np.where(hit, discounts[: hit.shape[1]], 0.0).sum(axis=1) / ideal
    return gains


def clicks(slates: Int32, targets: Ragged) -> Float64:
    """How often a listener asks for ten more before the first relevant track; 51 where there is none. Lower is better.

    floor((rank of the first hit - 1) / 10).

    >>> slates = np.array([np.arange(12), np.arange(12)])
    >>> clicks(slates, Ragged.of([[11], [99]])).tolist()
    [1.0, 51.0]
    """
    hit = hits(slates[:, :DEPTH], targets)
    return np.where(hit.any(axis=1), hit.argmax(axis=1) // CLICK_PAGE, NO_CLICK).astype(np.float64)

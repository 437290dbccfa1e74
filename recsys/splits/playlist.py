"""The playlist split, and the continuation task.

Playlists without dates are split by their id alone: ``bucket(id)`` lies in [0, 1) and never moves, so a playlist
stays in its part however much data comes later. Below ``test_share`` it is test, below ``test_share + valid_share``
valid.

The task gives the first ``seeds`` distinct tracks and asks for the rest. Seeds are no targets and are left out of the
ranking; a track that a playlist holds twice counts once, at its first place. Playlists with fewer than
``min_targets`` tracks beyond the seeds are no queries. One query a playlist, and a playlist is its own cluster. (The
shape "first 5 without title" of the RecSys Challenge 2018: Chen et al., RecSys 2018.)
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np

from recsys.dataset import Queries, Sequences
from recsys.errors import InputError
from recsys.ragged import Float64, Ragged
from recsys.splits.base import first_occurrences


def bucket(ids: Iterable[str]) -> Float64:
    """(n,) in [0, 1): the CRC-32 of the id in UTF-8 over 2**32. Spark's ``crc32(id) / 2**32`` is the same number.

    >>> bucket(["yes:1", "yes:2"]).round(4).tolist()
    [0.1127, 0.5227]
    """
    return np.fromiter((zlib.crc32(i.encode()) for i in ids), dtype=np.float64) / 2.0**32


def continuation(sequences: Sequences, seeds: int = 5, min_targets: int = 1) -> Queries:
    """The rest of each playlist from its first ``seeds`` tracks.

    >>> s = Sequences(Ragged.of([[3, 1, 3, 4], [5, 6]]), np.arange(2), None, 7)
    >>> q = continuation(s, seeds=2)
    >>> q.histories.values.tolist(), q.targets.values.tolist(), len(q)
    ([3, 1], [4], 1)
    """
    if seeds < 0 or min_targets < 1:
        raise InputError(f"seeds must be 0 or more and min_targets 1 or more, got {seeds} and {min_targets}")
    distinct = sequences.items.where(first_occurrences(sequences.items))
    kept = np.flatnonzero(distinct.lengths >= seeds + min_targets)
    chosen: Ragged = distinct.take(kept)
    days = None if sequences.starts is None else sequences.starts[kept].astype("datetime64[D]")
    return Queries(chosen.first(seeds), chosen.where(chosen.positions >= seeds), kept, days, mask_history=True)

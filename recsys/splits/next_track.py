"""The next-track task.

Every play of a session but its first is a query: what the session held before it is the history, the play itself the
one target. Consecutive repeats of a track are folded to one play beforehand. The ranking keeps the tracks of the
history, for a station or listener may well come back to one; a target that stands in its history is a repeat, any
other a discovery, and the two are reported apart (recsys.splits.base.is_repeat). Histories hold at most the last
``max_history`` plays.

The bootstrap resamples sessions (shows, programmes), or listeners with ``cluster="owner"``. The day of a query is the
day on which its session starts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from recsys.dataset import Queries, Sequences
from recsys.errors import InputError
from recsys.ragged import Ragged
from recsys.splits.base import folded, sampled


def next_track(
    sequences: Sequences,
    *,
    max_history: int = 100,
    mask_history: bool = False,
    cluster: Literal["session", "owner"] = "session",
    most: int | None = None,
) -> Queries:
    """One query for each play but the first of each session; of a fixed sample of them with ``most``.

    >>> s = Sequences(Ragged.of([[4, 4, 5, 6], [7]]), np.arange(2), None, 8)
    >>> q = next_track(s)
    >>> [h.tolist() for h in (q.histories[0], q.histories[1])], q.targets.values.tolist()
    ([[4], [4, 5]], [5, 6])
    """
    if max_history < 1:
        raise InputError(f"max_history must be 1 or more, got {max_history}")
    items = folded(sequences.items)
    asked = np.flatnonzero(items.positions > 0)
    asked = asked[sampled(len(asked), most)]
    session, place = items.rows[asked], items.positions[asked]
    lengths = np.minimum(place, max_history)
    # Row i of the histories is the run of values that ends just before asked[i].
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    histories = items.pick(np.repeat(asked - lengths, lengths) + within, lengths)
    return Queries(
        histories,
        Ragged.from_lengths(items.values[asked], np.ones(len(asked), dtype=np.int64)),
        session if cluster == "session" else sequences.owners[session],
        None if sequences.starts is None else sequences.starts[session].astype("datetime64[D]"),
        mask_history,
        sequences.owners[session],
    )

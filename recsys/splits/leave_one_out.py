"""Leave-one-out, only to stand beside a published table.

Of each sequence the last track is the test target, the one before it the validation target, and the rest is training;
the history of a test query holds the validation target. The full catalogue is ranked without the tracks of the
history. This is the protocol of S3-Rec (Zhou et al., CIKM 2020) and BSARec (Shin et al., AAAI 2024) with full
ranking. It looks into the future: what others listen to later trains the model for what this one listens to now.
Sequences of fewer than three tracks are training only. A track that a sequence holds twice counts once, at its first
place, as in the published sets.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys.dataset import Queries, Sequences
from recsys.ragged import Int64, Ragged
from recsys.splits.base import Split, first_occurrences

PROTOCOL = "leave-one-out: last track test, the one before validation; full ranking, history left out"


def leave_one_out(sequences: Sequences) -> Split:
    """Cut the end of each sequence.

    >>> split = leave_one_out(Sequences(Ragged.of([[1, 2, 3, 4], [5, 6]]), np.arange(2), None, 7))
    >>> split.train.items.values.tolist(), split.valid.targets.values.tolist(), split.test.targets.values.tolist()
    ([1, 2, 5, 6], [3], [4])
    >>> split.test.histories[0].tolist()
    [1, 2, 3]
    """
    items = sequences.items.where(first_occurrences(sequences.items))
    long = items.lengths >= 3
    asked = np.flatnonzero(long)
    to_end = np.repeat(items.lengths, items.lengths) - items.positions
    train = items.where((to_end > 2) | ~long[items.rows])
    return Split(
        replace(sequences, items=train),
        _queries(sequences, items, asked, to_end, 2),
        _queries(sequences, items, asked, to_end, 1),
        PROTOCOL,
    )


def _queries(sequences: Sequences, items: Ragged, asked: Int64, to_end: Int64, target: int) -> Queries:
    return Queries(
        items.where(to_end > target).take(asked),
        items.where(to_end == target).take(asked),
        sequences.owners[asked],
        None,
        mask_history=True,
    )

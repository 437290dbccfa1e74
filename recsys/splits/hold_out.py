"""Random hold-out, for listeners whose items have no order: counts of plays, bags of artists.

Of each sequence's distinct items a random ``share`` is the test target, and of the rest the same share the validation
target; what remains is training. The history of a test query holds the validation targets too. The full catalogue is
ranked without the items of the history. A sequence of fewer than ``min_items`` is training only. Every listener is
known in training (weak generalisation: Marlin, "Collaborative Filtering: A Machine Learning Perspective", 2004, section
3.3); without times nothing says what came later, so it measures completion, not the future.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys.dataset import Queries, Sequences
from recsys.errors import InputError
from recsys.ragged import Int64, Ragged
from recsys.splits.base import Split, first_occurrences

TRAIN, VALID, TEST = 0, 1, 2


def hold_out(sequences: Sequences, *, share: float = 0.2, min_items: int = 5, seed: int = 0) -> Split:
    """A random part of each sequence is asked for. Counts are rounded, and at least one item is asked of each part.

    Raises InputError where ``share`` is not between 0 and 0.5, or ``min_items`` below 3.

    >>> split = hold_out(Sequences(Ragged.of([[4, 8, 1, 7, 3], [2, 5]]), np.arange(2), None, 9), seed=1)
    >>> len(split.valid), split.train.items.lengths.tolist(), split.test.histories.lengths.tolist()
    (1, [3, 2], [4])
    """
    if not 0 < share <= 0.5 or min_items < 3:
        raise InputError(f"share must be above 0 and at most 0.5, min_items 3 or more, got {share} and {min_items}")
    items = sequences.items.where(first_occurrences(sequences.items))
    n = items.lengths
    asked = n >= min_items
    test = np.where(asked, np.maximum(np.rint(share * n), 1), 0).astype(np.int64)
    valid = np.where(asked, np.maximum(np.rint(share * (n - test)), 1), 0).astype(np.int64)
    # Each row's items in random order: the first are test, the next validation.
    order = np.lexsort((np.random.default_rng(seed).random(len(items.values)), items.rows))
    part = np.empty(len(order), dtype=np.int64)
    place, rows = items.positions, items.rows
    part[order] = np.where(place < test[rows], TEST, np.where(place < (test + valid)[rows], VALID, TRAIN))
    chosen = np.flatnonzero(asked)
    return Split(
        replace(sequences, items=items.where(part == TRAIN)),
        _queries(sequences, items, part, chosen, VALID),
        _queries(sequences, items, part, chosen, TEST),
        f"random hold-out of {share:.0%} of each listener's items, of the rest {share:.0%} for validation; full "
        "ranking, history left out",
    )


def hold_out_items(sequences: Sequences, hidden: Int64) -> tuple[Sequences, Queries]:
    """All that is known of the items ``hidden`` (any number of ids) is taken away, and asked for.

    The training sequences without them, and one query for each sequence that held one beside another item: from the
    others to the hidden ones.

    >>> bags = Sequences(Ragged.of([[1, 2, 3], [2], [1]]), np.arange(3), None, 4)
    >>> train, queries = hold_out_items(bags, np.array([2]))
    >>> train.items.values.tolist(), queries.histories.values.tolist(), queries.targets.values.tolist()
    ([1, 3, 1], [1, 3], [2])
    """
    items = sequences.items.where(first_occurrences(sequences.items))
    held = np.isin(items.values, hidden).astype(np.int64)
    train = items.where(held == 0)
    count = items.lengths - train.lengths
    asked = np.flatnonzero((count > 0) & (train.lengths > 0))
    return replace(sequences, items=train), _queries(sequences, items, np.where(held, TEST, TRAIN), asked, TEST)


def _queries(sequences: Sequences, items: Ragged, part: Int64, asked: Int64, target: int) -> Queries:
    return Queries(
        items.where(part < target).take(asked),
        items.where(part == target).take(asked),
        sequences.owners[asked],
        None,
        mask_history=True,
    )

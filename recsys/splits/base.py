"""What every split shares: the three parts, duplicates, and repeats told apart from discoveries."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from recsys.dataset import Queries, Sequences
from recsys.ragged import Bool, Int64, Ragged


@dataclass(frozen=True, slots=True)
class Split:
    """What a model may learn from, what it is tuned on, and what it is judged on.

    Nothing of ``test`` may be looked at before every choice is made on ``valid``.
    """

    train: Sequences
    valid: Queries
    test: Queries
    protocol: str
    """The protocol in one line, as it stands under a table of results."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Sequences left out before the queries were made, by reason (see recsys.splits.guards)."""


def first_occurrences(items: Ragged) -> Bool:
    """(total,) true where a value stands for the first time in its row.

    >>> r = Ragged.of([[7, 2, 7], [7]])
    >>> r.where(first_occurrences(r)).values.tolist()
    [7, 2, 7]
    """
    keep = np.zeros(len(items.values), dtype=np.bool_)
    keep[np.unique(keys(items, _span(items)), return_index=True)[1]] = True
    return keep


def folded(items: Ragged) -> Ragged:
    """Consecutive repeats of one track become one play.

    >>> folded(Ragged.of([[4, 4, 5, 4], [4]])).values.tolist()
    [4, 5, 4, 4]
    """
    change = np.ones(len(items.values), dtype=np.bool_)
    change[1:] = items.values[1:] != items.values[:-1]
    return items.where(change | (items.positions == 0))


def keys(items: Ragged, span: int) -> Int64:
    """(total,) one integer for each (row, value): row * span + value, for values below ``span``."""
    return items.rows * span + items.values


def is_repeat(queries: Queries) -> Bool:
    """(n,) true where a target occurs in the query's own history; the other queries are discoveries.

    >>> q = Queries(Ragged.of([[1, 2], [1, 2]]), Ragged.of([[1], [3]]), np.arange(2), None, mask_history=False)
    >>> is_repeat(q).tolist()
    [True, False]
    """
    span = max(_span(queries.histories), _span(queries.targets))
    hit = np.isin(keys(queries.targets, span), keys(queries.histories, span))
    return np.bincount(queries.targets.rows[hit], minlength=len(queries)) > 0


def sampled(n: int, most: int | None) -> Int64:
    """Places of a fixed sample of ``most`` among n, in order; all of them where there are no more, or for None.

    >>> sampled(3, most=5).tolist(), len(sampled(1000, most=5))
    ([0, 1, 2], 5)
    """
    if most is None or n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:most])


def _span(items: Ragged) -> int:
    return int(items.values.max()) + 1 if len(items.values) else 1

"""Sets of items as rising arrays, a large one and a small one: what costs little beside a copy of the large one."""

from __future__ import annotations

import numpy as np

from recsys.ragged import Bool, Int32


def among(items: Int32, rising: Int32) -> Bool:
    """(len(items),), true where the item is one of ``rising``.

    >>> among(np.array([3, 1, 4]), np.array([1, 3])).tolist()
    [True, True, False]
    """
    if not len(rising):
        return np.zeros(len(items), np.bool_)
    places = np.minimum(np.searchsorted(rising, items), len(rising) - 1)
    return np.equal(rising[places], items)


def without(rising: Int32, few: Int32) -> Bool:
    """(len(rising),), false where the item is one of ``few``, in any order, perhaps twice.

    >>> without(np.array([1, 3, 4]), np.array([4, 2])).tolist()
    [True, True, False]
    """
    kept = np.ones(len(rising), np.bool_)
    kept[np.searchsorted(rising, few[among(few, rising)])] = False
    return kept


def merged(rising: Int32, few: Int32) -> Int32:
    """All of both, rising, each once; ``few`` rises too.

    >>> merged(np.array([1, 3, 4]), np.array([0, 3, 5])).tolist()
    [0, 1, 3, 4, 5]
    """
    new = few[~among(few, rising)]
    return np.insert(rising, np.searchsorted(rising, new), new).astype(np.int32)

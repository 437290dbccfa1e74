"""External id <-> dense index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from recsys.ragged import Int32

UNKNOWN = -1


class Vocabulary:
    """A fixed list of ids; index i belongs to the i-th.

    >>> v = Vocabulary(["a", "b"])
    >>> v.indices(["b", "x"]).tolist(), v.ids([0])
    ([1, -1], ['a'])
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = list(ids)
        self._index = {item: i for i, item in enumerate(self._ids)}
        if len(self._index) != len(self._ids):
            raise ValueError("a vocabulary holds each id once")

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item: str) -> bool:
        return item in self._index

    def indices(self, ids: Iterable[str]) -> Int32:
        """(n,); UNKNOWN (-1) for an id that is not in the vocabulary."""
        return np.fromiter((self._index.get(i, UNKNOWN) for i in ids), dtype=np.int32)

    def ids(self, indices: Iterable[int]) -> list[str]:
        return [self._ids[i] for i in indices]

"""What a stream of rows has held so far, without keeping the rows."""

from __future__ import annotations

import numpy as np
import polars as pl

from recsys.ragged import Int64


class Seen:
    """How often the rows of a stream carried a key before; 16 bytes of memory a key.

    Keys are known by 64-bit hashes, kept sorted: what a batch costs depends on its own rows, and hardly on how many
    keys there were, while a join would build its table of all of them for each batch.

    >>> seen = Seen("a")
    >>> [seen.before(pl.DataFrame({"a": batch})).to_list() for batch in (["x", "x", "y"], ["y", "x"])]
    [[0, 1, 0], [1, 2]]
    """

    def __init__(self, *columns: str) -> None:
        self._columns = columns
        self._hashes = np.zeros(0, dtype=np.uint64)
        """Sorted."""
        self._counts: Int64 = np.zeros(0, dtype=np.int64)

    def before(self, rows: pl.DataFrame) -> pl.Series:
        """(rows,) rows before, of this batch or an earlier one, that have the key of each."""
        keys = rows.select(pl.struct(self._columns).hash().alias("key"))
        within = keys.select(pl.int_range(pl.len()).over("key")).to_series()
        found, key, counts = np.unique(keys["key"].to_numpy(), return_inverse=True, return_counts=True)
        place = np.searchsorted(self._hashes, found)
        known = np.zeros(len(found), dtype=np.bool_)
        inside = place < len(self._hashes)
        known[inside] = self._hashes[place[inside]] == found[inside]
        earlier = np.zeros(len(found), dtype=np.int64)
        earlier[known] = self._counts[place[known]]
        self._counts[place[known]] += counts[known]
        self._hashes = np.insert(self._hashes, place[~known], found[~known])
        self._counts = np.insert(self._counts, place[~known], counts[~known])
        return within + pl.Series(earlier[key])

    def first(self, rows: pl.DataFrame) -> pl.Series:
        """(rows,) true where no row before has the key."""
        return self.before(rows) == 0

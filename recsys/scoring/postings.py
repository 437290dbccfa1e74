"""Stored sequences with an inverted index: where each item occurs, as of any point of time, without copying."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys.ragged import Float64, Int32, Int64, Ragged


def ranges(starts: npt.ArrayLike, lengths: npt.ArrayLike) -> Int64:
    """The numbers start, start + 1, ... of each range, one range after the other.

    >>> ranges([5, 0], [2, 3]).tolist()
    [5, 6, 0, 1, 2]
    """
    first, size = np.asarray(starts, dtype=np.int64), np.asarray(lengths, dtype=np.int64)
    return np.arange(int(size.sum())) + np.repeat(first - np.cumsum(size) + size, size)


@dataclass(frozen=True, slots=True)
class Postings:
    """An inverted index over the first ``cut`` of ``sequences``.

    sequences: oldest first; rows: int32 (total,), the sequence of each value; places: int32 (total,), where in
    ``sequences.values`` each occurrence lies, item by item and oldest first; first: int64 (n_items,), where the places
    of an item start; counts: int64 (n_items,), how many of them lie before the cut.

    >>> p = Postings.build(Ragged.of([[0, 1], [1, 2]]), n_items=3)
    >>> p.counts.tolist(), p.until(1).counts.tolist()
    ([1, 2, 1], [1, 1, 0])
    """

    sequences: Ragged
    rows: Int32
    places: Int32
    first: Int64
    counts: Int64
    cut: int

    @classmethod
    def build(cls, sequences: Ragged, n_items: int) -> Self:
        counts = np.bincount(sequences.values, minlength=n_items)
        places = np.argsort(sequences.values, kind="stable").astype(np.int32)
        return cls(
            sequences, sequences.rows.astype(np.int32), places, np.cumsum(counts) - counts, counts, len(sequences)
        )

    @property
    def n_items(self) -> int:
        return len(self.counts)

    def until(self, cut: int) -> Self:
        """Only the first ``cut`` sequences; shares all arrays but the counts."""
        values = self.sequences.values[: self.sequences.offsets[cut]]
        return replace(self, counts=np.bincount(values, minlength=self.n_items), cut=cut)

    def of(self, items: npt.ArrayLike) -> tuple[Int64, Int32]:
        """Occurrences of each of ``items``: number of the asking entry (m,), place in ``sequences.values`` (m,)."""
        asked = np.asarray(items, dtype=np.int64)
        sizes = self.counts[asked]
        return np.repeat(np.arange(len(asked)), sizes), self.places[ranges(self.first[asked], sizes)]

    def holding(self, items: npt.ArrayLike) -> sparse.csr_array:
        """How often each sequence holds each of ``items``: int64, CSR (len(items), sequences)."""
        asked, places = self.of(items)
        sizes = np.bincount(asked, minlength=np.size(items))
        indptr = np.concatenate(([0], np.cumsum(sizes)))
        ones = np.ones(len(places), dtype=np.int64)
        return sparse.csr_array((ones, self.rows[places], indptr), shape=(np.size(items), len(self.sequences)))


def falloff(reach: int, distance: float, backward: float) -> Float64:
    """What an item d places away counts, to be indexed by d itself in -reach..reach: |d| ** -distance, 1 for d = 0.

    Times ``backward`` for d below 0.

    >>> falloff(2, distance=1.0, backward=0.5)[[0, 1, 2, -2, -1]].tolist()
    [1.0, 1.0, 0.5, 0.25, 0.5]
    """
    ahead = np.maximum(np.arange(reach + 1), 1.0) ** -distance
    return np.concatenate((ahead, backward * ahead[:0:-1]))


def distinct(sequences: Ragged) -> Ragged:
    """Each sequence with only the first occurrence of each of its values.

    >>> distinct(Ragged.of([[3, 1, 3], [3]])).values.tolist()
    [3, 1, 3]
    """
    span = int(sequences.values.max(initial=0)) + 1
    _, firsts = np.unique(sequences.rows * span + sequences.values, return_index=True)
    keep = np.zeros(len(sequences.values), dtype=np.bool_)
    keep[firsts] = True
    return sequences.where(keep)

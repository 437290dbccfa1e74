"""Which items go together: weighted co-occurrence in sequences, counted for any items as of any day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys.baselines.base import Days, cuts, oldest_first, worth
from recsys.dataset import Sequences
from recsys.ragged import Float32, Float64, Int64
from recsys.scoring.neighbours import StoredNeighbours
from recsys.scoring.postings import Postings, distinct, falloff, ranges

PAIRS_AT_ONCE = 1 << 22
"""Bounds the memory of one step of counting, at some 50 bytes a pair."""


@dataclass(frozen=True)
class Rule:
    """How a pair of items in one sequence counts, and how counts become a similarity."""

    window: int
    """The partner lies at most so many places away."""
    distance: float
    """A partner d places away counts d ** -distance."""
    backward: float
    """What a partner that came before the item counts, against 1 for one that came after."""
    length: float
    """A pair in a sequence of n items counts n ** -length: long sequences say less of each of their pairs."""
    balance: float
    """similarity = count / (n_i ** (1 - balance) * n_j ** balance + shrinkage), n: the weighted sequences of an item.
    0: the chance of the partner, given the item; .5: the cosine."""
    shrinkage: float
    neighbours: int
    """So many partners are kept for each item."""
    half_life_days: float | None
    """A sequence is worth half as much after every so many days; None: age does not matter."""


@dataclass(frozen=True)
class CountedNeighbours:
    """Neighbours that are counted when they are asked for, as of the cut of ``postings``.

    weights: float64 (sequences,); mass: float64 (n_items,), weighted number of sequences of each item before the cut.
    """

    postings: Postings
    rule: Rule
    weights: Float64
    mass: Float64

    @classmethod
    def build(cls, postings: Postings, rule: Rule, worth: Float32) -> Self:
        """worth: float32 (sequences,)"""
        weights = worth * np.maximum(postings.sequences.lengths, 1.0) ** -rule.length
        known = slice(0, postings.sequences.offsets[postings.cut])
        mass = np.bincount(postings.sequences.values[known], weights[postings.rows[known]], postings.n_items).astype(
            np.float64
        )
        return cls(postings, rule, weights, mass)

    @property
    def n_items(self) -> int:
        return self.postings.n_items

    def stored(self) -> StoredNeighbours:
        return StoredNeighbours(*self.rows(np.arange(self.n_items)))

    def rows(self, items: npt.NDArray[np.integer]) -> tuple[sparse.csr_array, sparse.csr_array]:
        """As NeighbourTable: the strongest ``rule.neighbours`` of each item."""
        owner, places = self.postings.of(items)
        sequences, offsets = self.postings.rows[places], self.postings.sequences.offsets
        reach = self.rule.window if self.rule.backward > 0 else 0
        start = np.maximum(offsets[sequences], places - reach)
        size = np.minimum(offsets[sequences + 1], places + self.rule.window + 1) - start
        pairs = np.bincount(owner, size, len(items))
        step = np.searchsorted(np.cumsum(pairs), np.arange(PAIRS_AT_ONCE, pairs.sum(), PAIRS_AT_ONCE), side="right")
        bounds = np.unique(np.concatenate(([0], step, [len(items)])))
        tables = [_empty(self.n_items)]
        for first, last in pairwise(bounds):
            part = slice(*np.searchsorted(owner, [first, last]))
            tables.append(self._part(items[first:last], owner[part] - first, places[part], start[part], size[part]))
        similarity, counts = zip(*tables, strict=True)
        return sparse.vstack(similarity, format="csr"), sparse.vstack(counts, format="csr")

    def _part(
        self, items: npt.NDArray[np.integer], owner: Int64, places: npt.NDArray[np.integer], start: Int64, size: Int64
    ) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Rows of some items: ``owner`` (m,) is the row of each occurrence, whose partners start at ``start``."""
        partner = ranges(start, size)
        apart = partner - np.repeat(places, size)
        others = apart != 0
        row, partner, apart = np.repeat(owner, size)[others], partner[others], apart[others]
        weight = self.weights[self.postings.rows[partner]]
        weight *= falloff(int(size.max(initial=1)), self.rule.distance, self.rule.backward)[apart]
        cells, shape = (row, self.postings.sequences.values[partner]), (len(items), self.n_items)
        strength = sparse.csr_array((weight, cells), shape=shape)
        counts = sparse.csr_array((np.ones(len(row), np.int32), cells), shape=shape)
        rows, columns = np.repeat(np.arange(len(items)), np.diff(strength.indptr)), strength.indices
        own, other = self.mass[items] ** (1 - self.rule.balance), self.mass**self.rule.balance
        similarity = strength.data / (own[rows] * other[columns] + self.rule.shrinkage)
        kept = _strongest(similarity, strength.indptr, self.rule.neighbours)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(rows[kept], minlength=len(items)))))
        return (
            sparse.csr_array((similarity[kept].astype(np.float32), columns[kept], indptr), shape=shape),
            sparse.csr_array((counts.data[kept], columns[kept], indptr), shape=shape),
        )


def _strongest(values: Float64, indptr: Int64, k: int) -> Int64:
    """Where the k greatest values of each CSR row lie, in order of place; of equal ones the first."""
    lengths = np.diff(indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    full = np.flatnonzero(lengths[rows] > k)
    order = full[np.lexsort((-values[full], rows[full]))]
    starts = np.cumsum(np.where(lengths > k, lengths, 0)) - np.where(lengths > k, lengths, 0)
    keep = np.ones(len(values), dtype=np.bool_)
    keep[order[np.arange(len(order)) - starts[rows[order]] >= k]] = False
    return np.flatnonzero(keep)


def _empty(n_items: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    return sparse.csr_array((0, n_items), dtype=np.float32), sparse.csr_array((0, n_items), dtype=np.int32)


def count(train: Sequences, rule: Rule, as_of: np.datetime64 | None) -> StoredNeighbours:
    """The neighbours of every item."""
    postings = Postings.build(distinct(train.items), train.n_items)
    return CountedNeighbours.build(postings, rule, worth(train, rule.half_life_days, as_of)).stored()


def count_live(history: Sequences, days: Days, rule: Rule) -> Iterator[tuple[np.datetime64, CountedNeighbours]]:
    """For each distinct day the neighbours as of the day before; one index serves all days."""
    history = oldest_first(history)
    postings = Postings.build(distinct(history.items), history.n_items)
    for day, cut in cuts(history, days):
        yield day, CountedNeighbours.build(postings.until(cut), rule, worth(history, rule.half_life_days, day))

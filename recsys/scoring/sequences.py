"""Sequence neighbours: the training sequences most like the history speak for their other items.

Session-kNN with the weights of VSTAN (Ludewig, Mauro, Latifi and Jannach 2021, "Empirical analysis of session-based
recommendation algorithms", section 3; after Garg et al. 2019, "Sequence and time aware neighborhood").
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys.files import read_json, write_json
from recsys.ragged import Float32, Float64, Int32, Int64, Ragged
from recsys.scoring.arrays import check_indices, read_array
from recsys.scoring.base import Evidence
from recsys.scoring.neighbours import history_weights
from recsys.scoring.postings import Postings, falloff, ranges


@dataclass(frozen=True)
class Matching:
    """How histories and training sequences are matched, and what a match is worth."""

    neighbours: int
    """So many of the most similar sequences vote."""
    recency: float
    """The a-th item from the history's end, a from 0, weighs (1 + a) ** -recency."""
    last: int
    """Only so many items of the history's end are matched."""
    rarity: float
    """A matched item weighs log(sequences / those that hold it) ** rarity."""
    length: float
    """similarity = matched weight / n ** length, for a sequence of n items."""
    amplify: float
    """A neighbour votes with similarity ** amplify: above 1 the nearest count for more."""
    distance: float
    """A vote for an item d places from the latest matched one counts d ** -distance."""
    backward: float
    """What an item that came before the latest matched one counts, against 1 for one that came after."""


@dataclass(frozen=True)
class SequenceNeighbours:
    """postings: the training sequences, each item once in a sequence; worth: float32 (sequences,), by age."""

    kind: ClassVar[str] = "sequence_neighbours"
    postings: Postings
    worth: Float32
    matching: Matching

    @property
    def n_items(self) -> int:
        return self.postings.n_items

    @cached_property
    def _rarity(self) -> Float64:
        share = self.postings.cut / np.maximum(self.postings.counts, 1)
        return np.asarray(np.log(np.maximum(share, 1.001)) ** self.matching.rarity)

    def scores(self, histories: Ragged) -> Float32:
        query, sequence, similarity, match = self.neighbours(histories)
        offsets = self.postings.sequences.offsets
        size = offsets[sequence + 1] - offsets[sequence]
        place = ranges(offsets[sequence], size)
        apart = place - np.repeat(match, size)
        votes = np.repeat(similarity**self.matching.amplify, size)
        votes *= falloff(int(size.max(initial=1)), self.matching.distance, self.matching.backward)[apart]
        cells = (np.repeat(query, size), self.postings.sequences.values[place])
        shape = (len(histories), self.n_items)
        dense: Float32 = sparse.coo_array((votes.astype(np.float32), cells), shape).toarray()
        return dense

    def neighbours(self, histories: Ragged) -> tuple[Int64, Int64, Float64, Int64]:
        """The most similar sequences of each history, best first, newer first among equals.

        query (m,), sequence (m,), similarity (m,) and the place (m,) of the latest matched item.
        """
        rows, items, weights = history_weights(histories, self.matching.recency, self.matching.last)
        asked, places = self.postings.of(items)
        total = len(self.postings.sequences)
        pairs, pair = np.unique(rows[asked] * total + self.postings.rows[places], return_inverse=True)
        query, sequence = pairs // max(total, 1), pairs % max(total, 1)
        matched = np.bincount(pair, (weights * self._rarity[items])[asked], len(pairs))
        match = np.zeros(len(pairs), dtype=np.int64)
        match[pair] = places  # the history is walked oldest first, so the latest item's place is what stays
        lengths = self.postings.sequences.lengths[sequence]
        similarity = matched * self.worth[sequence] * lengths**-self.matching.length
        order = np.lexsort((-sequence, -similarity, query))
        rank = np.arange(len(query)) - np.searchsorted(query, query)
        kept = order[rank < self.matching.neighbours]
        return query[kept], sequence[kept], similarity[kept], match[kept]

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """The history item that shares the most matched weight with each item, and the sequences that hold both."""
        asked = Ragged.from_lengths(history, [len(history)])
        _, known, weights = history_weights(asked, self.matching.recency, self.matching.last)
        joint = (self.postings.holding(known) @ self.postings.holding(items).T).toarray()
        return Evidence.strongest((weights * self._rarity[known])[:, None] * joint, known, joint)

    def until(self, cut: int, worth: Float32) -> Self:
        """As of an earlier time: only the first ``cut`` sequences, with their worth then."""
        return replace(self, postings=self.postings.until(cut), worth=worth)

    def save(self, folder: Path) -> None:
        known = self.postings.sequences.take(np.arange(self.postings.cut))
        np.save(folder / "values.npy", known.values, allow_pickle=False)
        np.save(folder / "offsets.npy", known.offsets, allow_pickle=False)
        np.save(folder / "worth.npy", self.worth[: self.postings.cut], allow_pickle=False)
        write_json(folder / "matching.json", {"n_items": self.n_items, **asdict(self.matching)})

    @classmethod
    def load(cls, folder: Path) -> Self:
        values, offsets, worth = (read_array(folder / f"{name}.npy") for name in ("values", "offsets", "worth"))
        settings = read_json(folder / "matching.json")
        n_items = settings.pop("n_items")
        check_indices(folder / "values.npy", values, n_items)
        postings = Postings.build(Ragged(values, offsets), n_items)
        return cls(postings, worth, Matching(**settings))

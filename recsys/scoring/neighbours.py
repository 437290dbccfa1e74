"""Item neighbours: each item of the history votes for the items that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys.files import read_json, write_json
from recsys.ragged import Float32, Int32, Int64, Ragged
from recsys.scoring.arrays import check_indices, read_array
from recsys.scoring.base import Evidence


def history_weights(histories: Ragged, recency: float, last: int) -> tuple[Int64, Int32, Float32]:
    """The known items at each history's end, and the weight of each: row (m,), item (m,), weight (m,).

    Only the ``last`` known items count; the a-th from the end, a from 0, weighs (1 + a) ** -recency.

    >>> history_weights(Ragged.of([[7, -1, 8]]), recency=1.0, last=5)[2].tolist()
    [0.5, 1.0]
    """
    recent = histories.where(histories.values >= 0).last(last)
    age = np.repeat(recent.lengths, recent.lengths) - 1 - recent.positions
    return recent.rows, recent.values, ((1.0 + age) ** -recency).astype(np.float32)


class NeighbourTable(Protocol):
    """For each item the items that go with it."""

    @property
    def n_items(self) -> int: ...

    def rows(self, items: npt.NDArray[np.integer]) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Similarity, float32, and joint training sequences, int32; each CSR (len(items), n_items), places equal."""
        ...


@dataclass(frozen=True)
class StoredNeighbours:
    """A table counted beforehand: two CSR arrays (n_items, n_items) with entries in the same places."""

    similarity: sparse.csr_array
    counts: sparse.csr_array

    @property
    def n_items(self) -> int:
        return int(self.similarity.shape[0])

    def rows(self, items: npt.NDArray[np.integer]) -> tuple[sparse.csr_array, sparse.csr_array]:
        return self.similarity[items], self.counts[items]


@dataclass(frozen=True)
class ItemNeighbours:
    """Score = sum over the history of position weight x similarity; ``recency`` and ``last``: see history_weights."""

    kind: ClassVar[str] = "item_neighbours"
    table: NeighbourTable
    recency: float
    last: int

    @property
    def n_items(self) -> int:
        return self.table.n_items

    def scores(self, histories: Ragged) -> Float32:
        rows, items, weights = history_weights(histories, self.recency, self.last)
        asked, columns = np.unique(items, return_inverse=True)
        votes = sparse.csr_array((weights, (rows, columns)), shape=(len(histories), len(asked)), dtype=np.float32)
        dense: Float32 = (votes @ self.table.rows(asked)[0]).toarray()
        return dense

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """The history item with the greatest vote for each item, and the sequences that hold both."""
        _, known, weights = history_weights(Ragged.from_lengths(history, [len(history)]), self.recency, self.last)
        similarity, counts = (table[:, items].toarray() for table in self.table.rows(known))
        return Evidence.strongest(weights[:, None] * similarity, known, counts)

    def save(self, folder: Path) -> None:
        similarity, counts = self.table.rows(np.arange(self.n_items))
        np.save(folder / "indptr.npy", similarity.indptr, allow_pickle=False)
        np.save(folder / "indices.npy", similarity.indices, allow_pickle=False)
        np.save(folder / "similarity.npy", similarity.data, allow_pickle=False)
        np.save(folder / "counts.npy", counts.data, allow_pickle=False)
        write_json(folder / "weights.json", {"recency": self.recency, "last": self.last})

    @classmethod
    def load(cls, folder: Path) -> Self:
        names = ("indptr", "indices", "similarity", "counts")
        indptr, indices, similarity, counts = (read_array(folder / f"{n}.npy") for n in names)
        check_indices(folder / "indices.npy", indices, len(indptr) - 1)
        shape = (len(indptr) - 1, len(indptr) - 1)
        table = StoredNeighbours(
            sparse.csr_array((similarity, indices, indptr), shape=shape),
            sparse.csr_array((counts, indices, indptr), shape=shape),
        )
        return cls(table, **read_json(folder / "weights.json"))

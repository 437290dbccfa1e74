"""What the attributes of a history say of the next item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recsys.ragged import Float32, Ragged
from recsys.scoring.neighbours import history_weights

LAST = 100
"""Only so many items of a history's end count."""
RECENCIES = (0.5, 1.0)
"""The candidates of AttributeNeighbours.recency."""


@dataclass(frozen=True)
class AttributeNeighbours:
    """Score = sum over the history of position weight x cosine of the attributes.

    attributes: CSR float32 (n_items, m), rows of length 1; the a-th item from the end weighs (1 + a) ** -recency.
    """

    attributes: sparse.csr_array
    recency: float

    @property
    def n_items(self) -> int:
        return int(self.attributes.shape[0])

    def scores(self, histories: Ragged) -> Float32:
        """(batch, n_items)"""
        rows, items, weights = history_weights(histories, self.recency, LAST)
        votes = sparse.csr_array((weights, (rows, items)), shape=(len(histories), self.n_items), dtype=np.float32)
        dense: Float32 = (votes @ self.attributes @ self.attributes.T).toarray()
        return dense

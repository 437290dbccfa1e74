"""What the attributes of a history say of the next item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

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


def condensed(attributes: sparse.csr_array, dim: int) -> Float32:
    """(n_items, dim or fewer) the coordinates of the items along the greatest singular vectors."""
    dim = min(dim, *(side - 1 for side in attributes.shape))
    left, values, _ = svds(attributes, k=dim, random_state=0)
    vectors: Float32 = (left * values).astype(np.float32)
    return vectors

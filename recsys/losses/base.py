"""The loss's contract."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Loss(Protocol):
    """What training minimises. A loss says which items it compares the target with, and gets their vectors."""

    def candidates(self, targets: Tensor, position: int, lengths: Tensor | None = None) -> Tensor:
        """Ids int64 (c,) of the items whose vectors the loss needs for the targets (n,).

        ``position`` is the place of the global batch in the run: what is drawn depends on it and on the seed alone,
        never on the number of processes. ``lengths`` int64 (rows,): how many of the targets each row of the batch has,
        for a loss that must know whose they are.
        """
        ...

    def __call__(
        self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        """The sum over n positions, a scalar; the caller divides by the positions of the global batch.

        states (n, dim); vectors (c, dim) of the candidates ``ids`` (c,); targets (n,); lengths as in `candidates`.
        """
        ...

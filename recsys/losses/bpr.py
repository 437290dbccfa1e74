"""Each target ahead of each negative."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from recsys.losses.shared import SharedNegatives


@dataclass(frozen=True)
class BPR(SharedNegatives):
    """-log sigmoid(s+ - s-), the mean over the negatives; one that is the target asks nothing.

    Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009, equation 8, without its prior.
    """

    def __call__(
        self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        positive, negative, hits = self.compared(states, vectors, targets, ids)
        return functional.softplus(negative - positive).masked_fill(hits, 0.0).sum() / self.k

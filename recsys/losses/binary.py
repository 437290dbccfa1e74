"""Each target against each negative as a question of its own: yes or no."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from recsys.losses.shared import SharedNegatives


@dataclass(frozen=True)
class BinaryCrossEntropy(SharedNegatives):
    """-beta log sigmoid(s+) - sum over negatives of log(1 - sigmoid(s-)): generalised binary cross-entropy.

    With few negatives plain BCE is overconfident: it learns probabilities for a world in which k of N items exist. beta
    mends that: beta = a (t (1 - 1/a) + 1/a) with the sampling rate a = k / (N - 1), for uniform negatives. t = 0 is
    plain BCE (beta = 1), t = 1 fully calibrated (beta = a). Petrov and Macdonald, "gSASRec: Reducing Overconfidence in
    Sequential Recommendation Trained with Negative Sampling", RecSys 2023, section 5; divided by k + 1, as there. A
    negative that is the target asks nothing.

    calibration: t, 0 to 1.
    """

    calibration: float = 0.0

    @property
    def beta(self) -> float:
        """Exponent of the target's probability.

        >>> from recsys.sampling import Uniform
        >>> BinaryCrossEntropy(Uniform(n_items=11, seed=0), k=5, calibration=1.0).beta
        0.5
        """
        rate = self.k / (self.sampler.n_items - 1)
        return rate * (self.calibration * (1 - 1 / rate) + 1 / rate)

    def __call__(
        self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        positive, negative, hits = self.compared(states, vectors, targets, ids)
        refused = functional.softplus(negative).masked_fill(hits, 0.0).sum()
        return (self.beta * functional.softplus(-positive).sum() + refused) / (self.k + 1)

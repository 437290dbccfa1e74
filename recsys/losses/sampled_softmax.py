"""Cross-entropy against a sample of the catalogue, corrected for how the sample was drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.losses.shared import SharedNegatives


@dataclass(frozen=True)
class SampledSoftmax(SharedNegatives):
    """Softmax over the target and ``k`` negatives that all positions of a global batch share.

    The target enters uncorrected, with weight one. A negative j enters as s_j - log E[count_j], where E[count_j] is the
    number of times that it is expected among the k draws, so the expected partition is the full one: sum over j of
    E[count_j] exp(s_j) / E[count_j]. A draw that hits the target is masked, since the target is already there; k stays
    k, because E[count_j] of the others does not change. Bengio and Senecal, "Quick Training of Probabilistic Neural
    Nets by Importance Sampling", AISTATS 2003; correcting the target as well, as often done, biases it (Yi et al.,
    "Sampling-Bias-Corrected Neural Modeling", RecSys 2019, is for in-batch negatives).
    """

    def logits(self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor) -> Tensor:
        """(n, 1 + k), the target first."""
        positive, negative, hits = self.compared(states, vectors, targets, ids)
        expected = torch.from_numpy(self.sampler.expected_counts(ids[len(targets) :].cpu().numpy(), self.k)).to(states)
        return torch.cat([positive, (negative - expected.log()).masked_fill(hits, -torch.inf)], dim=1)

    def __call__(
        self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        logits = self.logits(states, vectors, targets, ids)
        return (logits.logsumexp(1) - logits[:, 0]).sum()

"""What the losses over sampled negatives share: one draw of k negatives for all positions of a global batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.sampling.base import Sampler


@dataclass(frozen=True)
class SharedNegatives:
    """Candidates are the n targets, then the k negatives."""

    sampler: Sampler
    k: int

    def candidates(self, targets: Tensor, position: int, lengths: Tensor | None = None) -> Tensor:
        negatives = torch.from_numpy(self.sampler.draw(self.k, position)).to(targets.device)
        return torch.cat([targets, negatives])

    def compared(self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the targets (n, 1), scores of the negatives (n, k), and where a negative is the target (n, k)."""
        n = len(targets)
        positive = (states * vectors[:n]).sum(1, keepdim=True)
        # Under autocast the product is of bfloat16: sums over thousands of them need more digits.
        negative = (states @ vectors[n:].T).to(positive.dtype)
        return positive, negative, ids[n:][None, :] == targets[:, None]

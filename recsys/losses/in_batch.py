"""Cross-entropy against the other rows of the batch and a sample of the catalogue together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from recsys.losses.shared import SharedNegatives
from recsys.ragged import Float64


def _alone(targets: Tensor) -> Tensor:
    return targets[:0]


@dataclass(frozen=True)
class MixedNegatives(SharedNegatives):
    """Softmax over the target, the targets of the other rows of the global batch, and ``k`` draws of the sampler.

    Targets in the batch cost no lookup and are hard, since they are popular, but the tail is never among them; the
    sampled ones fill it (Yang et al., "Mixed Negative Sampling for Learning Two-tower Neural Networks in
    Recommendations", WWW 2020). The target enters uncorrected, with weight one. A negative j enters as
    s_j - log E[count_j], where E[count_j] is how often it is expected in the whole mixture: m p_j + k q_j, with p the
    share of each item among all targets, m the targets of other rows, and q the sampler's distribution. So the expected
    partition is the full one. What equals the target is masked, and neither m nor k changes by it. The targets of a
    row's own are no negatives of it: they come with its history, not by chance, and the correction would not hold.

    unigram: float64 (n_items,) p. others: gives the targets of the other processes for this one's, so that the
    negatives are those of the global batch, whatever the number of processes.

    hard_negatives: of the k sampled ones, so many enter for each position, those with the highest scores at present;
    the rest are left out, and the correction is as if all had entered. The partition is then too small by what was left
    out, so the correction is no longer exact: the price for gradients that dwell on what is hard to tell apart.
    """

    unigram: Float64 = field(kw_only=True)
    hard_negatives: int | None = field(default=None, kw_only=True)
    others: Callable[[Tensor], Tensor] = field(default=_alone, kw_only=True)

    def candidates(self, targets: Tensor, position: int, lengths: Tensor | None = None) -> Tensor:
        own = super().candidates(targets, position, lengths)
        return torch.cat([own[: len(targets)], self.others(targets), own[len(targets) :]])

    def logits(
        self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        """(n, 1 + m + k), the target first; m + hard_negatives where these are asked for."""
        if lengths is None:
            raise ValueError("mixed negatives need the lengths of the rows")
        n = len(targets)
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=targets.device), lengths)
        scores = states @ vectors.T
        if scores.dtype == torch.bfloat16:  # under autocast: sums over thousands of them need more digits
            scores = scores.float()
        masked = ids[None, :] == targets[:, None]
        masked[:, :n] |= rows[:, None] == rows
        negative = (scores - self._log_expected(ids, lengths)[rows].to(scores)).masked_fill(masked, -torch.inf)
        if self.hard_negatives is not None:
            sampled = slice(len(ids) - self.k, None)
            present = scores[:, sampled].masked_fill(masked[:, sampled], -torch.inf)
            hardest = present.topk(self.hard_negatives, dim=1).indices
            negative = torch.cat([negative[:, : -self.k], negative[:, sampled].gather(1, hardest)], dim=1)
        return torch.cat([scores.diagonal()[:, None], negative], dim=1)

    def __call__(
        self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        logits = self.logits(states, vectors, targets, ids, lengths)
        return (logits.logsumexp(1) - logits[:, 0]).sum()

    def _log_expected(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(rows, c): log of m p_j + k q_j, for the m of each row."""
        plain = ids.cpu().numpy()
        p = torch.from_numpy(self.unigram[plain]).to(ids.device)
        sampled = torch.from_numpy(self.sampler.expected_counts(plain, self.k)).to(ids.device)
        m = len(ids) - self.k - lengths
        return (m[:, None] * p + sampled).log()

"""Cross-entropy against a sample of the catalogue, corrected for how the sample was drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recsys.losses.shared import SharedNegatives

SCORES = 1 << 20
"""Scores at once: 4 MB in float32, which stay in cache."""


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

    def __call__(
        self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        negatives = ids[len(targets) :]
        expected = torch.from_numpy(self.sampler.expected_counts(negatives.cpu().numpy(), self.k)).to(states)
        loss: Tensor = _Sampled.apply(states, vectors, expected.log(), targets, negatives)  # type: ignore[no-untyped-call]  # torch's
        return loss


class _Sampled(torch.autograd.Function):
    """Loss and gradients in one pass: autograd would go over the scores ten times, and keep four copies of them."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, vectors: Tensor, log_expected: Tensor, targets: Tensor, negatives: Tensor
    ) -> Tensor:
        n, k = len(states), len(negatives)
        ranked, order = negatives.sort()
        state_grads, vector_grads = torch.empty_like(states), torch.zeros_like(vectors)
        sampled, sampled_grads = vectors[n:], vector_grads[n:]
        chunk = max(1, SCORES // k)
        buffer = states.new_empty(min(chunk, n), k)
        loss = states.new_zeros(())
        for start in range(0, n, chunk):
            rows = slice(start, min(start + chunk, n))
            part, own = states[rows], vectors[rows]
            positive = (part * own).sum(1, keepdim=True)
            scores = torch.addmm(-log_expected, part, sampled.T, out=buffer[: len(part)])
            scores[_hits(targets[rows], ranked, order)] = -torch.inf
            highest = torch.maximum(scores.amax(1, keepdim=True), positive)
            weights, chosen = scores.sub_(highest).exp_(), (positive - highest).exp()
            total = weights.sum(1, keepdim=True) + chosen
            loss += (total.log() + highest - positive).sum()
            # d loss / d score is weights / total, for the target less one; the division is cheaper on the thin side.
            slope = chosen / total - 1
            torch.mm(weights, sampled, out=state_grads[rows]).div_(total).addcmul_(own, slope)
            torch.mul(part, slope, out=vector_grads[rows])
            sampled_grads.addmm_(weights.T, part / total)
        ctx.save_for_backward(state_grads, vector_grads)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        state_grads, vector_grads = ctx.saved_tensors
        return state_grads * grad, vector_grads * grad, None, None, None


def _hits(targets: Tensor, ranked: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns at which a negative is the row's target; ``ranked`` are the negatives in order.

    >>> ranked, order = torch.tensor([5, 3, 5, 9]).sort(stable=True)
    >>> _hits(torch.tensor([4, 5, 9]), ranked, order)
    (tensor([1, 1, 2]), tensor([0, 2, 3]))
    """
    first, last = torch.searchsorted(ranked, targets), torch.searchsorted(ranked, targets, right=True)
    counts = last - first
    rows = torch.repeat_interleave(counts)
    within = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    return rows, order[first[rows] + within]

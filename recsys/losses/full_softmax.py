"""Cross-entropy over the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 256
"""Positions at once: their scores over 10,000 items are 10 MB, which stays in cache."""


@dataclass(frozen=True)
class FullSoftmax:
    """-log softmax(states @ vectors.T)[target], for catalogues of up to some 100,000 items."""

    n_items: int

    def candidates(self, targets: Tensor, position: int, lengths: Tensor | None = None) -> Tensor:
        return torch.arange(self.n_items, device=targets.device)

    def __call__(
        self, states: Tensor, vectors: Tensor, targets: Tensor, ids: Tensor, lengths: Tensor | None = None
    ) -> Tensor:
        loss: Tensor = _ChunkedCrossEntropy.apply(states, vectors, targets)  # type: ignore[no-untyped-call]  # torch's
        return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Loss and gradients in one pass over chunks of positions, so that the (n, n_items) scores never exist.

    As in Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", ICLR 2025, without its kernels.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        state_grads, vector_grads = torch.empty_like(states), torch.zeros_like(vectors)
        buffer = states.new_empty(min(CHUNK, len(states)), len(vectors))
        loss = states.new_zeros(())
        for start in range(0, len(states), CHUNK):
            rows = slice(start, start + CHUNK)
            part, target = states[rows], targets[rows, None]
            scores = torch.mm(part, vectors.T, out=buffer[: len(part)])
            highest = scores.amax(1, keepdim=True)
            positive = scores.gather(1, target)
            weights = scores.sub_(highest).exp_()
            total = weights.sum(1, keepdim=True)
            loss += (total.log() + highest - positive).sum()
            # d loss / d score is weights / total, less one at the target; the division is cheaper on the thin side.
            torch.mm(weights, vectors, out=state_grads[rows]).div_(total)
            vector_grads.addmm_(weights.T, part / total)
        state_grads -= vectors[targets]
        vector_grads.index_add_(0, targets, states, alpha=-1)
        ctx.save_for_backward(state_grads, vector_grads)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        state_grads, vector_grads = ctx.saved_tensors
        return state_grads * grad, vector_grads * grad, None

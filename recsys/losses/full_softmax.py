"""Cross-entropy over the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 256
"""Positions at once."""
TILE = 1024
"""Items at once: 1 MB of scores stays in cache from the first product to the second."""
SAFE = 60.0
"""Scores of up to so much, either sign, need no maximum taken off: in float32 the exponentials of some 10^10 of them
can be summed, and the smallest divided by."""


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

    As in Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", ICLR 2025, without its kernels. Where
    the norms say that all scores are safe, a chunk is worked off in tiles of items: what a tile adds to the partition
    and to the gradient of the states is taken while its scores are in cache. Under autocast the products and the
    exponentials are of its type, and all sums of float32: on a CPU with AVX512-BF16 four to six times as fast.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        n, n_items = len(states), len(vectors)
        highest = states.norm(dim=1).amax() * vectors.norm(dim=1).amax() if n else states.new_zeros(())
        safe = bool(highest <= SAFE)
        width = TILE if safe else n_items
        tiles = [slice(at, min(at + width, n_items)) for at in range(0, n_items, width)]
        state_grads = torch.zeros_like(states)
        # Turned, because so the product that adds to them is as fast as the other two; else it takes a third longer.
        turned = [states.new_zeros(states.shape[1], tile.stop - tile.start) for tile in tiles]
        device = states.device.type
        low = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
        buffer = states.new_empty(min(CHUNK, n) * n_items, dtype=low)
        low_vectors = vectors.to(low)
        loss = -(states * vectors[targets]).sum()
        for start in range(0, n, CHUNK):
            part, state_grad = states[start : start + CHUNK], state_grads[start : start + CHUNK]
            low_part = part.to(low)
            total = part.new_zeros(len(part), 1)
            weights = [buffer[len(part) * t.start : len(part) * t.stop].view(len(part), -1) for t in tiles]
            for tile, weight in zip(tiles, weights, strict=True):
                torch.mm(low_part, low_vectors[tile].T, out=weight)
                if not safe:
                    shift = weight.amax(1, keepdim=True)
                    weight.sub_(shift)
                    loss += shift.sum(dtype=loss.dtype)
                total += weight.exp_().sum(1, keepdim=True, dtype=total.dtype)
                _add_product(state_grad, weight, low_vectors[tile])
            # d loss / d score is weight / total, less one at the target; the division is cheaper on the thin side.
            state_grad.div_(total)
            low_part = (part / total).to(low)
            for grad, weight in zip(turned, weights, strict=True):
                _add_product(grad, low_part.T, weight)
            loss += total.log().sum()
        state_grads -= vectors[targets]
        vector_grads = torch.empty_like(vectors)
        for tile, grad in zip(tiles, turned, strict=True):
            vector_grads[tile] = grad.T
        vector_grads.index_add_(0, targets, states, alpha=-1)
        ctx.save_for_backward(state_grads, vector_grads)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        state_grads, vector_grads = ctx.saved_tensors
        return state_grads * grad, vector_grads * grad, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Sums stay in the precision of ``total``."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += torch.mm(left, right)

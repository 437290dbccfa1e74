"""Dropout that costs little on CPU, where torch draws a float for each element: a sixth of a training step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """Sets a share of the elements to 0 in training and scales up the rest, so that the mean stays.

    On CPU one random byte an element decides, from torch's generator; the share is then rounded to 256ths, and the
    scale fits the rounded share. On other devices it is torch's own.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, and the same again."""
        cut = min(round(256 * self.share), 255)
        if not self.training or not cut:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.share)
        dropped: Tensor = _Masked.apply(x, cut)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return dropped

    def extra_repr(self) -> str:
        return f"share={self.share}"


class _Masked(torch.autograd.Function):
    """x * mask * scale, where a byte is ``cut`` or more; the same for the gradient. Only the bytes are kept for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cut: int) -> Tensor:
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        mask = words.view(torch.uint8)[: x.numel()].view(x.shape).ge_(cut)
        ctx.save_for_backward(mask)
        ctx.scale = 256 / (256 - cut)
        return (x * mask).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return (gradients[0] * mask).mul_(ctx.scale), None

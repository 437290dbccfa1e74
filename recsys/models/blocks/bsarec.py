"""Shin et al., "An Attentive Inductive Bias for Sequential Recommendation beyond the Self-Attention", AAAI 2024
(BSARec), section 4: a frequency filter beside attention, alpha * filter(x) + (1 - alpha) * attention(x), where

    filter(x) = low + beta**2 * (x - low)

with a learned beta for each channel, since attention alone is a low-pass filter and dulls quick changes of taste.

What differs: the paper's low pass keeps the c // 2 + 1 lowest frequencies of the Fourier transform over the whole
sequence. That is an average over all positions, later ones too; harmless there, where only the last position is
trained, but where every position is a target it shows each its own answer. Here the low pass is causal: a weighted
mean of the positions so far, by lag. Its weights start as the main lobe of that ideal filter's response, and are
learned; at each position they are made to sum to 1 over what there is, so that a constant passes unchanged and the
rest, x - low, holds none of it, from the first position on. And residuals are pre-norm, as in the other blocks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from recsys.models.blocks.attention import CausalAttention
from recsys.models.blocks.base import Block, Layout, lags
from recsys.models.blocks.feed_forward import feed_forward
from recsys.models.config import NetworkConfig
from recsys.models.dropout import Dropout


class BSARecBlock(Block):
    """Filter and attention side by side, then a feed-forward layer as in sasrec."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim = config.dim
        self.alpha = 0.7 if config.filter_share is None else config.filter_share
        self.norm = nn.LayerNorm(dim)
        self.filter = CausalFilter(dim, config.max_length, config.filter_cutoff or 5)
        self.attention = CausalAttention(config)
        self.feed_forward = feed_forward(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, layout: Layout | None = None, gaps: Tensor | None = None) -> Tensor:
        normed = self.norm(x)
        if layout is None:
            filtered = self.filter(normed)
        else:
            filtered = layout.pack(self.filter(layout.pad(normed), layout.visible))
        mixed = self.alpha * filtered + (1 - self.alpha) * self.attention(normed, layout)
        x = x + self.dropout(mixed)
        x = x + self.dropout(self.feed_forward(x))
        return x


class CausalFilter(nn.Module):
    """(batch, length, dim) -> the same: what changes slowly stays, what changes quickly is rescaled by channel."""

    def __init__(self, dim: int, max_length: int, cutoff: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(main_lobe(max_length, cutoff).clamp(min=1e-3).log())
        self.sqrt_beta = nn.Parameter(torch.randn(dim))

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        low = self.kernel(x.shape[1], visible) @ x
        return low + self.sqrt_beta**2 * (x - low)

    def kernel(self, length: int, visible: Tensor | None = None) -> Tensor:
        """(batch or 1, length, length): row i has the weights of positions 0 to i in the low pass at i; they sum to 1.

        Where rows hold several histories, of those that are visible; see Layout.
        """
        lag = lags(length, self.logits.device)
        seen = (lag >= 0).unsqueeze(0) if visible is None else visible
        return self.logits[lag.clamp(min=0)].masked_fill(~seen, -math.inf).softmax(dim=-1)


def main_lobe(length: int, cutoff: int) -> Tensor:
    """(length,) the ideal low pass over so many points, by lag: 1 at lag 0, and 0 from its first zero on.

    It keeps the frequencies 0 to k = cutoff // 2, so it is the Dirichlet kernel
    (1 + 2 sum_k cos(2 pi k lag / length)) / (2 k + 1), which first falls to 0 at lag length / (2 k + 1).

    >>> (100 * main_lobe(10, 2)).round().int().tolist()
    [100, 87, 54, 13, 0, 0, 0, 0, 0, 0]
    """
    kept = cutoff // 2
    lag = torch.arange(length)
    waves = torch.cos(2 * math.pi * torch.arange(1, kept + 1).unsqueeze(1) * lag / length)
    ideal = (1 + 2 * waves.sum(dim=0)) / (2 * kept + 1)
    return torch.where(lag < length / (2 * kept + 1), ideal, 0.0)

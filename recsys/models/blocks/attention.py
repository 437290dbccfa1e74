"""Causal softmax attention: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2. Blocks share it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from recsys.models.blocks.base import Layout
from recsys.models.config import NetworkConfig


class CausalAttention(nn.Module):
    """Multi-head attention of each position to itself and those before it. Its projections run packed."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.into = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)

    def forward(self, x: Tensor, layout: Layout | None = None) -> Tensor:
        """As a block: packed or padded, and the same shape again."""
        projected = self.into(x)
        if layout is None:
            attended = self._attend(projected)
        else:
            attended = layout.pack(self._attend(layout.pad(projected), layout.visible))
        out: Tensor = self.out(attended)
        return out

    def _attend(self, projected: Tensor, visible: Tensor | None = None) -> Tensor:
        """(batch, length, 3 dim) -> (batch, length, dim)"""
        batch, length, _ = projected.shape
        query, key, value = projected.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mask = None if visible is None else visible.unsqueeze(1)
        attended = functional.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None)
        return attended.transpose(1, 2).reshape(batch, length, -1)

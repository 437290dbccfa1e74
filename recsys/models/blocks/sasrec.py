"""Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (SASRec), with pre-norm residuals as in
Klenitskiy and Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from recsys.models.blocks.base import Block, Layout
from recsys.models.config import NetworkConfig


class SASRecBlock(Block):
    """Causal self-attention and a feed-forward layer, each normalised before and added to its input."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim, dropout = config.dim, config.dropout
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(dim)
        self.attention_in = nn.Linear(dim, 3 * dim)
        self.attention_out = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, layout: Layout | None = None) -> Tensor:
        projected = self.attention_in(self.attention_norm(x))
        if layout is not None:
            projected = layout.pad(projected)
        attended = self._attend(projected)
        if layout is not None:
            attended = layout.pack(attended)
        x = x + self.dropout(self.attention_out(attended))
        x = x + self.dropout(self.feed_forward(x))
        return x

    def _attend(self, projected: Tensor) -> Tensor:
        """(batch, length, 3 dim) -> (batch, length, dim)"""
        batch, length, _ = projected.shape
        query, key, value = projected.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return attended.transpose(1, 2).reshape(batch, length, -1)

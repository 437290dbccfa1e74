"""Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (SASRec), with pre-norm residuals as in
Klenitskiy and Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023."""

from __future__ import annotations

from torch import Tensor, nn

from recsys.models.blocks.attention import CausalAttention
from recsys.models.blocks.base import Block, Layout
from recsys.models.config import NetworkConfig


class SASRecBlock(Block):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim, dropout = config.dim, config.dropout
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = CausalAttention(config)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, layout: Layout | None = None, gaps: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), layout))
        x = x + self.dropout(self.feed_forward(x))
        return x

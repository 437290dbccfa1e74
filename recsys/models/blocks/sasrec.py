"""Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (SASRec), with pre-norm residuals as in
Klenitskiy and Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023."""

from __future__ import annotations

from torch import Tensor, nn

from recsys.models.blocks.attention import CausalAttention
from recsys.models.blocks.base import Block, Layout
from recsys.models.blocks.feed_forward import feed_forward
from recsys.models.config import NetworkConfig
from recsys.models.dropout import Dropout


class SASRecBlock(Block):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.dim)
        self.attention = CausalAttention(config)
        self.feed_forward = feed_forward(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, layout: Layout | None = None, gaps: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), layout))
        x = x + self.dropout(self.feed_forward(x))
        return x

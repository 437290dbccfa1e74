"""Borisyuk et al., "From Features to Transformers: Redefining Ranking for Scalable Impact" (LiGR), 2025, section 3:
a gated residual around each normalised layer, x + f(norm(x)) * sigmoid(W x).

The feed-forward layer is SwiGLU (Shazeer, "GLU Variants Improve Transformer", 2020, section 2), as in RecTools. Its
inner size is 2/3 of the plain layer's, as that paper has it, so that its three matrices weigh what those two do.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from recsys.models.blocks.attention import CausalAttention
from recsys.models.blocks.base import Block, Layout
from recsys.models.config import NetworkConfig
from recsys.models.dropout import Dropout


class LiGRBlock(Block):
    """Causal attention and SwiGLU; a gate, read from the stream itself, says how much of each is added to it."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim, inner = config.dim, 2 * config.feed_forward * config.dim // 3
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = CausalAttention(config)
        self.attention_gate = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(nn.LayerNorm(dim), SwiGLU(dim, inner, config.dropout))
        self.feed_forward_gate = nn.Linear(dim, dim)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, layout: Layout | None = None, gaps: Tensor | None = None) -> Tensor:
        attended = self.dropout(self.attention(self.attention_norm(x), layout))
        x = x + self.attention_gate(x).sigmoid() * attended
        x = x + self.feed_forward_gate(x).sigmoid() * self.dropout(self.feed_forward(x))
        return x


class SwiGLU(nn.Module):
    """(..., dim) -> (..., dim): out(silu(W x) * V x), W and V (dim, inner), no biases."""

    def __init__(self, dim: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.into = nn.Linear(dim, 2 * inner, bias=False)
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.into(x).chunk(2, dim=-1)
        out: Tensor = self.out(self.dropout(functional.silu(gate) * value))
        return out

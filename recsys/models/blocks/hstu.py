"""Zhai et al., "Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative
Recommendations", ICML 2024, section 3.2 (HSTU):

    U, V, Q, K = split(silu(W x))          pointwise projection
    A = silu(Q K' + bias) / max_length     pointwise aggregated attention: no softmax, so amounts count
    y = W2 (norm(A V) * U)                 pointwise transformation

The bias is one learned number for each lag i - j and one for each half octave of the time between the plays i and j.
The authors' code takes the time from j to the play after i instead. That is the target's own time, which nobody knows
when the target is asked, so here it is the time from j to i. Where times are unknown their bucket is "unknown".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.models.blocks.base import Block, Layout, lags
from recsys.models.config import NetworkConfig
from recsys.models.dropout import Dropout
from recsys.models.side import GAP_BUCKETS


class HSTUBlock(Block):
    """x + y of the above; there is no feed-forward layer."""

    reads_gaps = True

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads, self.max_length = config.heads, config.max_length
        self.norm = nn.LayerNorm(dim)
        self.into = nn.Linear(dim, 4 * dim)
        self.lag_bias = nn.Parameter(torch.randn(config.max_length) * 0.02)
        self.gap_bias = nn.Parameter(torch.randn(GAP_BUCKETS) * 0.02)
        self.attended_norm = nn.LayerNorm(dim, eps=1e-6)
        self.out = nn.Linear(dim, dim)
        self.dropout = Dropout(config.dropout)
        # As the authors start: nearly the identity. From torch's own start the sums of many random weights drown it.
        nn.init.normal_(self.into.weight, std=0.02)
        nn.init.xavier_uniform_(self.out.weight)
        for layer in (self.into, self.out):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, layout: Layout | None = None, gaps: Tensor | None = None) -> Tensor:
        projected = functional.silu(self.into(self.norm(x)))
        gate, rest = projected[..., : x.shape[-1]], projected[..., x.shape[-1] :]
        if layout is None:
            attended = self._attend(rest, gaps)
        else:
            attended = layout.pack(self._attend(layout.pad(rest), gaps, layout.visible))
        y: Tensor = x + self.out(self.dropout(self.attended_norm(attended) * gate))
        return y

    def _bias(self, length: int, gaps: Tensor | None) -> Tensor:
        """(batch or 1, length, length); what stands right of the diagonal means nothing."""
        by_lag = self.lag_bias[lags(length, self.lag_bias.device).clamp(min=0)].unsqueeze(0)
        if gaps is None:
            return by_lag + self.gap_bias[0]
        return by_lag + self.gap_bias.index_select(0, gaps.flatten()).view(gaps.shape)

    def _attend(self, projected: Tensor, gaps: Tensor | None, visible: Tensor | None = None) -> Tensor:
        """(batch, length, 3 dim) -> (batch, length, dim)"""
        batch, length, _ = projected.shape
        value, query, key = projected.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        # (batch, heads, length, length)
        weights = functional.silu(query @ key.transpose(2, 3) + self._bias(length, gaps).unsqueeze(1))
        weights = weights.tril() if visible is None else weights * visible.unsqueeze(1)
        attended = weights @ (value / self.max_length)
        return attended.transpose(1, 2).reshape(batch, length, -1)

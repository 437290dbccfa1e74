"""The position-wise part of a transformer: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.3."""

from __future__ import annotations

from torch import nn

from recsys.models.config import NetworkConfig
from recsys.models.dropout import Dropout


def feed_forward(config: NetworkConfig) -> nn.Sequential:
    """(..., dim) -> (..., dim), normalised before and ``config.feed_forward`` dims wide inside."""
    inner = config.feed_forward * config.dim
    return nn.Sequential(
        nn.LayerNorm(config.dim),
        nn.Linear(config.dim, inner),
        nn.GELU(),
        Dropout(config.dropout),
        nn.Linear(inner, config.dim),
    )

"""The history tower: item vectors in, one state a position out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys.models.blocks import BLOCKS
from recsys.models.blocks.base import Layout
from recsys.models.config import NetworkConfig


class HistoryEncoder(nn.Module):
    """Blocks between learned positions and a last normalisation.

    ``forward`` runs on packed ragged positions (training); ``encode`` on a padded batch, last state only (export).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(config.max_length, config.dim) * 0.02)
        self.blocks = nn.ModuleList(BLOCKS[config.block](config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def max_length(self) -> int:
        return self.positions.shape[0]

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """vectors (positions, dim), histories one after the other; lengths int64 (batch,): states (positions, dim).

        The state at a position is made of that position and those before it in the same history.
        """
        layout = Layout.of(lengths)
        if layout.length > self.max_length:
            raise ValueError(f"a history of {layout.length} is longer than max_length {self.max_length}")
        x = self.dropout(vectors + self.positions.index_select(0, layout.columns))
        for block in self.blocks:
            x = block(x, layout)
        states: Tensor = self.norm(x)
        return states

    def encode(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """vectors (batch, length, dim), histories from column 0; lengths int64 (batch,), each >= 1: (batch, dim)."""
        x = self.dropout(vectors + self.positions[: vectors.shape[1]])
        for block in self.blocks:
            x = block(x)
        last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, x.shape[2])
        states: Tensor = self.norm(x.gather(1, last).squeeze(1))
        return states

"""The history tower: item vectors in, one state a position out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys.models.blocks import BLOCKS
from recsys.models.blocks.base import Layout
from recsys.models.config import NetworkConfig
from recsys.models.dropout import Dropout
from recsys.models.side import NOTHING, Side, SideEmbedding, gap_bucket


class HistoryEncoder(nn.Module):
    """Blocks between learned positions and a last normalisation.

    ``forward`` runs on packed ragged positions (training); ``encode`` on a padded batch, last state only (export).
    ``side`` is what is told of the plays beside their vectors, packed or padded as these are.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(config.max_length, config.dim) * 0.02)
        self.side = SideEmbedding(config)
        self.side_dropout = config.side_dropout
        self.blocks = nn.ModuleList(BLOCKS[config.block](config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(config.dropout)

    @property
    def max_length(self) -> int:
        return self.positions.shape[0]

    def forward(self, vectors: Tensor, lengths: Tensor, side: Side = NOTHING) -> Tensor:
        """vectors (positions, dim), histories one after the other; lengths int64 (batch,): states (positions, dim).

        The state at a position is made of that position and those before it in the same history.
        """
        layout = Layout.binned(lengths)
        if layout.length > self.max_length:
            raise ValueError(f"a history of {layout.length} is longer than max_length {self.max_length}")
        if self.training:
            side = side.forget(self.side_dropout, lengths)
        x = self.side(vectors + self.positions.index_select(0, layout.columns), side, layout.columns)
        x = self.dropout(x)
        gaps = None
        if side.time is not None:
            gaps = self._gaps(layout.pad(side.time.unsqueeze(1)).squeeze(2))
        for block in self.blocks:
            x = block(x, layout, gaps)
        states: Tensor = self.norm(x)
        return states

    def encode(self, vectors: Tensor, lengths: Tensor, side: Side = NOTHING) -> Tensor:
        """vectors (batch, length, dim), histories from column 0; lengths int64 (batch,), each >= 1: (batch, dim)."""
        columns = torch.arange(vectors.shape[1], device=vectors.device)
        x = self.side(vectors + self.positions[: vectors.shape[1]], side, columns)
        x = self.dropout(x)
        gaps = None if side.time is None else self._gaps(side.time)
        for block in self.blocks:
            x = block(x, None, gaps)
        last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, x.shape[2])
        states: Tensor = self.norm(x.gather(1, last).squeeze(1))
        return states

    def _gaps(self, time: Tensor) -> Tensor | None:
        """Times (batch, length) -> what blocks may read of them, once for all of them: (batch, length, length)."""
        if not any(block.reads_gaps for block in self.blocks):
            return None
        return gap_bucket(time.unsqueeze(1), time.unsqueeze(2))

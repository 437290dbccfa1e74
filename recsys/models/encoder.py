"""The history encoder: item vectors in, one state a position out. A pre-norm causal transformer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the positions of a ragged batch stand in a padded one. Histories start at column 0.

    Everything but attention runs on the packed positions, so padding costs nothing there; and since attention is
    causal and the padding stands to the right, no position ever sees it and no mask is needed.
    """

    cells: Tensor
    """int64 (positions,): row * length + column of each packed position."""
    columns: Tensor
    """int64 (positions,): its place in its history, from 0."""
    batch: int
    length: int

    @classmethod
    def of(cls, lengths: Tensor) -> Layout:
        """From the lengths (batch,) of the histories."""
        batch, longest = len(lengths), int(lengths.max()) if len(lengths) else 0
        starts = torch.cumsum(lengths, 0) - lengths
        rows = torch.repeat_interleave(torch.arange(batch, device=lengths.device), lengths)
        columns = torch.arange(len(rows), device=lengths.device) - starts[rows]
        return cls(rows * longest + columns, columns, batch, longest)

    def pad(self, packed: Tensor) -> Tensor:
        """(positions, n) -> (batch, length, n), zeros where no position stands."""
        padded = packed.new_zeros(self.batch * self.length, packed.shape[-1]).index_copy(0, self.cells, packed)
        return padded.view(self.batch, self.length, -1)

    def pack(self, padded: Tensor) -> Tensor:
        """(batch, length, n) -> (positions, n)"""
        return padded.reshape(self.batch * self.length, -1).index_select(0, self.cells)


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each normalised before and added to its input."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.attention_in = nn.Linear(dim, 3 * dim)
        self.attention_out = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, layout: Layout | None = None) -> Tensor:
        """(positions, dim) with a layout, else (batch, length, dim): the same shape."""
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


class HistoryEncoder(nn.Module):
    """Blocks between learned positions and a last normalisation.

    ``forward`` runs on packed ragged positions (training); ``encode`` on a padded batch, last state only (export).
    """

    def __init__(self, dim: int, layers: int, heads: int, max_length: int, dropout: float) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(max_length, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

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

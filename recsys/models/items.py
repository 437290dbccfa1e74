"""The item tower: rows of the table in, item vectors out; with content, also for items that have no row."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.models.config import NetworkConfig


class IdTower(nn.Module):
    """An item is its row, at length 1 unless the config says otherwise."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.unit_length = config.unit_length

    def forward(self, rows: Tensor, ids: Tensor) -> Tensor:
        """rows (n, dim) of the table for the items ids int64 (n,) -> item vectors (n, dim)."""
        return self.sized(rows)

    def sized(self, vectors: Tensor) -> Tensor:
        """At the length of item vectors."""
        return functional.normalize(vectors, dim=-1) if self.unit_length else vectors


class ItemContent(NamedTuple):
    """The content of a catalogue."""

    vectors: Tensor
    """float32 (n_items, width), as recsys.content.ContentLayout lays them out."""
    warm: Tensor
    """bool (n_items,): played in training, so that the row of the table has learned something."""


class ContentTower(IdTower):
    """An item is its row plus what an MLP makes of its content.

    In training the rows of a share ``id_dropout`` of the items are left out, so that the content alone learns to stand
    for an item; the row of a cold item never enters. So one network serves both: DropoutNet (Volkovs, Yu and Poutanen,
    NIPS 2017), with the dropout on one tower.
    """

    content: Tensor
    warm: Tensor

    def __init__(self, config: NetworkConfig, content: ItemContent | None = None) -> None:
        """Without ``content`` it only encodes content that it is given (export)."""
        super().__init__(config)
        layout, self.id_dropout = config.content_layout, config.id_dropout
        self.artists = nn.Embedding(layout.artist_rows, config.dim) if layout.artist_rows else None
        if self.artists is not None:
            # An artist that training never saw mostly meets a row that nobody moved, which then says nothing.
            nn.init.zeros_(self.artists.weight)
        self.encoder = nn.Sequential(
            nn.Linear(layout.width - (layout.artist_rows > 0), 4 * config.dim),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(4 * config.dim, config.dim),
        )
        if content is not None:
            self.register_buffer("content", content.vectors, persistent=False)
            self.register_buffer("warm", content.warm, persistent=False)

    def forward(self, rows: Tensor, ids: Tensor) -> Tensor:
        """rows (n, dim) of the table for the items ids int64 (n,) -> item vectors (n, dim)."""
        kept = self.warm[ids]
        if self.training and self.id_dropout:
            kept = kept & (torch.rand(ids.shape, device=ids.device) >= self.id_dropout)
        return self.sized(rows * kept[:, None] + self._described(self.content[ids]))

    def encode(self, content: Tensor) -> Tensor:
        """Content vectors (n, width) of any items -> item vectors (n, dim); what is exported."""
        return self.sized(self._described(content))

    def _described(self, content: Tensor) -> Tensor:
        if self.artists is not None:
            content, artists = content[:, 1:], self.artists(content[:, 0].long())
        described: Tensor = self.encoder(content)
        return described if self.artists is None else described + artists

"""The listener tower of the two-tower network: item vectors in, their weighted means out, through an MLP.

Covington, Adams and Sargin, "Deep Neural Networks for YouTube Recommendations", RecSys 2016, section 3.2, average what
was watched; here the weights are learned: what an item counts by itself (attention pooling) and by its place from the
end (recency), several means side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys.models.blocks.base import Layout
from recsys.models.config import NetworkConfig
from recsys.models.side import NOTHING, Side, SideEmbedding


class PooledHistory(nn.Module):
    """``forward`` runs on packed ragged positions (training); ``encode`` on a padded batch, last state only (export).

    Without learned recency the order would not count at all; trained on shuffled rows it learns none. ``side`` is what
    is told of the plays beside their vectors, packed or padded as these are.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.side = SideEmbedding(config)
        self.side_dropout = config.side_dropout
        self.importance = nn.Linear(config.dim, config.heads, bias=False)
        self.recency = nn.Parameter(torch.zeros(config.heads, config.max_length))
        pooled, last = config.heads * config.dim, nn.Linear(4 * config.dim, config.dim)
        # At first the state is the plain mean: what item vectors already know of each other is a good start.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mlp = nn.Sequential(
            nn.LayerNorm(pooled), nn.Linear(pooled, 4 * config.dim), nn.GELU(), nn.Dropout(config.dropout), last
        )
        self.dropout = nn.Dropout(config.dropout)

    @property
    def max_length(self) -> int:
        return self.recency.shape[1]

    def forward(self, vectors: Tensor, lengths: Tensor, side: Side = NOTHING) -> Tensor:
        """vectors (positions, dim), histories one after the other; lengths int64 (batch,): states (positions, dim).

        The state at a position is made of that position and those before it in the same history.
        """
        layout = Layout.of(lengths)
        if layout.length > self.max_length:
            raise ValueError(f"a history of {layout.length} is longer than max_length {self.max_length}")
        if self.training:
            side = side.forget(self.side_dropout, lengths)
        padded = layout.pad(self.dropout(self.side(vectors, side, layout.columns)))
        places = torch.arange(layout.length, device=vectors.device)
        lags = places[:, None] - places
        importance = self.importance(padded).transpose(1, 2).unsqueeze(2)
        # (batch, heads, length, length): what play j counts for the state at i. Padding stands to the right of all.
        logits = importance + self.recency[:, lags.clamp(min=0)]
        weights = logits.masked_fill(lags < 0, -torch.inf).softmax(-1)
        pooled = (weights @ padded.unsqueeze(1)).transpose(1, 2).flatten(2)
        return self._state(layout.pack(pooled))

    def encode(self, vectors: Tensor, lengths: Tensor, side: Side = NOTHING) -> Tensor:
        """vectors (batch, length, dim), histories from column 0; lengths int64 (batch,), each >= 1: (batch, dim)."""
        columns = torch.arange(vectors.shape[1], device=vectors.device)
        x = self.dropout(self.side(vectors, side, columns))
        lags = (lengths - 1).unsqueeze(1) - columns
        logits = self.importance(x).transpose(1, 2) + self.recency[:, lags.clamp(min=0)].transpose(0, 1)
        weights = logits.masked_fill((lags < 0).unsqueeze(1), -torch.inf).softmax(-1)
        return self._state((weights @ x).flatten(1))

    def _state(self, pooled: Tensor) -> Tensor:
        """(n, heads * dim) -> (n, dim): the plain mean of the means, and what the MLP adds."""
        mean = pooled.view(-1, self.importance.out_features, self.importance.in_features).mean(1)
        state: Tensor = mean + self.mlp(pooled)
        return state

"""The contract of a block, and the layout of the batch that it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn


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
    """A step of the history tower: a position is made of itself and of those before it in its history."""

    reads_gaps: ClassVar[bool] = False
    """Whether ``gaps`` changes anything; where not, none are made."""

    def forward(self, x: Tensor, layout: Layout | None = None, gaps: Tensor | None = None) -> Tensor:
        """(positions, dim) with a layout (training), else (batch, length, dim) (export): the same shape.

        gaps: int64 (batch, length, length), the bucket (recsys.models.side.gap_bucket) of the time from play j to play
        i; None where times are not told.
        """
        raise NotImplementedError


def lags(length: int, device: torch.device) -> Tensor:
    """int64 (length, length): i - j, negative where j is later.

    >>> lags(2, torch.device("cpu")).tolist()
    [[0, -1], [1, 0]]
    """
    places = torch.arange(length, device=device)
    return places.unsqueeze(1) - places

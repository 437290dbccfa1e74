"""The contract of a block, and the layout of the batch that it runs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the positions of a ragged batch stand in a padded one.

    Everything but attention runs on the packed positions, so padding costs nothing there.
    """

    cells: Tensor
    """int64 (positions,): row * length + place in the row of each packed position."""
    columns: Tensor
    """int64 (positions,): its place in its history, from 0."""
    batch: int
    """Rows of the padded form."""
    length: int
    """Of its rows: the longest history."""
    visible: Tensor | None = None
    """bool (batch, length, length): whether i sees j, where rows hold several histories. None where each holds one,
    from column 0: then the padding stands to the right, and no causal attention ever sees it."""

    @classmethod
    def of(cls, lengths: Tensor) -> Layout:
        """A row for each history, of the lengths (batch,)."""
        longest = int(lengths.max()) if len(lengths) else 0
        return cls._placed(lengths, torch.arange(len(lengths), device=lengths.device) * longest, len(lengths), longest)

    @classmethod
    def binned(cls, lengths: Tensor) -> Layout:
        """As few rows as come easily: beside each long history the shortest ones that still fit.

        >>> Layout.binned(torch.tensor([4, 1, 2, 3])).cells.tolist()
        [0, 1, 2, 3, 7, 8, 9, 4, 5, 6]
        """
        starts, rows = _bins(lengths.tolist())
        if rows == len(lengths):
            return cls.of(lengths)
        longest = int(lengths.max())
        layout = cls._placed(lengths, torch.tensor(starts, device=lengths.device), rows, longest)
        owner = torch.full((rows * longest,), -1, device=lengths.device)
        owner[layout.cells] = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        owner = owner.view(rows, longest)
        # Empty cells see each other: a row of attention that sees nothing is NaN, and so are its gradients.
        visible = (owner.unsqueeze(2) == owner.unsqueeze(1)).tril()
        return replace(layout, visible=visible)

    @classmethod
    def _placed(cls, lengths: Tensor, starts: Tensor, batch: int, length: int) -> Layout:
        """starts (batch,): the cell of each history's first position."""
        before = torch.cumsum(lengths, 0) - lengths
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        columns = torch.arange(len(rows), device=lengths.device) - before[rows]
        return cls(starts[rows] + columns, columns, batch, length)

    def pad(self, packed: Tensor) -> Tensor:
        """(positions, n) -> (batch, length, n), zeros where no position stands."""
        padded = packed.new_zeros(self.batch * self.length, packed.shape[-1]).index_copy(0, self.cells, packed)
        return padded.view(self.batch, self.length, -1)

    def pack(self, padded: Tensor) -> Tensor:
        """(batch, length, n) -> (positions, n)"""
        return padded.reshape(self.batch * self.length, -1).index_select(0, self.cells)


class Block(nn.Module, ABC):
    """A step of the history tower: a position is made of itself and of those before it in its history."""

    reads_gaps: ClassVar[bool] = False
    """Whether ``gaps`` changes anything; where not, none are made."""

    @abstractmethod
    def forward(self, x: Tensor, layout: Layout | None = None, gaps: Tensor | None = None) -> Tensor:
        """(positions, dim) with a layout (training), else (batch, length, dim) (export): the same shape.

        gaps: int64 (batch, length, length), the bucket (recsys.models.side.gap_bucket) of the time from play j to play
        i; None where times are not told.
        """


def _bins(lengths: list[int]) -> tuple[list[int], int]:
    """The cell at which each history starts in rows of the longest one's length, and how many rows there are."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    totals = [0, *accumulate(lengths[i] for i in order)]
    longest = lengths[order[-1]] if order else 0
    starts = [0] * len(lengths)
    short, long, rows = 0, len(order) - 1, 0
    while short <= long:
        taken = lengths[order[long]]
        starts[order[long]] = rows * longest
        fit = min(bisect_right(totals, totals[short] + longest - taken) - 1, long)
        for place in range(short, fit):
            starts[order[place]] = rows * longest + taken + totals[place] - totals[short]
        short, long, rows = fit, long - 1, rows + 1
    return starts, rows


def lags(length: int, device: torch.device) -> Tensor:
    """int64 (length, length): i - j, negative where j is later.

    >>> lags(2, torch.device("cpu")).tolist()
    [[0, -1], [1, 0]]
    """
    places = torch.arange(length, device=device)
    return places.unsqueeze(1) - places

"""The item tower: rows of the table in, item vectors out."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class IdTower(nn.Module):
    """An item is its row, at length 1: on a catalogue with a long tail, unbounded norms mostly learn popularity."""

    def forward(self, rows: Tensor, ids: Tensor) -> Tensor:
        """rows (n, dim) of the table for the items ids int64 (n,) -> item vectors (n, dim)."""
        return functional.normalize(rows, dim=-1)

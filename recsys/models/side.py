"""What may be told of a history's plays, beside which tracks they were: when, where, after how many skips.

All of it is known when the play itself is, so nothing of the target enters. A caller may tell nothing: then, and at
random in training, a play has the embeddings of "unknown".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recsys.models.config import NetworkConfig

GAP_BUCKETS = 64
"""0: unknown; from 1 on half octaves of seconds; the last holds all from 55 years on."""
CONTEXTS = 256
"""So many contexts have a row, the first of the manifest, which are the most played; the others count as unknown."""
SKIPS = 8
"""So many skips and more are one."""


@dataclass(frozen=True, slots=True)
class Side:
    """Columns of `Ragged.beside`: int64 (positions,) packed, or (batch, length) padded. -1 or None: unknown."""

    time: Tensor | None = None
    """When the play was, s since 1970 UTC."""
    context: Tensor | None = None
    """An index into the data set's contexts."""
    skips: Tensor | None = None
    """How many tracks were skipped since the play before."""

    @classmethod
    def of(cls, beside: Mapping[str, npt.NDArray[Any]]) -> Self:
        """From arrays by name; names that are no field are left alone."""
        known = {f.name for f in fields(cls)} & beside.keys()
        return cls(**{name: torch.from_numpy(beside[name].astype(np.int64)) for name in known})

    def to(self, device: torch.device) -> Self:
        return self.map(lambda column: column.to(device))

    def forget(self, share: float, lengths: Tensor) -> Self:
        """Packed: each column unknown in a random share of the histories, of which lengths int64 (batch,) tells."""

        def forget(column: Tensor) -> Tensor:
            forgotten = torch.rand(len(lengths), device=column.device) < share
            return column.masked_fill(forgotten.repeat_interleave(lengths), -1)

        return self.map(forget)

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """``change`` to each column that is told."""
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: change(column) for name, column in held.items() if column is not None})


NOTHING = Side()


class SideEmbedding(nn.Module):
    """A sum of embeddings, one a feature of the config; row 0 of each is "unknown"."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.tables = nn.ModuleDict({name: nn.Embedding(FEATURES[name][0] + 1, config.dim) for name in config.side})
        for table in self.tables.parameters():
            nn.init.normal_(table, std=0.02)

    def forward(self, x: Tensor, side: Side, columns: Tensor) -> Tensor:
        """x (..., dim) with what is told added to it. columns: int64, place in its history of each position, from 0.

        Packed (positions, dim), columns (positions,); padded (batch, length, dim), columns (length,).
        """
        for name, table in self.tables.items():
            codes = FEATURES[name][1](side, columns)
            x = x + table(torch.zeros_like(columns) if codes is None else codes)
        return x


def gap_bucket(earlier: Tensor, later: Tensor) -> Tensor:
    """int64, in half octaves of the seconds between two times; 0 where one is unknown. They broadcast.

    >>> gap_bucket(torch.tensor([-1, 5, 0, 0]), torch.tensor([9, 5, 240, 86_400])).tolist()
    [0, 2, 16, 33]
    """
    seconds = (later - earlier).clamp(min=0).float()
    # The half keeps whole seconds off the edges of the buckets, where two runtimes may round to different sides.
    bucket = 1 + (2 * torch.log2(seconds + 1.5)).long().clamp(max=GAP_BUCKETS - 2)
    return torch.where((earlier >= 0) & (later >= 0), bucket, 0)


def _hour(side: Side, columns: Tensor) -> Tensor | None:
    return None if side.time is None else _row(side.time, side.time // 3_600 % 24)


def _weekday(side: Side, columns: Tensor) -> Tensor | None:
    return None if side.time is None else _row(side.time, side.time // 86_400 % 7)


def _gap(side: Side, columns: Tensor) -> Tensor | None:
    """Since the play before; unknown for the first."""
    if side.time is None:
        return None
    before = torch.cat([side.time[..., :1], side.time[..., :-1]], dim=-1)
    return torch.where(columns > 0, gap_bucket(before, side.time), 0)


def _context(side: Side, columns: Tensor) -> Tensor | None:
    if side.context is None:
        return None
    return torch.where(side.context < CONTEXTS, _row(side.context, side.context), 0)


def _skips(side: Side, columns: Tensor) -> Tensor | None:
    return None if side.skips is None else _row(side.skips, side.skips.clamp(max=SKIPS))


def _row(told: Tensor, code: Tensor) -> Tensor:
    return torch.where(told >= 0, 1 + code, 0)


FEATURES: dict[str, tuple[int, Callable[[Side, Tensor], Tensor | None]]] = {
    "hour": (24, _hour),
    "weekday": (7, _weekday),
    "gap": (GAP_BUCKETS - 1, _gap),
    "context": (CONTEXTS, _context),
    "skips": (SKIPS + 1, _skips),
}
"""The features by their names in the config: how many rows beside "unknown", and the rows of a batch, None where its
column is not told."""

"""Ragged sequences -> batches: how an epoch is cut, shuffled and shared out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from recsys.errors import InputError
from recsys.ragged import Int64, Ragged
from recsys.sampling.base import generator
from training.loader.batch import Batch


@dataclass(frozen=True)
class BatchPlan:
    """How an epoch is cut into batches: a function of (seed, epoch) alone, so any world size sees the same ones.

    sequences: the training rows; those with fewer than two items teach nothing and are left out.
    """

    sequences: Ragged
    max_length: int
    """Inputs a row. A longer sequence is cut anew each epoch, at another place, so that no start is special."""
    batch_size: int
    """Rows of a global batch."""
    seed: int
    shuffle_order: float = 0.0
    """Share of rows whose items are shuffled: for playlists, whose order says less than their company."""

    def __post_init__(self) -> None:
        if not bool((self.sequences.lengths >= 2).any()):
            raise InputError("the training split is empty: no sequence has two items or more; see segue features")

    @property
    def positions(self) -> int:
        """Targets of an epoch."""
        return int(np.maximum(self.sequences.lengths - 1, 0).sum())

    def batches(self, epoch: int, *, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Rank ``rank`` takes every ``world``-th row of each global batch."""
        rng = generator(self.seed, epoch)
        rows = self._cut(rng)
        cuts = np.array_split(rng.permutation(len(rows)), self.count(len(rows)))
        for place, chosen in enumerate(cuts):
            if len(chosen) < world:
                raise InputError(f"train.batch_size: a batch of {len(chosen)} rows cannot feed {world} processes")
            mine = rows.take(chosen[rank::world])
            last = np.cumsum(mine.lengths) - 1
            first = last - mine.lengths + 1
            yield Batch(
                history=torch.from_numpy(np.delete(mine.values, last).astype(np.int64)),
                lengths=torch.from_numpy(mine.lengths - 1),
                targets=torch.from_numpy(np.delete(mine.values, first).astype(np.int64)),
                positions=int((rows.lengths[chosen] - 1).sum()),
                number=(epoch << 32) + place,
                progress=epoch + place / len(cuts),
            )

    def count(self, rows: int) -> int:
        """Batches for so many rows, all of nearly the same size."""
        return -(-rows // self.batch_size)

    def _cut(self, rng: np.random.Generator) -> Ragged:
        """Rows of at most max_length + 1 items that overlap by one: each step of a sequence is a target once."""
        whole = self.sequences.take(self.sequences.lengths >= 2)
        if self.shuffle_order:
            whole = _shuffled(whole, rng.random(len(whole)) < self.shuffle_order, rng)
        return _chunks(whole, self.max_length, rng)


def _shuffled(ragged: Ragged, rows: np.ndarray, rng: np.random.Generator) -> Ragged:
    keys = np.where(rows[ragged.rows], rng.random(len(ragged.values)), ragged.positions)
    return ragged.pick(np.lexsort((keys, ragged.rows)), ragged.lengths)


def _chunks(ragged: Ragged, size: int, rng: np.random.Generator) -> Ragged:
    steps = ragged.lengths - 1
    shift: Int64 = np.where(steps > size, rng.integers(0, size, size=len(ragged)), 0)
    pieces = -(-(steps + shift) // size)
    row = np.repeat(np.arange(len(ragged)), pieces)
    piece = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = np.maximum(piece * size - shift[row], 0)
    stop = np.minimum((piece + 1) * size - shift[row], steps[row]) + 1
    lengths = stop - start
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return ragged.pick(np.repeat(ragged.offsets[row] + start, lengths) + within, lengths)

"""Ragged sequences -> batches: how an epoch is cut, shuffled and shared out.

What an epoch is made of are three integers a row, drawn up at its start; the items themselves are gathered batch by
batch, so that sequences may lie in a memory map (training.loader.arrays) that is larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from recsys.errors import InputError
from recsys.models.side import Side
from recsys.ragged import Float64, Int64, Ragged
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
        if not self.positions:
            raise InputError("the training split is empty: no sequence has two items or more; see segue features")

    @property
    def positions(self) -> int:
        """Targets of an epoch."""
        return int(np.maximum(self.sequences.lengths - 1, 0).sum())

    def batches(self, epoch: int, *, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[Batch]:
        """The epoch's batches from place ``start`` on: what comes before is not made, and changes nothing.

        The rows of a batch come longest first, and rank ``rank`` takes every ``world``-th of them: so all ranks have
        nearly as much to do. Raises InputError where there are fewer rows than ranks.
        """
        rng = generator(self.seed, epoch)
        pieces = _Pieces.cut(self.sequences, self.max_length, rng)
        order = rng.permutation(len(pieces))
        bounds = _bounds(len(order), self.batch_size)
        for place in range(start, len(bounds) - 1):
            chosen = order[bounds[place] : bounds[place + 1]]
            if len(chosen) < world:
                raise InputError(f"train.batch_size: a batch of {len(chosen)} rows cannot feed {world} processes")
            steps = pieces.stop[chosen] - pieces.start[chosen] - 1
            rows = self._gathered(pieces.take(chosen[np.argsort(-steps, kind="stable")][rank::world]), epoch)
            every, lengths = np.arange(len(rows)), rows.lengths
            inputs, targets = rows.slices(every, 0, lengths - 1), rows.slices(every, 1, lengths)
            yield Batch(
                history=torch.from_numpy(inputs.values.astype(np.int64)),
                lengths=torch.from_numpy(lengths - 1),
                targets=torch.from_numpy(targets.values.astype(np.int64)),
                side=Side.of(inputs.beside),
                positions=int(steps.sum()),
                number=(epoch << 32) + place,
                progress=epoch + place / (len(bounds) - 1),
            )

    def _gathered(self, pieces: _Pieces, epoch: int) -> Ragged:
        if not self.shuffle_order:
            return self.sequences.slices(pieces.row, pieces.start, pieces.stop)
        # A sequence's order is drawn from its number alone, so that all its pieces agree on it, in whatever batch.
        whole = self.sequences.take(pieces.row)
        drawn = _uniform(self.seed, epoch, pieces.row, 0) < self.shuffle_order
        keys = _uniform(self.seed, epoch, pieces.row[whole.rows], 1 + whole.positions)
        order = np.lexsort((np.where(drawn[whole.rows], keys, whole.positions), whole.rows))
        return whole.pick(order, whole.lengths).slices(np.arange(len(whole)), pieces.start, pieces.stop)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Items ``start`` up to ``stop`` of sequence ``row``: int64 (pieces,) each."""

    row: Int64
    start: Int64
    stop: Int64

    @classmethod
    def cut(cls, sequences: Ragged, size: int, rng: np.random.Generator) -> Self:
        """Of at most size + 1 items, that overlap by one: each step of a sequence is a target once."""
        whole = np.flatnonzero(sequences.lengths >= 2)
        steps = sequences.lengths[whole] - 1
        shift: Int64 = np.where(steps > size, rng.integers(0, size, size=len(whole)), 0)
        pieces = -(-(steps + shift) // size)
        owner = np.repeat(np.arange(len(whole)), pieces)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        start = place * size - shift[owner]
        return cls(whole[owner], np.maximum(start, 0), np.minimum(start + size, steps[owner]) + 1)

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: Int64) -> Self:
        return type(self)(self.row[chosen], self.start[chosen], self.stop[chosen])


def _bounds(rows: int, most: int) -> Int64:
    """(batches + 1,) where batches of at most ``most`` rows begin and end, all of nearly the same size.

    >>> _bounds(10, 4).tolist()
    [0, 4, 7, 10]
    """
    batches = -(-rows // most)
    size, larger = divmod(rows, batches)
    place = np.arange(batches + 1)
    return place * size + np.minimum(place, larger)


def _uniform(seed: int, epoch: int, row: Int64, place: Int64 | int) -> Float64:
    """(n,) in [0, 1), by splitmix64: any of them without those before it."""
    base = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    z = base + (row.astype(np.uint64) << np.uint64(32)) + np.asarray(place).astype(np.uint64)
    z = z * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    uniform: Float64 = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return uniform

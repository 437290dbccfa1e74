"""Ragged arrays: many sequences of different length in two flat arrays, without padding and without Python lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sequence i is ``values[offsets[i]:offsets[i + 1]]``.

    values: int32 (total,); offsets: int64 (rows + 1,), from 0 to total, never falling; beside: what stands beside each
    value, by name, (total,) each, and goes along with it (the time of a play, its context).

    >>> r = Ragged.of([[3, 1], [], [2]])
    >>> len(r), r[0].tolist(), r.lengths.tolist()
    (3, [3, 1], [2, 0, 1])
    """

    values: Int32
    offsets: Int64
    beside: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.offsets.ndim != 1 or len(self.offsets) == 0 or self.offsets[0] != 0:
            raise ValueError("offsets must be one-dimensional and start at 0")
        if self.offsets[-1] != len(self.values) or bool((np.diff(self.offsets) < 0).any()):
            raise ValueError("offsets must never fall and end at len(values)")
        for name, column in self.beside.items():
            if len(column) != len(self.values):
                raise ValueError(f"{name} has {len(column)} entries beside {len(self.values)} values")

    @classmethod
    def of(cls, rows: Sequence[Iterable[int]]) -> Self:
        """From lists; for small input and tests."""
        arrays = [np.fromiter(row, dtype=np.int32) for row in rows]
        return cls.from_lengths(
            np.concatenate(arrays) if arrays else np.zeros(0, np.int32),
            np.array([len(a) for a in arrays], dtype=np.int64),
        )

    @classmethod
    def from_lengths(
        cls, values: npt.ArrayLike, lengths: npt.ArrayLike, beside: Mapping[str, npt.NDArray[Any]] | None = None
    ) -> Self:
        lengths64 = np.asarray(lengths, dtype=np.int64)
        offsets = np.zeros(len(lengths64) + 1, dtype=np.int64)
        np.cumsum(lengths64, out=offsets[1:])
        return cls(np.asarray(values, dtype=np.int32), offsets, beside or {})

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Int32:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Int64:
        """(rows,)"""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Int64:
        """The row of each value: (total,)"""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def positions(self) -> Int64:
        """The place of each value in its row, from 0: (total,)"""
        return np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)

    def take(self, rows: npt.ArrayLike) -> Self:
        """The rows asked for, in that order; a boolean mask works too.

        >>> Ragged.of([[3, 1], [], [2]]).take([2, 0]).values.tolist()
        [2, 3, 1]
        """
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        return self.slices(chosen, 0, self.offsets[chosen + 1] - self.offsets[chosen])

    def slices(self, rows: Int64, starts: Int64 | int, stops: Int64) -> Self:
        """The values from place ``starts`` up to ``stops`` of the rows asked for, each (len(rows),), in that order.

        Costs what is asked for, however much there is.

        >>> r = Ragged.of([[3, 1, 4], [1, 5]])
        >>> r.slices(np.array([1, 0, 0]), np.array([0, 1, 0]), np.array([2, 3, 0])).values.tolist()
        [1, 5, 1, 4]
        """
        lengths = stops - starts
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.pick(np.repeat(self.offsets[rows] + starts, lengths) + within, lengths)

    def where(self, keep: npt.ArrayLike) -> Self:
        """The values for which ``keep`` (total,) is true; every row stays, perhaps empty.

        >>> Ragged.of([[3, 1], [], [2]]).where([True, False, True]).lengths.tolist()
        [1, 0, 1]
        """
        mask = np.asarray(keep, dtype=np.bool_)
        return self.pick(mask, np.bincount(self.rows[mask], minlength=len(self)))

    def pick(self, chosen: npt.NDArray[Any], lengths: npt.ArrayLike) -> Self:
        """Rows of these lengths, of the values at the places ``chosen`` (or where it is true), in that order.

        >>> r = Ragged.from_lengths([7, 8, 9], [3], {"hour": np.array([0, 5, 9])})
        >>> r.pick(np.array([2, 0]), [1, 1]).beside["hour"].tolist()
        [9, 0]
        """
        beside = {name: column[chosen] for name, column in self.beside.items()}
        return type(self).from_lengths(self.values[chosen], lengths, beside)

    def last(self, n: int) -> Self:
        """The last n values of each row.

        >>> Ragged.of([[3, 1, 4], [], [2]]).last(2).values.tolist()
        [1, 4, 2]
        """
        return self.where(self.positions >= np.repeat(self.lengths - n, self.lengths))

    def first(self, n: int) -> Self:
        """The first n values of each row."""
        return self.where(self.positions < n)

    def padded(self, length: int, fill: int = -1) -> Int32:
        """(rows, length), each row's last ``length`` values set to the right, ``fill`` before them.

        >>> Ragged.of([[3, 1, 4], [], [2]]).padded(2).tolist()
        [[1, 4], [-1, -1], [-1, 2]]
        """
        tail = self.last(length)
        out = np.full((len(self), length), fill, dtype=np.int32)
        out[tail.rows, tail.positions + np.repeat(length - tail.lengths, tail.lengths)] = tail.values
        return out

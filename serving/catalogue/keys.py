"""Strings in flat arrays, and the rows of a table that bear a string: a dictionary that lies in a file.

A Python dictionary of a million ids takes some 150 MB in every process. These arrays are memory-mapped, so that all
processes share one copy, and take the strings themselves and 20 bytes a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from recsys.ragged import Bool, Int32, Int64

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]

_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_HALF = np.uint64(32)
_CHUNK = 1 << 16
"""Strings that are hashed at once: the numbers on the way take 16 bytes a character."""


@dataclass(frozen=True)
class Strings:
    """values: uint8 (total,), all strings one after the other; offsets: int64 (n + 1,).

    >>> Strings.of(pl.Series(["a", "", "bc"]))[2]
    b'bc'
    """

    values: Bytes
    offsets: Int64

    @classmethod
    def of(cls, strings: pl.Series) -> Self:
        """Of a series of strings or bytes, none of them null."""
        return cls.of_arrow(strings.rechunk().cast(pl.Binary).to_arrow().cast(pa.large_binary()))

    @classmethod
    def of_arrow(cls, array: pa.LargeBinaryArray | pa.LargeStringArray) -> Self:
        """The array's own memory, perhaps a mapped file's."""
        _, offsets, values = array.buffers()
        return cls(
            np.frombuffer(values or b"", np.uint8),
            np.frombuffer(offsets or bytes(8), np.int64)[array.offset : array.offset + len(array) + 1],
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> bytes:
        return bytes(self._view[self.offsets[row] : self.offsets[row + 1]])

    @cached_property
    def _view(self) -> memoryview:
        # Slices of a memoryview cost a third of those of an array.
        return memoryview(self.values)  # type: ignore[arg-type] # numpy has no __buffer__ before Python 3.12

    def hashes(self) -> Hashes:
        """(n,) the same on every machine: a polynomial in the bytes, mixed so that all bits depend on all bytes."""
        parts = [
            hashed(self.values[self.offsets[start] : self.offsets[stop]], np.diff(self.offsets[start : stop + 1]))
            for start in range(0, len(self), _CHUNK)
            for stop in [min(start + _CHUNK, len(self))]
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def save(self, folder: Path, name: str) -> None:
        np.save(folder / f"{name}.values.npy", self.values)
        np.save(folder / f"{name}.offsets.npy", self.offsets)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Memory-mapped."""
        return cls(mapped(folder / f"{name}.values.npy"), mapped(folder / f"{name}.offsets.npy"))


@dataclass(frozen=True)
class Keys:
    """Which rows bear a string; several may. A hash only leads to rows: they count where the string itself is equal.

    strings: of each row; hashes: uint64 (n,), rising; rows: int32 (n,), the row of each hash, rising where equal.

    >>> keys = Keys.of(pl.Series(["b", "a", "b"]))
    >>> keys.first([b"b", b"x"]).tolist(), keys.all(b"b")
    ([0, -1], [0, 2])
    """

    strings: Strings
    hashes: Hashes
    rows: Int32

    @classmethod
    def of(cls, strings: pl.Series) -> Self:
        return cls.over(Strings.of(strings))

    @classmethod
    def over(cls, strings: Strings) -> Self:
        hashes = strings.hashes()
        order = np.argsort(hashes, kind="stable")
        return cls(strings, hashes[order], order.astype(np.int32))

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, keys: Sequence[bytes]) -> Int32:
        """(len(keys),) the first row that bears each; -1: none does."""
        lengths = np.fromiter(map(len, keys), np.int64, len(keys))
        raw = np.frombuffer(b"".join(keys), np.uint8)
        asked = hashed(raw, lengths)
        places = np.minimum(np.searchsorted(self.hashes, asked), max(len(self.hashes) - 1, 0))
        found = np.full(len(keys), -1, np.int32)
        if not len(self.hashes):
            return found
        there = np.flatnonzero(self.hashes[places] == asked)
        found[there] = self.rows[places[there]]
        # Of several strings with one hash, or of another string with it, the slow way tells.
        for i in there[~self._are(found[there], raw, lengths, there)].tolist():
            found[i] = next(iter(self.every([keys[i]]).tolist()), -1)
        return found

    def _are(self, rows: Int32, raw: Bytes, lengths: Int64, asked: Int64) -> Bool:
        """(len(rows),) whether each row is the string ``asked`` (its number in ``raw``, where they stand one after the
        other)."""
        starts = self.strings.offsets[rows]
        same: Bool = self.strings.offsets[rows + 1] - starts == lengths[asked]
        sure = np.flatnonzero(same)
        sizes = lengths[asked[sure]]
        if not sizes.sum():
            return same
        within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        ours = self.strings.values[np.repeat(starts[sure], sizes) + within]
        theirs = raw[np.repeat((np.cumsum(lengths) - lengths)[asked[sure]], sizes) + within]
        wrong = np.repeat(sure, sizes)[ours != theirs]
        same[wrong] = False
        return same

    def all(self, key: bytes) -> list[int]:
        """The rows that bear it, rising."""
        found: list[int] = self.every([key]).tolist()
        return found

    def every(self, keys: Sequence[bytes]) -> Int32:
        """The rows that bear any of these, each key's rising."""
        places, ends = self._places(keys)
        there = np.flatnonzero(places < ends)
        spans = zip(there.tolist(), places[there].tolist(), ends[there].tolist(), strict=True)
        return np.array([row for i, place, end in spans for row in self._bearing(keys[i], place, end)], np.int32)

    def _places(self, keys: Sequence[bytes]) -> tuple[Int64, Int64]:
        """Where each key's hash starts and ends among ``hashes``."""
        lengths = np.fromiter(map(len, keys), np.int64, len(keys))
        asked = hashed(np.frombuffer(b"".join(keys), np.uint8), lengths)
        return np.searchsorted(self.hashes, asked, "left"), np.searchsorted(self.hashes, asked, "right")

    def _bearing(self, key: bytes, place: int, end: int) -> list[int]:
        return [row for row in self.rows[place:end].tolist() if self.strings[row] == key]

    def save(self, folder: Path, name: str, *, strings: bool = True) -> None:
        """strings: whether they are written too, or lie elsewhere and are given to `load`."""
        if strings:
            self.strings.save(folder, name)
        np.save(folder / f"{name}.hashes.npy", self.hashes)
        np.save(folder / f"{name}.rows.npy", self.rows)

    @classmethod
    def load(cls, folder: Path, name: str, strings: Strings | None = None) -> Self:
        """Memory-mapped."""
        hashes, rows = (mapped(folder / f"{name}.{part}.npy") for part in ("hashes", "rows"))
        return cls(Strings.load(folder, name) if strings is None else strings, hashes, rows)


def hashed(values: Bytes, lengths: Int64) -> Hashes:
    """(len(lengths),) the hashes of strings of these lengths that stand in ``values`` one after the other.

    >>> one, other = hashed(np.frombuffer(b"abba", np.uint8), np.array([2, 2]))
    >>> bool(one != other)
    True
    """
    ends = np.cumsum(lengths)
    places = np.arange(len(values)) - np.repeat(ends - lengths, lengths)
    powers = np.full(int(lengths.max(initial=0)) + 1, _BASE)
    powers[0] = 1
    # Sums and products are modulo 2^64, which is what a polynomial hash needs.
    terms = np.cumsum((values.astype(np.uint64) + np.uint64(1)) * np.multiply.accumulate(powers)[places])
    sums = np.concatenate([np.zeros(1, np.uint64), terms])
    raw: Hashes = (sums[ends] - sums[ends - lengths]) * _MIX
    raw ^= raw >> _HALF
    raw *= _BASE
    mixed: Hashes = raw ^ (raw >> _HALF)
    return mixed


def mapped(path: Path) -> Any:
    """The array of a .npy file, memory-mapped, never to be written to. An empty array cannot be mapped, and is read."""
    return np.asarray(np.load(path, mmap_mode="r"))

"""Which items may be found: one bit an item, as faiss wants them."""

from __future__ import annotations

from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from recsys.ragged import Bool, Int32, Int64

Bits = npt.NDArray[np.uint8]


class Allowed:
    """A set of items of a catalogue; never changed. A million items take an eighth of a megabyte.

    bits: uint8 (ceil(n_items / 8),), item i is bit i % 8 of byte i // 8, and the bits past the last item are 0.

    >>> some = Allowed.of(np.array([True, False, True, True]))
    >>> some.count, some.without(np.array([3, 1])).items.tolist()
    (3, [0, 2])
    """

    def __init__(self, bits: Bits, n_items: int) -> None:
        if len(bits) != (n_items + 7) // 8:
            raise ValueError(f"{n_items} items take {(n_items + 7) // 8} bytes, not {len(bits)}")
        self.bits = bits
        self.n_items = n_items

    @classmethod
    def all(cls, n_items: int) -> Self:
        bits = np.full((n_items + 7) // 8, 0xFF, np.uint8)
        return cls(_trimmed(bits, n_items), n_items)

    @classmethod
    def of(cls, mask: Bool) -> Self:
        """mask: (n_items,), true where the item is in the set."""
        return cls(np.packbits(mask, bitorder="little"), len(mask))

    @classmethod
    def only(cls, items: Int32 | Int64, n_items: int) -> Self:
        """These items, in any order, perhaps twice."""
        bits = np.zeros((n_items + 7) // 8, np.uint8)
        np.bitwise_or.at(bits, items >> 3, _bit(items))
        return cls(bits, n_items)

    @cached_property
    def count(self) -> int:
        """How many items are in the set."""
        return int(np.bitwise_count(self.bits).sum(dtype=np.int64))

    @cached_property
    def mask(self) -> Bool:
        """(n_items,), true where the item is in the set."""
        return np.unpackbits(self.bits, count=self.n_items, bitorder="little").view(np.bool_)

    @cached_property
    def items(self) -> Int32:
        """(count,), rising."""
        filled = np.flatnonzero(self.bits)  # bytes, of which there are few where few items are allowed
        places = np.flatnonzero(np.unpackbits(self.bits[filled], bitorder="little"))
        found: Int32 = (filled[places >> 3] * 8 + (places & 7)).astype(np.int32)
        return found

    def holds(self, items: Int32 | Int64) -> Bool:
        """(len(items),), true where the item is in the set."""
        held: Bool = (self.bits[items >> 3] & _bit(items)).astype(np.bool_)
        return held

    def without(self, items: Int32 | Int64) -> Allowed:
        """All but these; costs a copy of the bits."""
        if not len(items):
            return self
        bits = self.bits.copy()
        np.bitwise_and.at(bits, items >> 3, ~_bit(items))
        return Allowed(bits, self.n_items)

    def __and__(self, other: Allowed) -> Allowed:
        """What is in both; of one catalogue."""
        if self.n_items != other.n_items:
            raise ValueError(f"sets of {self.n_items} and {other.n_items} items")
        return Allowed(self.bits & other.bits, self.n_items)

    def extended(self, n_items: int) -> Allowed:
        """The same in a catalogue that has grown to ``n_items``: what came later is not in the set."""
        return Allowed(np.pad(self.bits, (0, (n_items + 7) // 8 - len(self.bits))), n_items)

    def first(self, n_items: int) -> Allowed:
        """What is in it of the first ``n_items``."""
        return Allowed(_trimmed(self.bits[: (n_items + 7) // 8].copy(), n_items), n_items)


def _bit(items: Int32 | Int64) -> Bits:
    bit: Bits = np.left_shift(1, items & 7).astype(np.uint8)
    return bit


def _trimmed(bits: Bits, n_items: int) -> Bits:
    """In place: the bits past the last item become 0."""
    if n_items % 8:
        bits[-1] &= (1 << n_items % 8) - 1
    return bits

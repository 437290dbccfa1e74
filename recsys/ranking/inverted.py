"""Which items stand under each number: the songs, artists and tags of a catalogue read backwards."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from recsys.ragged import Int32, Int64, Ragged
from recsys.rising import among, merged

_NONE: Int32 = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Inverted:
    """An immutable base, perhaps memory-mapped, and the few items that came or changed since.

    base: row g holds the items under g; changed: rising, the items of which the base tells nothing any more;
    groups and items: (pairs,) each, where the changed items stand instead, by rising group.

    >>> by_artist = Inverted.of(np.array([0, 1, 0]))
    >>> by_artist.under(np.array([0])).tolist()
    [0, 2]
    >>> by_artist.with_changed(np.array([2, 3]), np.array([1, 0]), np.array([2, 3])).under(np.array([0])).tolist()
    [0, 3]
    """

    base: Ragged
    changed: Int32 = field(default_factory=lambda: _NONE)
    groups: Int32 = field(default_factory=lambda: _NONE)
    items: Int32 = field(default_factory=lambda: _NONE)

    @classmethod
    def of(cls, groups: Int32, items: Int32 | None = None) -> Inverted:
        """groups: (n,), where each item stands, below 0 for nowhere; items: (n,), rising, from 0 on where None."""
        order = np.argsort(groups, kind="stable")[np.count_nonzero(groups < 0) :]
        lengths: Int64 = np.bincount(groups[order], minlength=0)
        return cls(Ragged.from_lengths(order if items is None else items[order], lengths))

    def under(self, groups: Int32 | Int64) -> Int32:
        """The items under any of these numbers, as often as they stand there; numbers below 0 hold nothing."""
        asked: Int64 = np.unique(groups).astype(np.int64)
        held = asked[(asked >= 0) & (asked < len(self.base))]
        found: Int32 = self.base.take(held).values
        if not len(self.changed):
            return found
        still = found[~among(found, self.changed)]
        starts, stops = np.searchsorted(self.groups, asked), np.searchsorted(self.groups, asked, side="right")
        pairs = Ragged(self.items, np.array([0, len(self.items)])).slices(np.zeros(len(asked), np.int64), starts, stops)
        return np.concatenate([still, pairs.values])

    def rows(self, groups: Int32 | Int64) -> Ragged:
        """The items under each of these numbers, a row each; a number below 0 holds nothing.

        >>> [row.tolist() for row in Inverted.of(np.array([0, 1, 0])).rows(np.array([1, -1, 0]))]
        [[1], [], [0, 2]]
        """
        held = (groups >= 0) & (groups < len(self.base))
        found = self.base.take(groups[held])
        owners = np.flatnonzero(held)[found.rows]
        still = ~among(found.values, self.changed)
        starts, stops = np.searchsorted(self.groups, groups), np.searchsorted(self.groups, groups, side="right")
        pairs = Ragged(self.items, np.array([0, len(self.items)])).slices(
            np.zeros(len(groups), np.int64), starts, stops
        )
        rows = np.concatenate([owners[still], pairs.rows])
        order = np.argsort(rows, kind="stable")
        values = np.concatenate([found.values[still], pairs.values])[order]
        return Ragged.from_lengths(values, np.bincount(rows, minlength=len(groups)))

    def with_changed(self, changed: Int32, groups: Int32, items: Int32) -> Inverted:
        """``changed`` items stand under what the pairs say and nowhere else. changed: (m,); groups, items: (pairs,)."""
        keep = ~among(self.items, np.sort(changed))
        all_groups = np.concatenate([self.groups[keep], groups[groups >= 0]])
        all_items = np.concatenate([self.items[keep], items[groups >= 0]])
        order = np.argsort(all_groups, kind="stable")
        return Inverted(self.base, merged(self.changed, np.unique(changed)), all_groups[order], all_items[order])

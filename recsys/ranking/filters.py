"""Filters: which tracks may be in an answer. They act before retrieval, so that they never starve it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from recsys.ragged import Bool, Int32
from recsys.ranking.columns import UNKNOWN_DAY, ItemColumns
from recsys.ranking.words import UNKNOWN

__all__ = [
    "UNKNOWN", "UNKNOWN_DAY", "AnyTag", "CleanOnly", "Denial", "ExcludeArtists", "ExcludeSongs", "ExcludeTracks",
    "Filter", "ItemColumns", "Licences", "Listing", "Market", "NoExplicit", "NoTag", "OnlyArtists", "OnlyTracks",
    "Released", "permitted",
]  # fmt: skip


class Filter(Protocol):
    """One reason why tracks may not be in an answer. Hashable where many requests ask for the same."""

    def permits(self, columns: ItemColumns) -> Bool:
        """(n,) true where the track may be in the answer."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ExcludeTracks:
    """Never these items."""

    items: Int32

    def denied(self, columns: ItemColumns) -> Int32:
        """The items left out, in any order, perhaps twice: cheaper than a mask."""
        return self.items

    def permits(self, columns: ItemColumns) -> Bool:
        return ~_at(self.items, columns)


@dataclass(frozen=True, slots=True)
class ExcludeSongs:
    """No version of these items."""

    items: Int32

    def denied(self, columns: ItemColumns) -> Int32:
        return columns.versions(self.items)

    def permits(self, columns: ItemColumns) -> Bool:
        return ~_at(self.denied(columns), columns)


@dataclass(frozen=True, slots=True)
class ExcludeArtists:
    """Nothing by these artists."""

    artists: Int32

    def denied(self, columns: ItemColumns) -> Int32:
        return columns.by["artists"].under(self.artists)

    def permits(self, columns: ItemColumns) -> Bool:
        return ~_at(self.denied(columns), columns)


@dataclass(frozen=True, slots=True)
class OnlyTracks:
    """No other items."""

    items: Int32

    def listed(self, columns: ItemColumns) -> Int32:
        """The only items left, in any order, perhaps twice: cheaper than a mask."""
        return self.items

    def permits(self, columns: ItemColumns) -> Bool:
        return _at(self.items, columns)


@dataclass(frozen=True, slots=True)
class OnlyArtists:
    """Nothing by others."""

    artists: Int32

    def listed(self, columns: ItemColumns) -> Int32:
        return columns.by["artists"].under(self.artists)

    def permits(self, columns: ItemColumns) -> Bool:
        return _at(self.listed(columns), columns)


@dataclass(frozen=True, slots=True)
class NoExplicit:
    """Nothing that is known to be explicit."""

    def permits(self, columns: ItemColumns) -> Bool:
        return np.not_equal(columns.explicit, 1)


@dataclass(frozen=True, slots=True)
class CleanOnly:
    """Only what is known not to be explicit."""

    def permits(self, columns: ItemColumns) -> Bool:
        return np.equal(columns.explicit, 0)


@dataclass(frozen=True, slots=True)
class Market:
    """Only what is licensed in this country (ISO 3166-1 alpha-2), or everywhere."""

    country: str

    def permits(self, columns: ItemColumns) -> Bool:
        # The last entry is where UNKNOWN points.
        open_there = [*(self.country in word.split() for word in columns.words["markets"]), True]
        return np.array(open_there, dtype=np.bool_)[columns.markets]


@dataclass(frozen=True, slots=True)
class Licences:
    """Only what is under one of these licences."""

    names: frozenset[str]

    def permits(self, columns: ItemColumns) -> Bool:
        named = [*(word in self.names for word in columns.words["licences"]), False]
        return np.array(named, dtype=np.bool_)[columns.licences]


@dataclass(frozen=True, slots=True)
class Released:
    """Only what was released on these days, both included, in days since 1970-01-01; None: no bound."""

    first: int | None = None
    last: int | None = None

    def permits(self, columns: ItemColumns) -> Bool:
        dated: Bool = np.not_equal(columns.released, UNKNOWN_DAY)
        if self.first is not None:
            dated &= columns.released >= self.first
        if self.last is not None:
            dated &= columns.released <= self.last
        return dated


@dataclass(frozen=True, slots=True)
class AnyTag:
    """Only what bears at least one of these tags."""

    names: frozenset[str]

    def permits(self, columns: ItemColumns) -> Bool:
        return _at(columns.by["tags"].under(columns.words["tags"].numbers(self.names)), columns)


@dataclass(frozen=True, slots=True)
class NoTag:
    """Nothing that bears one of these tags."""

    names: frozenset[str]

    def permits(self, columns: ItemColumns) -> Bool:
        return ~AnyTag(self.names).permits(columns)


Denial: TypeAlias = ExcludeTracks | ExcludeSongs | ExcludeArtists
"""A filter of one request that names what it leaves out."""
Listing: TypeAlias = OnlyTracks | OnlyArtists
"""A filter of one request that names all that it leaves."""


def permitted(filters: Iterable[Filter], columns: ItemColumns) -> Bool:
    """(n,) true where every filter permits the track.

    >>> columns = ItemColumns(np.array([0, 0, 1], np.int32), np.array([1, UNKNOWN, 0], np.int8), np.arange(3))
    >>> permitted([NoExplicit(), ExcludeArtists(np.array([1], np.int32))], columns).tolist()
    [False, True, False]
    """
    allowed = np.ones(len(columns), dtype=np.bool_)
    for each in filters:
        allowed &= each.permits(columns)
    return allowed


def _at(items: Int32, columns: ItemColumns) -> Bool:
    """(n,) true at these items."""
    mask = np.zeros(len(columns), dtype=np.bool_)
    mask[items] = True
    return mask

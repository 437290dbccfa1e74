"""Filters: which tracks may be in an answer. They act before retrieval, so that they never starve it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recsys.ragged import Bool, Int32

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """What filters and slate policies look at, one entry an item of the catalogue.

    artists: int32 (n,), dense artist number; explicit: int8 (n,), 1 explicit, 0 not, -1 unknown;
    songs: int32 (n,), dense number of artist and title: equal for the versions of one song.
    """

    artists: Int32
    explicit: npt.NDArray[np.int8]
    songs: Int32

    def __len__(self) -> int:
        return len(self.artists)


class Filter(Protocol):
    """One reason why tracks may not be in an answer."""

    def permits(self, columns: ItemColumns) -> Bool:
        """(n,) true where the track may be in the answer."""
        ...


@dataclass(frozen=True, slots=True)
class ExcludeTracks:
    """Never these items."""

    items: Int32

    def permits(self, columns: ItemColumns) -> Bool:
        allowed = np.ones(len(columns), dtype=np.bool_)
        allowed[self.items] = False
        return allowed


@dataclass(frozen=True, slots=True)
class ExcludeSongs:
    """No version of these items."""

    items: Int32

    def permits(self, columns: ItemColumns) -> Bool:
        return ~np.isin(columns.songs, columns.songs[self.items])


@dataclass(frozen=True, slots=True)
class ExcludeArtists:
    """Nothing by these artists."""

    artists: Int32

    def permits(self, columns: ItemColumns) -> Bool:
        return ~np.isin(columns.artists, self.artists)


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

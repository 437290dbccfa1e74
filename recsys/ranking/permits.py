"""The filters of a request as a set of items that requests with the same filters share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from operator import and_

import numpy as np

from recsys.ragged import Int32
from recsys.ranking.filters import Denial, Filter, ItemColumns, Listing
from recsys.retrieval.allowed import Allowed

CACHED_SETS = 128
"""At a million items 16 MB; 144 MB if the mask of each is asked for."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What a request may be answered with: all in ``shared`` but ``denied``.

    shared: one object for all requests with equal filters, so that an index can search for them together;
    denied: int32, the request's own; in any order, perhaps twice.
    """

    shared: Allowed
    denied: Int32

    @property
    def allowed(self) -> Allowed:
        return self.shared.without(self.denied)


class PermitCache:
    """Permits over one state of a catalogue; it keeps the sets of the ``size`` combinations asked for last.

    Filters that are hashable are remembered, alone and together; denials and lists of tracks or artists are the
    request's own. Safe to use from several threads.
    """

    def __init__(self, columns: ItemColumns, removed: Int32 | None = None, size: int = CACHED_SETS) -> None:
        """removed: items that no request may be answered with."""
        self._columns = columns
        self._all = Allowed.all(len(columns)).without(np.zeros(0, np.int32) if removed is None else removed)
        # Not methods: a cycle through the cache would keep a state that was replaced from being freed at once.
        self._of_one = lru_cache(size)(partial(_one, columns))
        self._of_many = lru_cache(size)(partial(_many, self._all, self._of_one))

    def allowed(self, filters: Iterable[Filter]) -> Allowed:
        """What every filter permits."""
        return self.permit(filters).allowed

    def permit(self, filters: Iterable[Filter]) -> Permit:
        """The same, with what the request shares with others apart from what is its own."""
        remembered: list[Filter] = []
        denied: list[Int32] = []
        shared: list[Allowed] = []
        for each in filters:
            if isinstance(each, Denial):
                denied.append(each.denied(self._columns))
            elif isinstance(each, Listing):
                shared.append(Allowed.only(each.listed(self._columns), len(self._columns)))
            else:
                remembered.append(each)
        common = self._of_many(frozenset(remembered))
        return Permit(reduce(and_, shared, common), np.concatenate([np.zeros(0, np.int32), *denied]))


def _one(columns: ItemColumns, each: Filter) -> Allowed:
    return Allowed.of(each.permits(columns))


def _many(every: Allowed, of_one: Callable[[Filter], Allowed], several: frozenset[Filter]) -> Allowed:
    return reduce(and_, (of_one(each) for each in several), every)

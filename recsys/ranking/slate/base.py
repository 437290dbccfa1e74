"""What slate policies pass on to one another: candidates in an order, and what is known about the request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, Self

import numpy as np

from recsys.ragged import Bool, Float32, Float64, Int32, Int64
from recsys.ranking.filters import ItemColumns

RANK_SMOOTHING = 60


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items that may be shown, best first, each at most once.

    items: int32 (n,); scores: float32 (n,); sources: int32 (n,), the number of the source that gave each; ranks:
    int32 (n,), the place that its own source gave it, from 0. Scores of two sources do not compare: what counts for
    policies is the order.
    """

    items: Int32
    scores: Float32
    sources: Int32
    ranks: Int32 = field(default_factory=lambda: np.zeros(0, np.int32))
    """Absent: the order given."""

    def __post_init__(self) -> None:
        if len(self.ranks) != len(self.items):
            object.__setattr__(self, "ranks", np.arange(len(self.items), dtype=np.int32))

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: Int64) -> Self:
        return type(self)(self.items.take(rows), self.scores.take(rows), self.sources.take(rows), self.ranks.take(rows))

    def one_an_item(self) -> Self:
        """Of the same item by several sources only the first."""
        _, first = np.unique(self.items, return_index=True)
        return self if len(first) == len(self) else self.take(np.sort(first))

    def one_a_song(self, columns: ItemColumns) -> Self:
        """Of the versions of a song only the first."""
        _, first = np.unique(columns.songs[self.items], return_index=True)
        return self if len(first) == len(self) else self.take(np.sort(first))

    @classmethod
    def none(cls) -> Self:
        return cls(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after the other; at least one part."""
        return cls(
            np.concatenate([p.items for p in parts]),
            np.concatenate([p.scores for p in parts]),
            np.concatenate([p.sources for p in parts]),
            np.concatenate([p.ranks for p in parts]),
        )


@dataclass(frozen=True, slots=True)
class SlateContext:
    """What policies may look at besides the candidates."""

    columns: ItemColumns
    places: int
    """How many of the candidates will be shown."""
    today: int = 0
    """Days since 1970, UTC."""
    seen: Int32 = field(default_factory=lambda: np.zeros(0, np.int32))
    """(m,) items that the listener played lately, in any order; an item may stand here more than once."""
    seen_days: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))
    """(m,) days since each of those plays."""
    vectors: Callable[[Int32], Float32] | None = None
    """Items (n,) -> their vectors (n, dim), of any length; None: no source knows items as vectors."""
    source_names: Sequence[str] = ()
    """What ``Candidates.sources`` counts into."""


class SlatePolicy(Protocol):
    """One rule about the order of a slate."""

    def arrange(self, candidates: Candidates, context: SlateContext) -> Candidates:
        """The same candidates, none lost and none twice, in an order whose first ``context.places`` obey the rule as
        far as they allow. Only `FoldVersions` leaves candidates out."""
        ...


class HardRule(SlatePolicy, Protocol):
    """A policy that says of each track whether it may stand in an open slot of a slate: exploration obeys it."""

    def keeps(self, slate: Candidates, filled: Bool, slot: int, pool: Candidates, context: SlateContext) -> Bool:
        """(len(pool),) true where the rule still holds once that candidate stands in ``slot``.

        slate: one candidate a place, of which those count where ``filled`` (places,) is true.
        """
        ...


def arranged(
    candidates: Candidates,
    policies: Iterable[SlatePolicy],
    context: SlateContext,
    moved: MutableMapping[str, int] | None = None,
) -> Candidates:
    """The candidates after all policies, in their order. All of them: the first ``context.places`` are the slate, and
    exploration draws from those behind.

    ``moved`` is told how many places of the slate each policy gave to another track, by the policy's name.
    """
    for policy in policies:
        before, candidates = candidates, policy.arrange(candidates, context)
        if moved is not None and candidates is not before:
            shown = min(context.places, len(candidates))
            moved[type(policy).__name__] = int(np.count_nonzero(before.items[:shown] != candidates.items[:shown]))
    return candidates


@lru_cache(maxsize=256)
def utility(n: int) -> Float64:
    """(n,) what each place of the incoming order is worth, 1 at the top: 60 / (60 + place). Not to be written to.

    Scores of different sources do not compare, so policies that weigh candidates against each other weigh their
    places: the reciprocal rank of Cormack, Clarke and Buettcher (SIGIR 2009), with their constant.

    >>> utility(61)[[0, 60]].tolist()
    [1.0, 0.5]
    """
    worth: Float64 = RANK_SMOOTHING / (RANK_SMOOTHING + np.arange(n))
    worth.flags.writeable = False
    return worth

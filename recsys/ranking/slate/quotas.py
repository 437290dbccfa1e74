"""How much of a slate one source may fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recsys.ragged import Bool
from recsys.ranking.slate.base import Candidates, SlateContext


@dataclass(frozen=True, slots=True)
class SourceQuotas:
    """At most ``shares[source]`` of the places (rounded down) to a source, as far as the others fill the rest.

    What is over the quota goes behind everything else, in its order.
    """

    shares: Mapping[str, float]

    def arrange(self, candidates: Candidates, context: SlateContext) -> Candidates:
        over = np.zeros(len(candidates), dtype=np.bool_)
        for number, most in self._caps(context):
            over[np.flatnonzero(candidates.sources == number)[most:]] = True
        return candidates.take(np.argsort(over, kind="stable")) if over.any() else candidates

    def keeps(self, slate: Candidates, filled: Bool, slot: int, pool: Candidates, context: SlateContext) -> Bool:
        allowed = np.ones(len(pool), dtype=np.bool_)
        for number, most in self._caps(context):
            if np.count_nonzero(filled & (slate.sources == number)) >= most:
                allowed &= pool.sources != number
        return allowed

    def _caps(self, context: SlateContext) -> list[tuple[int, int]]:
        """Number of each source with a quota, and its number of places."""
        # The small sum is for shares that floats cannot hold: .29 of 100 places are 29.
        names = enumerate(context.source_names)
        return [(n, int(self.shares[name] * context.places + 1e-9)) for n, name in names if name in self.shares]

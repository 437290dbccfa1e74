"""When a track was heard, and when it came out: both move it up or down, and both fade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.ragged import Float64, Int32
from recsys.ranking.slate.base import Candidates, SlateContext, utility


@dataclass(frozen=True, slots=True)
class Timing:
    """Orders by utility x (1 - seen penalty) x (1 + fresh bonus), the utility being that of the incoming place.

    seen_penalty: 0 to 1, the share of its utility that a song loses that was heard this moment; half of it is forgiven
    after ``seen_half_life`` days. Any version of the song counts, and its latest play alone.
    freshness: at least 0, the share that a track gains on the day of its release; half of it is gone after
    ``fresh_half_life`` days. A track without a release day gains nothing.
    """

    seen_penalty: float = 0.0
    seen_half_life: float = 7.0
    freshness: float = 0.0
    fresh_half_life: float = 90.0

    def arrange(self, candidates: Candidates, context: SlateContext) -> Candidates:
        worth = utility(len(candidates))
        if self.seen_penalty and len(context.seen):
            faded = np.exp2(_days_since(candidates.items, context) / -self.seen_half_life)
            worth = worth * (1 - self.seen_penalty * faded)
        if self.freshness:
            # An unknown day is so long ago that nothing is left of its bonus; as float, since int32 would overflow.
            age = np.subtract(context.columns.released[candidates.items], context.today, dtype=np.float64)
            np.minimum(age, 0, out=age)
            worth = worth * (1 + self.freshness * np.exp2(age / self.fresh_half_life))
        return candidates.take((-worth).argsort(kind="stable"))


def _days_since(items: Int32, context: SlateContext) -> Float64:
    """(n,) days since the song of each item was last heard; infinite where it was not."""
    songs = context.columns.songs[context.seen]
    order = np.lexsort((context.seen_days, songs))
    heard, days = songs[order], context.seen_days[order]
    asked = context.columns.songs[items]
    place = heard.searchsorted(asked)
    place[place == len(heard)] = 0
    # A play that the listener's clock puts into the future was now.
    return np.where(heard[place] == asked, np.maximum(days[place], 0), np.inf)

"""When a track was heard, and when it came out: both move it up or down, and both fade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.ragged import Float32, Float64, Int32
from recsys.ranking.filters import UNKNOWN_DAY
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
            days = _days_since(candidates.items, context)
            worth *= 1 - self.seen_penalty * np.exp2(-days / self.seen_half_life)
        if self.freshness:
            released = context.columns.released[candidates.items]
            # Subtracting from the sentinel would leave int32.
            age = np.maximum(context.today - released.astype(np.float64), 0)
            bonus = np.exp2(-age / self.fresh_half_life)
            worth *= 1 + self.freshness * np.where(released == UNKNOWN_DAY, 0, bonus)
        return candidates.take(np.argsort(-worth, kind="stable"))


def _days_since(items: Int32, context: SlateContext) -> Float64:
    """(n,) days since the song of each item was last heard; infinite where it was not."""
    songs = context.columns.songs[context.seen]
    order = np.lexsort((context.seen_days, songs))
    heard, latest = songs[order], _not_ahead(context.seen_days[order])
    asked = context.columns.songs[items]
    place = np.minimum(np.searchsorted(heard, asked), len(heard) - 1)
    return np.where(heard[place] == asked, latest[place], np.inf)


def _not_ahead(days: Float32) -> Float64:
    """A play that the listener's clock puts into the future was now."""
    return np.maximum(days.astype(np.float64), 0)

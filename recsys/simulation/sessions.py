"""How much each listener hears, in which sessions, and when these begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.errors import InputError
from recsys.ragged import Float64, Int64
from recsys.simulation.contexts import Context, local_hours
from recsys.simulation.laws import RETURN, SESSION_LENGTH
from recsys.simulation.listeners import Listeners

MAX_PLAYS_A_DAY = 200
"""More than this nobody hears on the average day: some ten hours of music."""
MIN_GAP_S = 35 * 60
"""Between two sessions of a listener; anything shorter would be one session."""
_HOUR_S, _DAY_S = 3_600, 86_400
_PLAY_S = 180
"""What a play is planned to take, skips included."""
_EVENING_S = 4 * _HOUR_S
"""The last sessions are planned to end so long before the last day does."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions of a stretch of listeners, by (listener, time); one array each, (sessions,).

    listener: index of the listener, never falling; length: plays and skips, 1 or more; begin_s: seconds since the start
    of the first day (UTC) at which it is planned to begin; context: the same moment, with device and activity.
    """

    listener: Int64
    length: Int64
    begin_s: Float64
    context: Context

    @classmethod
    def draw(cls, rng: np.random.Generator, listeners: Listeners, first: int, plays: Int64) -> Self:
        """Sessions of the listeners ``first``, ``first + 1``, ... who hear plays[0], plays[1], ... tracks each."""
        length, of = _cut(rng, plays)
        listener = first + of
        begin_s = _planned(rng, listeners, listener, length, len(plays), first)
        offset_s = listeners.utc_offset[listener].astype(np.float64) * _HOUR_S
        day, moment = np.divmod(begin_s + offset_s, _DAY_S)
        hour = local_hours(listeners.rhythm[listener], moment / _DAY_S)
        # Early on the first day it is still the day before in the west of the world.
        begin_s = np.maximum(day * _DAY_S + hour * _HOUR_S - offset_s, 0.0)
        day = np.minimum(begin_s // _DAY_S, listeners.days - 1).astype(np.int32)
        hours = np.minimum(hour, 23).astype(np.int8)
        return cls(listener, length, begin_s, Context.at(rng, listeners.first_weekday, day, hours))

    def __len__(self) -> int:
        return len(self.listener)

    def begun(self, duration_s: Float64) -> Float64:
        """(sessions,) when each begins indeed, in seconds: as planned, or `MIN_GAP_S` after the one before has ended.

        The begin of a session is the latest of what it and all those before it ask for: a running maximum of
        begin - (time taken by the sessions before).
        """
        taken = np.cumsum(duration_s + MIN_GAP_S) - (duration_s + MIN_GAP_S)
        # Each listener starts afresh: far above all that the listener before can have asked for.
        afresh = self.listener * (2 * float(taken[-1] + self.begin_s.max()) if len(self) else 0.0)
        return np.maximum.accumulate(self.begin_s - taken + afresh) + taken - afresh


def plays_of(listeners: Listeners, events: int) -> Int64:
    """(listeners,) plays and skips of each listener, in proportion to their activity; they sum to ``events``.

    Raises InputError where so many listeners cannot hear so much in so many days.
    """
    most = np.maximum((listeners.days - listeners.arrival) * MAX_PLAYS_A_DAY, 1).astype(np.float64)
    if events > most.sum():
        raise InputError(
            f"simulation.events: {len(listeners):,} listeners hear {int(most.sum()):,} tracks in {listeners.days} days "
            f"at most, not {events:,}; ask for more listeners or days"
        )
    wanted = listeners.activity * events
    while (wanted > most).any():
        # What is too much for some is shared out among the others.
        full = wanted >= most
        wanted = np.where(full, most, wanted * ((events - most[full].sum()) / wanted[~full].sum()))
    plays = np.floor(wanted).astype(np.int64)
    plays[np.argsort(plays - wanted, kind="stable")[: events - plays.sum()]] += 1
    return plays


def blocks(plays: Int64, events_a_block: int) -> list[tuple[int, int]]:
    """Stretches (first, last + 1) of listeners of about ``events_a_block`` each, in order.

    >>> blocks(np.array([3, 4, 1, 9, 2]), 6)
    [(0, 2), (2, 4), (4, 5)]
    """
    # A listener counts one more, so that many who hear nothing do not end up in one block.
    reach = np.cumsum(plays + 1)
    count = max(round(float(plays.sum()) / events_a_block), 1)
    ends = np.unique(np.searchsorted(reach, reach[-1] * np.arange(1, count + 1) / count) + 1).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _cut(rng: np.random.Generator, plays: Int64) -> tuple[Int64, Int64]:
    """Lengths of sessions, and whose they are, as places in ``plays``.

    Sessions are laid end to end over all plays of all listeners, and cut where one listener ends and the next begins.
    """
    total = int(plays.sum())
    ends = np.zeros(0, dtype=np.int64)
    while not len(ends) or ends[-1] < total:
        more = SESSION_LENGTH.sample(rng, max(total // 8, 16))
        ends = np.concatenate([ends, (ends[-1] if len(ends) else 0) + np.cumsum(more)])
    of_listeners = np.cumsum(plays)
    ends = np.unique(np.concatenate([ends[ends < total], of_listeners[plays > 0]]))
    return np.diff(ends, prepend=0), np.searchsorted(of_listeners, ends)


def _planned(
    rng: np.random.Generator, listeners: Listeners, listener: Int64, length: Int64, n: int, first: int
) -> Float64:
    """(sessions,) seconds since the start of the first day, evenly over the hours of a day.

    A listener comes back by the law of returns; one who hears so much that the days do not suffice comes back sooner,
    by one factor for all returns; one who hears less comes for some stretch of the days.
    """
    busy = (length * _PLAY_S + MIN_GAP_S).astype(np.float64)
    away = RETURN.sample(rng, len(length)) * _HOUR_S
    of = listener - first
    start = np.searchsorted(of, np.arange(n))
    away[start[np.bincount(of, minlength=n) > 0]] = 0.0
    window = (listeners.days - listeners.arrival[first : first + n]) * _DAY_S - _EVENING_S
    busy_sum, away_sum = np.bincount(of, busy, n), np.bincount(of, away, n)
    # Busy comes first: in the fullest days there is no time to be away.
    hurry = np.clip((window - busy_sum) / np.maximum(away_sum, 1.0), 0.0, 1.0)
    away *= hurry[of]
    free = np.maximum(window - busy_sum - away_sum * hurry, 0.0)
    passed = np.cumsum(busy + away) - busy
    return listeners.arrival[listener] * _DAY_S + (rng.random(n) * free)[of] + passed - passed[start[of]]

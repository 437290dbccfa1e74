"""When, on what and during what somebody listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from recsys.ragged import Float64, Int8, Int32, Int64

if TYPE_CHECKING:
    from recsys.simulation.listeners import Listeners


DEVICES = ("phone", "desktop", "speaker", "car", "tv")
ACTIVITIES = ("none", "commute", "work", "exercise", "party", "sleep")

# How often people listen in each local hour, 0 to 23: little at night, a rise before work, an evening.
_HOURS = np.array([3, 2, 1, 1, 1, 2, 5, 8, 9, 8, 7, 7, 8, 8, 8, 8, 9, 10, 10, 10, 9, 8, 7, 5], dtype=np.float64)
# (activity, from hour, to hour, weight on a working day, weight at the weekend); "none" has weight 1 at all hours.
_WHEN = (
    ("commute", 7, 9, 1.5, 0.1), ("commute", 16, 19, 1.2, 0.1), ("work", 9, 17, 2.0, 0.2), ("exercise", 6, 8, 0.5, 0.3),
    ("exercise", 17, 20, 0.5, 0.5), ("party", 20, 24, 0.3, 1.5), ("party", 0, 3, 0.3, 2.0), ("sleep", 22, 24, 0.7, 0.5),
    ("sleep", 0, 6, 1.5, 1.0),
)  # fmt: skip
# (activity, device): on what people listen meanwhile.
_DEVICE = np.array(
    [
        [0.50, 0.25, 0.18, 0.02, 0.05],
        [0.70, 0.00, 0.00, 0.30, 0.00],
        [0.30, 0.62, 0.08, 0.00, 0.00],
        [0.97, 0.00, 0.03, 0.00, 0.00],
        [0.35, 0.10, 0.40, 0.00, 0.15],
        [0.60, 0.05, 0.35, 0.00, 0.00],
    ]
)


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of n moments: one array each, (n,).

    day: int32, UTC, 0 is the first day of the world; hour: int8, 0..23, local; device, activity: int8, indices into
    DEVICES and ACTIVITIES.
    """

    day: Int32
    hour: Int8
    device: Int8
    activity: Int8

    @classmethod
    def draw(cls, rng: np.random.Generator, listeners: Listeners, listener: Int64, day: Int32) -> Self:
        """Circumstances for (n,) listeners on (n,) days, the hour by each listener's rhythm."""
        hour = local_hours(listeners.rhythm[listener], rng.random(len(listener)))
        return cls.at(rng, listeners.first_weekday, day, hour.astype(np.int8))

    @classmethod
    def at(cls, rng: np.random.Generator, first_weekday: int, day: Int32, hour: Int8) -> Self:
        """Device and activity for (n,) known moments; ``first_weekday`` is that of day 0, Monday is 0."""
        weekend = ((first_weekday + day) % 7 >= 5).astype(np.int8)
        activity = _drawn(rng, _ACTIVITY[weekend, hour])
        return cls(day, hour, _drawn(rng, np.cumsum(_DEVICE, axis=1)[activity]), activity)

    def __len__(self) -> int:
        return len(self.day)

    def take(self, rows: Int64 | slice) -> Self:
        """The moments asked for, in that order."""
        return type(self)(self.day[rows], self.hour[rows], self.device[rows], self.activity[rows])


def local_hours(rhythm: Int8, share: Float64) -> Float64:
    """(n,) local time of day, in hours 0..24: the moment by which ``share`` (n,) 0..1 of a day's listening is over.

    It never falls as ``share`` grows, so moments keep their order. ``rhythm`` (n,): hours by which a listener's day
    begins later (an owl) or earlier (a lark) than others'.

    >>> local_hours(np.array([0, 0, 2]), np.array([0.0, 1.0, 0.5])).round(1).tolist()
    [0.0, 24.0, 15.4]
    """
    hour = np.empty(len(share))
    for late in np.unique(rhythm):
        mine = rhythm == late
        reach = np.concatenate([[0.0], np.cumsum(np.roll(_HOURS, int(late)))])
        hour[mine] = np.interp(share[mine], reach / reach[-1], np.arange(25))
    return hour


def _weights() -> Float64:
    """(2, 24, activities) summed up to 1: working days, then weekends."""
    weights = np.zeros((2, 24, len(ACTIVITIES)))
    weights[:, :, 0] = 1.0
    for activity, start, end, *by_day in _WHEN:
        weights[:, start:end, ACTIVITIES.index(activity)] += np.array(by_day)[:, None]
    reach: Float64 = np.cumsum(weights, axis=2) / weights.sum(axis=2, keepdims=True)
    return reach


_ACTIVITY = _weights()


def _drawn(rng: np.random.Generator, reach: Float64) -> Int8:
    """(n,) a choice for each row of ``reach`` (n, choices), cumulative probabilities."""
    passed: Int8 = (rng.random(len(reach))[:, None] >= reach[:, :-1]).sum(axis=1, dtype=np.int8)
    return passed

"""How a cost grows, and what it comes to at a size that was not measured.

What a step takes beyond its fixed start is what grows; the start (of Python, of a JVM, of Spark's many small jobs) is
measured by itself, on a world of next to nothing. Were it left in, every exponent would look too small; were it fitted
as one more parameter, three points would fit any law.

    exponent   least squares of log(cost - start) on log(events): how near to linear a step is
    linear     cost - start = slope * n
    bent       cost - start = linear * n + square * n ** 2, neither negative: what a power of 1.05 over one decade is in
               truth if each batch looks through all that came before; a hundred times further it is no longer small

Both are least squares of relative errors, in which a tenth of the start and a fifth of a second count as noise; a bend
of less than a tenth of the cost of the largest world is taken for noise as well, and the step for linear. Two sizes
show no bend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from recsys.ragged import Float64

Values = Sequence[float]

NOISE = 0.2
"""Seconds by which a step differs from one run to the next."""
BEND = 0.1
"""Share of the cost of the largest world that the quadratic term must have to be believed."""


@dataclass(frozen=True, slots=True)
class Law:
    """What a step costs, in seconds, by the number of events."""

    start: float
    exponent: float
    """Of what is left after the start; not a number where nothing is left."""
    raw_exponent: float
    """With the start in it."""
    slope: float
    """Seconds an event, if the step is linear."""
    linear: float
    square: float

    def low(self, events: float) -> float:
        """As if the step were linear."""
        return self.start + self.slope * events

    def high(self, events: float) -> float:
        """As if it were bent."""
        return max(self.low(events), self.start + self.linear * events + self.square * events**2)


def fit(events: Values, costs: Values, start: float) -> Law:
    """The law of one step; needs two sizes or more.

    >>> law = fit([1e6, 3e6, 1e7], [12.0, 32.0, 102.0], start=2.0)
    >>> round(law.exponent, 2), round(law.raw_exponent, 2), round(law.low(1e9)), round(law.high(1e9))
    (1.0, 0.93, 10002, 10002)
    """
    n, cost = np.asarray(events, float), np.asarray(costs, float)
    net = np.maximum(cost - start, 0.0)
    weight = 1 / (net[-1] * n / n[-1] + 0.1 * start + NOISE)  # of what is expected: a low figure has no more say
    terms = np.column_stack([n, n**2]) / n.max() ** [1, 2]  # in units of the largest world, or they are too far apart
    (slope,), _ = nnls(terms[:, :1] * weight[:, None], net * weight)
    (linear, square), _ = nnls(terms * weight[:, None], net * weight)
    if len(n) < 3 or square < max(BEND * net[-1], NOISE):
        linear, square = slope, 0.0
    return Law(
        start,
        _exponent(n, cost - start),
        _exponent(n, cost),
        float(slope / n.max()),
        float(linear / n.max()),
        float(square / n.max() ** 2),
    )


def _exponent(n: Float64, cost: Float64) -> float:
    positive = cost > 0
    if positive.sum() < 2:
        return float("nan")
    return float(np.polyfit(np.log(n[positive]), np.log(cost[positive]), 1)[0])


def line(events: Values, values: Values) -> tuple[float, float]:
    """(value of nothing, value of one event) by the smallest and the largest world: for bytes, which are linear."""
    rise = max(0.0, (values[-1] - values[0]) / (events[-1] - events[0]))
    return values[-1] - rise * events[-1], rise


def reached(cost: Callable[[float], float], limit: float, most: float = 1e12) -> float:
    """The number of events at which a growing ``cost(events)`` passes ``limit``; infinity where not before ``most``.

    >>> round(reached(lambda n: 2 * n, 1e6))
    500000
    """
    low, high = 0.0, np.log(most)
    if cost(most) <= limit:
        return float("inf")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(np.exp(middle)) <= limit else (low, middle)
    return float(np.exp(high))

"""How the learning rates move over a run."""

from __future__ import annotations

import math


def factor(done: float, warmup: float) -> float:
    """What the highest rate is multiplied by: a linear rise over the share ``warmup``, then a cosine to 0 at the end.

    done: share of the run, from 0 to 1.

    >>> [round(factor(done, 0.5), 3) for done in (0, 0.25, 0.5, 0.75, 1)]
    [0.002, 0.501, 1.0, 0.5, 0.0]
    """
    if done < warmup:
        return (done + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))

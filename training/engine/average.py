"""A moving average of weights: what is evaluated and exported where it is on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class MovingAverage:
    """``decay`` of the average and 1 - decay of the weights, after each step.

    It begins faster, with a decay of (1 + steps) / (10 + steps), so that the first weights are soon forgotten. Polyak
    and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control Optim. 1992, with weights
    that fall exponentially.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self._weights, self._decay = dict(weights), decay
        self._averages = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._steps = torch.zeros((), dtype=torch.int64)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        self._steps += 1
        steps = int(self._steps)
        decay = min(self._decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(self._averages.values()), list(self._weights.values()), 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """The averages and the count of steps; what is copied into them is taken up."""
        return self._averages | {"steps": self._steps}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Meanwhile the weights are the averages."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, weight in self._weights.items():
            weight.data, self._averages[name].data = self._averages[name].data, weight.data

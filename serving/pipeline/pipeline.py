"""A surface's pipeline over one model: its stages in order, each timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from recsys.policy import SurfacePolicy
from recsys.ranking.filters import ItemColumns
from recsys.ranking.permits import PermitCache
from serving.pipeline.arrange import Arrange
from serving.pipeline.propose import Propose
from serving.pipeline.query import Passed, Work
from serving.pipeline.rank import Rank

Observe = Callable[[str, float, int], None]
"""A stage's name, its seconds and how many requests went through together."""


class Pipeline:
    """permit -> candidates -> ranker -> policies, for a batch of requests. Immutable; safe to share among threads."""

    def __init__(
        self,
        policy: SurfacePolicy,
        columns: ItemColumns,
        permits: PermitCache,
        propose: Propose,
        rank: Rank,
        arrange: Arrange,
    ) -> None:
        self.policy = policy
        self._columns = columns
        self._permits = permits
        self._propose = propose
        self._rank = rank
        self._arrange = arrange

    def run(self, works: Sequence[Work], observe: Observe = lambda name, seconds, requests: None) -> None:
        """Fill the slate of each; a stage's time is that of the batch."""
        clock = _Clock(works, observe)
        for work in works:
            self._permit(work)
        clock.passed("filters", lambda work: 0 if work.allowed is None else work.allowed.count)
        pool = self._propose.run(works)
        sizes = iter(np.diff(pool.offsets).tolist())
        clock.passed(self._propose.name, lambda work: next(sizes))
        self._rank.run(works, pool)
        clock.passed(self._rank.name, lambda work: len(work.candidates))
        self._arrange.run(works)
        clock.passed(self._arrange.name, lambda work: len(work.slate.candidates), _moved)
        finished_ns = time.time_ns()
        for work in works:
            work.finished_ns = finished_ns

    def _permit(self, work: Work) -> None:
        query = work.query
        permit = self._permits.permit(query.filters)
        masked = np.concatenate([query.denied, query.history]) if self.policy.mask_seeds else query.denied
        work.allowed = permit.shared
        work.denied = np.concatenate([permit.denied, self._columns.versions(masked)])


class _Clock:
    """Tells each work, and the observer, how long a stage took."""

    def __init__(self, works: Sequence[Work], observe: Observe) -> None:
        self._works = works
        self._observe = observe
        self._then = time.perf_counter()

    def passed(self, name: str, tracks: Callable[[Work], int], note: Callable[[Work], str] = lambda work: "") -> None:
        now = time.perf_counter()
        seconds, self._then = now - self._then, now
        self._observe(name, seconds, len(self._works))
        for work in self._works:
            work.passed.append(Passed(name, seconds * 1000, tracks(work), note(work)))


def _moved(work: Work) -> str:
    return ", ".join(f"{name} moved {n}" for name, n in work.moved.items() if n)

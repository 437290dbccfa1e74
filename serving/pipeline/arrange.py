"""The slate: the policies in their order, and what is left to chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from recsys.policy import SurfacePolicy
from recsys.ragged import Float32, Int32
from recsys.ranking.filters import ItemColumns
from recsys.ranking.slate import Slate, SlateContext, arranged, build, draw_seed, explore, hard_rules
from serving.pipeline.query import Work

DAY_S = 86_400


class Arrange:
    """Candidates, best first, become the slate that is shown. Nothing reorders after it."""

    name = "policies"

    def __init__(self, policy: SurfacePolicy, columns: ItemColumns, vectors: Callable[[Int32], Float32] | None) -> None:
        self._policy = policy
        self._columns = columns
        self._vectors = vectors
        self._build = lru_cache(maxsize=128)(lambda spacing: build(policy, spacing))  # one a spacing asked for

    def run(self, works: Sequence[Work]) -> None:
        for work in works:
            work.slate = self._slate(work)

    def _slate(self, work: Work) -> Slate:
        query = work.query
        policies = self._build(query.artist_spacing)
        context = SlateContext(
            self._columns,
            query.limit,
            today=query.now_s // DAY_S,
            seen=query.seen,
            seen_days=query.seen_days,
            vectors=self._vectors,
            source_names=self._policy.source_names,
        )
        candidates = arranged(work.candidates, policies, context, work.moved)
        exploration = self._policy.exploration
        if exploration is None:
            return Slate.without_chance(candidates, query.limit)
        seed = draw_seed(query.request_id, self._policy.version)
        return explore(candidates, exploration, hard_rules(policies), context, seed)

"""The order of the candidates: by the bundle's ranker, else by their sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import structlog
from segue.v1.recommendation_pb2 import Fallback

from recsys.ragged import Float32, Int32, Ragged
from recsys.ranking.filters import ItemColumns
from recsys.ranking.pool import Pool
from recsys.ranking.request_features import Requests, features
from recsys.ranking.slate import Candidates
from recsys.ranking.surface_ranker import SurfaceRanker
from serving.pipeline.query import Fallen, Work

log = structlog.get_logger("segue.pipeline")

HOUR_S, DAY_S = 3_600, 86_400

SOFTNESS = 60.0
"""Of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)."""


class PoolScorer(Protocol):
    """A ranker of the bundle."""

    def scores(self, works: Sequence[Work], pool: Pool) -> Float32:
        """(len(pool),) higher is better."""
        ...


class Trees:
    """The bundle's ranker of a surface, over pools whose columns are the sources of a policy."""

    def __init__(
        self,
        ranker: SurfaceRanker,
        sources: Sequence[str],
        columns: ItemColumns,
        vectors: Callable[[Int32], Float32] | None,
    ) -> None:
        self._ranker = ranker
        # Sources that it did not learn from are left out; of those that the policy does not ask nothing comes.
        self._sources = [sources.index(name) if name in sources else -1 for name in ranker.card.sources]
        self._as_they_stand = self._sources == list(range(len(sources)))
        self._columns = columns
        self._vectors = vectors

    def scores(self, works: Sequence[Work], pool: Pool) -> Float32:
        return self._ranker.score(self.features(works, pool))

    def features(self, works: Sequence[Work], pool: Pool) -> Float32:
        """(len(pool), features of the ranker)."""
        if not self._as_they_stand:
            pool = pool.columns(self._sources)
        histories = [work.query.history for work in works]
        now = np.array([work.query.now_s for work in works], np.int64)
        requests = Requests.of(
            Ragged.from_lengths(np.concatenate(histories), [len(history) for history in histories]),
            today=now // DAY_S,
            hour=now % DAY_S // HOUR_S,
        )
        return features(pool, requests, self._columns, self._vectors)


class Rank:
    """Orders a pool of candidates; a ranker that throws leaves the order of the sources.

    Without a ranker the candidates of an earlier step stand before those of a later one. Within a step of one source
    its scores decide; within one of several reciprocal rank fusion does, since their scores do not compare.
    """

    name = "ranker"

    def __init__(self, steps: Sequence[int], ranker: PoolScorer | None) -> None:
        """steps: how many sources each step of fallback has."""
        self._step = np.repeat(np.arange(len(steps)), steps)
        self._alone = np.repeat(np.array(steps) == 1, steps)
        self._ranker = ranker

    def run(self, works: Sequence[Work], pool: Pool) -> None:
        ranks, sources = _leading(pool)
        if self._ranker is None:
            scores, order = self._by_sources(pool, sources)
        else:
            try:
                scores = self._ranker.scores(works, pool)
                order = np.lexsort((-scores, pool.requests))
            except Exception:
                # Whatever the trees throw, the sources have an order of their own.
                log.exception("ranker failed", requests=len(works))
                scores, order = self._by_sources(pool, sources)
                for work in works:
                    work.fallbacks.append(Fallen(Fallback.CODE_RANKER_FAILED))
        ordered = Candidates(pool.items[order], scores[order], sources[order], ranks[order])
        offsets = pool.offsets
        for i, work in enumerate(works):
            work.candidates = ordered.take(np.arange(offsets[i], offsets[i + 1]))

    def _by_sources(self, pool: Pool, sources: Int32) -> tuple[Float32, np.ndarray]:
        votes = np.where(pool.ranks >= 0, 1.0 / (SOFTNESS + pool.ranks), 0.0).sum(axis=1)
        own = pool.scores[np.arange(len(pool)), sources]
        scores: Float32 = np.where(self._alone[sources], own, votes).astype(np.float32)
        return scores, np.lexsort((-votes, self._step[sources], pool.requests))


def _leading(pool: Pool) -> tuple[Int32, Int32]:
    """Of each candidate the place that it has with the source that puts it highest, and that source."""
    placed = np.where(pool.ranks < 0, np.iinfo(np.int32).max, pool.ranks)
    sources = placed.argmin(axis=1).astype(np.int32)
    ranks: Int32 = placed[np.arange(len(pool)), sources]
    return ranks, sources

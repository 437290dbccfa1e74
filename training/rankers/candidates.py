"""The way of a request up to its features, as the server walks it: the bundle's sources, pooled, under the policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from recsys.bundle import Bundle
from recsys.dataset import Queries
from recsys.errors import InputError
from recsys.policy import SurfacePolicy
from recsys.ragged import Float32, Int32, Int64, Ragged
from recsys.ranking.columns import UNKNOWN_DAY, ItemColumns
from recsys.ranking.pool import Pool
from recsys.ranking.request_features import Requests, features, names
from recsys.ranking.words import UNKNOWN
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.sources import Asked, Source, sources_of
from recsys.scoring.base import CHUNK, Scorer


@dataclass(frozen=True)
class Batch:
    """Some queries with their candidates. rows: which queries, as a slice of all."""

    rows: slice
    pool: Pool
    features: Float32


@dataclass(frozen=True)
class Proposer:
    """sources: asked together, ``candidates`` of each; vectors: the source whose item vectors are compared, or None."""

    sources: Sequence[Source]
    columns: ItemColumns
    candidates: int
    mask_seeds: bool
    vectors: str | None
    item_vectors: Float32 | None

    @classmethod
    def of(cls, bundle: Bundle, names: Sequence[str], policy: SurfacePolicy, candidates: int) -> Self:
        """Raises InputError for a source that the bundle has not."""
        if unknown := sorted(set(names) - set(bundle.scorers)):
            raise InputError(f"no source {unknown[0]!r} in {bundle.folder}; it has {', '.join(bundle.scorers)}")
        ranking, _ = sources_of({name: bundle.scorers[name] for name in names})
        compared = next((name for name in names if hasattr(bundle.scorers[name], "item_vectors")), None)
        return cls(
            [ranking[name] for name in names],
            ItemColumns.of(bundle.catalogue.sort("index")),
            candidates,
            policy.mask_seeds,
            compared,
            None if compared is None else vectors_of(bundle.scorers[compared]),
        )

    @property
    def names(self) -> list[str]:
        return [source.name for source in self.sources]

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns."""
        return names(self.names, vectors=self.vectors is not None)

    @cached_property
    def _all(self) -> Allowed:
        return Allowed.all(len(self.columns))

    def batches(self, queries: Queries) -> Iterator[Batch]:
        """All queries in their order."""
        for start in range(0, len(queries), CHUNK):
            rows = slice(start, min(start + CHUNK, len(queries)))
            part = queries.take(np.arange(rows.start, rows.stop))
            pool = self.pool(part.histories)
            yield Batch(rows, pool, self.describe(pool, moments(part)))

    def pool(self, histories: Ragged) -> Pool:
        """No filter but the policy's: no version of a track of the history where it masks the seeds."""
        asked = Asked(histories, [self._all] * len(histories), self._denied(histories))
        return Pool.of([source.candidates(asked, self.candidates) for source in self.sources])

    def describe(self, pool: Pool, requests: Requests) -> Float32:
        table = self.item_vectors
        return features(pool, requests, self.columns, None if table is None else table.__getitem__)

    def _denied(self, histories: Ragged) -> Ragged:
        if not self.mask_seeds:
            return Ragged.from_lengths([], np.zeros(len(histories), np.int64))
        known = histories.where(histories.values >= 0)
        versions = self.columns.by["songs"].base.take(self.columns.songs[known.values])
        return Ragged.from_lengths(versions.values, np.bincount(known.rows[versions.rows], minlength=len(histories)))


def vectors_of(scorer: Scorer) -> Float32:
    vectors: Float32 = scorer.item_vectors  # type: ignore[attr-defined]  # whoever asks has looked
    return vectors


def moments(queries: Queries) -> Requests:
    """When they are asked: on the day of the session, at the hour of the last play, as far as the data tell."""
    histories = queries.histories
    today: Int32 | int = UNKNOWN_DAY
    if queries.days is not None:
        today = queries.days.astype("datetime64[D]").astype(np.int64).astype(np.int32)
    hour: Int64 | int = UNKNOWN
    if "time" in histories.beside and len(histories.values):
        last = histories.beside["time"][np.maximum(histories.offsets[1:] - 1, 0)]
        hour = np.where((last >= 0) & (histories.lengths > 0), last // 3600 % 24, UNKNOWN)
    return Requests.of(histories, today, hour)

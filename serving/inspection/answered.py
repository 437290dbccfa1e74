"""What is kept of an answer: held as it was worked out, and put into the terms of the proto later, off the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segue.v1.admin_pb2 import RequestRecord, StageRecord

from serving.models.model import Model
from serving.pipeline.fallbacks import fallbacks
from serving.pipeline.query import Work


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that was given."""

    request_id: str
    ts_us: int
    """Microseconds since 1970 UTC."""
    surface: str
    user_id: str
    """Empty: of nobody in particular."""
    model: Model
    arms: Mapping[str, str]
    policy: str
    """Version of the surface's policy."""
    sources: list[str]
    """What ``work.slate.candidates.sources`` counts into."""
    work: Work

    def record(self) -> RequestRecord:
        slate, catalogue = self.work.slate, self.model.catalogue
        shown = slate.candidates
        columns = (shown.items, shown.scores, shown.sources, shown.ranks, slate.propensities, slate.pools)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        made = RequestRecord(
            request_id=self.request_id,
            surface=self.surface,
            user_id=self.user_id,
            bundle=self.model.name,
            arms=self.arms,
            policy=self.policy,
            fallbacks=fallbacks(self.work, self.sources),
            stages=[StageRecord(name=p.name, ms=p.ms, tracks=p.tracks, note=p.note) for p in self.work.passed],
            history=len(self.work.query.history),
            permitted=0 if self.work.allowed is None else self.work.allowed.count,
            seed=slate.seed,
        )
        made.ts.FromMicroseconds(self.ts_us)
        for slot, (item, score, source, rank, propensity, pool) in enumerate(rows):
            impression = made.impressions.add()  # and not a constructor with keywords, which takes twice the time
            impression.slot = slot
            impression.track_id = catalogue.track_id(item)
            impression.source = self.sources[source]
            impression.score = score
            impression.source_rank = rank
            if pool:
                impression.propensity, impression.pool = propensity, pool
        return made

"""Why: the reason of a track, typed and in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import structlog
from segue.v1.recommendation_pb2 import Reason

from recsys.ragged import Int32, Int64
from recsys.retrieval.sources import Source
from serving.models.model import Model
from serving.pipeline.query import Work

log = structlog.get_logger("segue.reasons")


def fill(reasons: Iterable[Reason], model: Model, sources: Sequence[Source], work: Work) -> None:
    """One a track of the slate, from the evidence of the source that gave it."""
    seeds, counts = _evidence(sources, work)
    names: dict[int, tuple[str, str]] = {}
    unit = model.bundle.manifest.data.unit
    drawn = work.slate.pools.tolist()
    for reason, seed, count, pool in zip(reasons, seeds.tolist(), counts.tolist(), drawn, strict=True):
        if pool:
            reason.kind, reason.text = Reason.KIND_EXPLORATION, f"drawn by chance, one of {pool:,} tried here"
        elif seed < 0:
            _fill_without_seed(reason, count, bool(len(work.query.history)))
        else:
            if seed not in names:
                names[seed] = model.catalogue.track_id(seed), model.catalogue.label(seed)
            reason.seed_track_id, label = names[seed]
            if count:
                lists = f"1 {unit}" if count == 1 else f"{count:,} {unit}s"
                reason.kind, reason.count, reason.text = Reason.KIND_TOGETHER, count, f"in {lists} with {label}"
            else:
                reason.kind, reason.text = Reason.KIND_SIMILAR, f"close to {label}"


def _fill_without_seed(reason: Reason, count: int, has_history: bool) -> None:
    """A source that knows no seed has looked at the whole history or, without one, at nobody's in particular."""
    if count:
        times = "once" if count == 1 else f"{count:,} times"
        reason.kind, reason.count, reason.text = Reason.KIND_POPULAR, count, f"popular, played {times}"
    elif has_history:
        reason.kind, reason.text = Reason.KIND_HISTORY, "fits these tracks as a whole"
    else:
        reason.kind, reason.text = Reason.KIND_POPULAR, "popular"


def _evidence(sources: Sequence[Source], work: Work) -> tuple[Int32, Int64]:
    """The seed and the count of each track; -1 and 0 where a source cannot say: no answer fails for want of one."""
    slate = work.slate.candidates
    seeds, counts = np.full(len(slate), -1, dtype=np.int32), np.zeros(len(slate), dtype=np.int64)
    for number in set(slate.sources.tolist()):
        given = slate.sources == number
        try:
            evidence = sources[number].evidence(work.query.history, slate.items[given])
        except Exception:
            log.exception("no evidence", source=sources[number].name)
        else:
            seeds[given], counts[given] = evidence.seeds, evidence.counts
    return seeds, counts

"""Why: the reason of a track and of a fallback, typed and in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import structlog
from segue.v1.recommendation_pb2 import Fallback, Reason

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


def fallbacks(work: Work, sources: Sequence[str]) -> list[Fallback]:
    """Every step that was not the first choice; ``sources``: the names of the pipeline's, in order."""
    if not work.fallbacks:
        return []
    used = [sources[number] for number in np.unique(work.slate.candidates.sources)]
    by = f"the answer is from {', '.join(used)}" if used else "no source has an answer"
    first = sources[0]
    causes = {
        Fallback.CODE_UNKNOWN_LISTENER: "the listener is unknown and the request has no history",
        Fallback.CODE_UNKNOWN_TRACKS: "the catalogue holds none of the seed tracks",
        Fallback.CODE_NO_EVIDENCE: f"{first} has seen nothing with the seed tracks that the filters allow",
        Fallback.CODE_TOO_FEW_CANDIDATES: f"{first} has seen too few tracks with the seed tracks",
        Fallback.CODE_SOURCE_LATE: "{} was late",
        Fallback.CODE_SOURCE_FAILED: "{} failed",
        Fallback.CODE_RANKER_FAILED: "the ranker failed, and the order is that of the sources",
        Fallback.CODE_STATE_UNAVAILABLE: "what is known of the listener could not be read",
        Fallback.CODE_BUNDLE_UNAVAILABLE: "the listener's arms could not be served ({}), and the champion answered",
    }
    return [
        Fallback(code=f.code, message=f"{causes[f.code].format(f.detail)}; {by}", sources=used) for f in work.fallbacks
    ]

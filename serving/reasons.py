"""Why: the reason of a track and of a fallback, typed and in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from segue.v1.recommendation_pb2 import Fallback, Reason

from recsys.ragged import Int32
from recsys.retrieval.sources import Source
from serving.model import Model
from serving.pipeline.query import Work


def reasons(model: Model, sources: Sequence[Source], work: Work) -> list[Reason]:
    """One a track of the slate, from the evidence of the source that gave it."""
    history, slate = work.query.history, work.slate.candidates
    seeds, counts = np.full(len(slate), -1, dtype=np.int32), np.zeros(len(slate), dtype=np.int64)
    for number in np.unique(slate.sources):
        given = slate.sources == number
        evidence = sources[number].evidence(history, slate.items[given])
        seeds[given], counts[given] = evidence.seeds, evidence.counts
    drawn = work.slate.pools.tolist()
    return [
        Reason(kind=Reason.KIND_EXPLORATION, text=f"new to you, one of {pool:,} tried here")
        if pool
        else _reason(model, history, seed, count)
        for seed, count, pool in zip(seeds.tolist(), counts.tolist(), drawn, strict=True)
    ]


def _reason(model: Model, history: Int32, seed: int, count: int) -> Reason:
    """A source that knows no seed has looked at the whole history or, without one, at nobody's in particular."""
    if seed < 0 and count == 0:
        if len(history):
            return Reason(kind=Reason.KIND_HISTORY, text="fits these tracks as a whole")
        return Reason(kind=Reason.KIND_POPULAR, text="popular")
    if seed < 0:
        times = "once" if count == 1 else f"{count:,} times"
        return Reason(kind=Reason.KIND_POPULAR, count=count, text=f"popular, played {times}")
    seed_track_id, label = model.catalogue.track_id(seed), model.catalogue.label(seed)
    if count == 0:
        return Reason(kind=Reason.KIND_SIMILAR, seed_track_id=seed_track_id, text=f"close to {label}")
    unit = model.bundle.manifest.data.unit
    lists = f"1 {unit}" if count == 1 else f"{count:,} {unit}s"
    return Reason(kind=Reason.KIND_TOGETHER, seed_track_id=seed_track_id, count=count, text=f"in {lists} with {label}")


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

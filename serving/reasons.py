"""Why: the reason of a track and of a fallback, typed and in words."""

from __future__ import annotations

from segue.v1.recommendation_pb2 import Fallback, Reason

from recsys.ragged import Int32
from serving.model import Model
from serving.sources import Source


def reason(model: Model, source: Source, history: Int32, item: int) -> Reason:
    """From the evidence of the source that gave the track.

    A source that knows no seed for it has looked at the whole history or, without one, at nobody's in particular.
    """
    evidence = source.evidence(history, item)
    if evidence is None or (evidence.seed is None and evidence.count == 0):
        if len(history):
            return Reason(kind=Reason.KIND_HISTORY, text="fits these tracks as a whole")
        return Reason(kind=Reason.KIND_POPULAR, text="popular")
    if evidence.seed is None:
        times = "once" if evidence.count == 1 else f"{evidence.count:,} times"
        return Reason(kind=Reason.KIND_POPULAR, count=evidence.count, text=f"popular, played {times}")
    seed, label = model.catalogue.track_id(evidence.seed), model.catalogue.label(evidence.seed)
    if evidence.count == 0:
        return Reason(kind=Reason.KIND_SIMILAR, seed_track_id=seed, text=f"close to {label}")
    unit = model.bundle.manifest.data.unit
    lists = f"1 {unit}" if evidence.count == 1 else f"{evidence.count:,} {unit}s"
    return Reason(kind=Reason.KIND_TOGETHER, seed_track_id=seed, count=evidence.count, text=f"in {lists} with {label}")


def fallback(code: Fallback.Code.ValueType, first: str, sources: list[str]) -> Fallback:
    """``first``: the source that should have answered; ``sources``: those that did."""
    cause = {
        Fallback.CODE_UNKNOWN_LISTENER: "the listener is unknown and the request has no history",
        Fallback.CODE_UNKNOWN_TRACKS: "the catalogue holds none of the seed tracks",
        Fallback.CODE_NO_EVIDENCE: f"{first} has seen nothing with the seed tracks that the filters allow",
        Fallback.CODE_TOO_FEW_CANDIDATES: f"{first} has seen too few tracks with the seed tracks",
    }[code]
    by = f"the answer is from {', '.join(sources)}" if sources else "no source has an answer"
    return Fallback(code=code, message=f"{cause}; {by}", sources=sources)

"""Steps that were not the first choice, typed and in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from segue.v1.recommendation_pb2 import Fallback

from serving.pipeline.query import Work


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
        Fallback(code=f.code, message=f"{causes[f.code].format(f.source or f.detail)}; {by}", sources=used)
        for f in work.fallbacks
    ]

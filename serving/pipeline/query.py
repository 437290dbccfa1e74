"""A request in the terms of a bundle, and what becomes of it on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from segue.v1.recommendation_pb2 import Fallback

from recsys.ragged import Float32, Int32
from recsys.ranking.filters import Filter
from recsys.ranking.slate import Candidates, Slate
from recsys.retrieval.allowed import Allowed

NOTHING = np.zeros(0, np.int32)
NO_CANDIDATES = Candidates(NOTHING, np.zeros(0, np.float32), NOTHING)
NO_SLATE = Slate.without_chance(NO_CANDIDATES, 0)


@dataclass(frozen=True, slots=True)
class Query:
    """A request in the terms of the bundle; every array holds item indices."""

    history: Int32
    """Oldest first; known items only."""
    limit: int
    filters: Sequence[Filter] = ()
    """What many requests share: market, explicit, dates, tags."""
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What is told of each play of the history: time, context, skips (recsys.plays)."""
    denied: Int32 = field(default_factory=lambda: NOTHING)
    """Disliked tracks, which come in no version."""
    seen: Int32 = field(default_factory=lambda: NOTHING)
    """What the listener heard or was shown lately, the latest last."""
    seen_days: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))
    """How many days ago, (len(seen),)."""
    artist_spacing: int | None = None
    """None: what the policy of the surface says."""
    nothing_known: Fallback.Code.ValueType = Fallback.CODE_UNKNOWN_TRACKS
    """Which fallback it is when the history is empty."""
    request_id: str = ""
    """Seeds the draws of exploration."""
    now_s: int = 0
    """Seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class Fallen:
    """A step that was not the first choice."""

    code: Fallback.Code.ValueType
    source: str = ""
    """That was late or failed."""
    detail: str = ""
    """What more there is to say."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A stage that is behind: how long its batch took, and the candidates after it."""

    name: str
    ms: float
    tracks: int
    note: str = ""


@dataclass(slots=True)
class Work:
    """A query on its way; each stage adds what it found."""

    query: Query
    waited_for: Callable[[], bool] = lambda: True
    """False once nobody waits for the answer any more."""
    allowed: Allowed | None = None
    denied: Int32 = field(default_factory=lambda: NOTHING)
    candidates: Candidates = field(default_factory=lambda: NO_CANDIDATES)
    slate: Slate = field(default_factory=lambda: NO_SLATE)
    moved: dict[str, int] = field(default_factory=dict)
    """How many tracks each slate policy moved, for Explain."""
    fallbacks: list[Fallen] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    finished_ns: int = 0
    """When its batch was done, nanoseconds since 1970."""

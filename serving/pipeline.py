"""The way of a request: sources in their order of fallback, under the filters, then the slate policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from segue.v1.recommendation_pb2 import Fallback

from recsys.ragged import Int32
from recsys.ranking.filters import ExcludeSongs, Filter, permitted
from recsys.ranking.slate import ArtistSpacing, Candidates, arranged
from serving.model import Model


@dataclass(frozen=True, slots=True)
class Query:
    """A request in the terms of the bundle."""

    surface: str
    history: Int32
    """Item indices, oldest first."""
    limit: int
    filters: Sequence[Filter] = ()
    artist_spacing: int | None = None
    """None: what the policy of the surface says."""
    nothing_known: Fallback.Code.ValueType = Fallback.CODE_UNKNOWN_TRACKS
    """Which fallback it is when the history is empty."""
    checkpoint: Callable[[], None] = field(default=lambda: None)
    """Called between two stages; raises where nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class Slate:
    """The answer in the terms of the bundle. ``candidates.sources`` counts into ``model.sources[surface]``."""

    candidates: Candidates
    fallback: Fallback.Code.ValueType | None
    sources: list[str]
    """Names of the sources that gave candidates, in order."""


def answer(model: Model, query: Query) -> Slate:
    """Ask one source after the other until ``limit`` candidates are there, then arrange them."""
    policy = model.policy(query.surface)
    columns = model.catalogue.columns
    filters = [*query.filters, *([ExcludeSongs(query.history)] if policy.mask_seeds else [])]
    allowed = permitted(filters, columns)
    parts: list[Candidates] = []
    found = 0
    for number, source in enumerate(model.sources[query.surface]):
        query.checkpoint()
        items, scores = source.candidates(query.history, allowed, max(policy.candidates, query.limit))
        given = Candidates(items, scores, np.full(len(items), number, dtype=np.int32)).one_a_song(columns)
        parts.append(given)
        found += len(given)
        if found >= query.limit:
            break
        allowed &= ExcludeSongs(given.items).permits(columns)
    query.checkpoint()
    spacing = policy.artist_spacing if query.artist_spacing is None else query.artist_spacing
    slate = arranged(Candidates.joined(parts), [ArtistSpacing(spacing)], columns, query.limit)
    used = [model.sources[query.surface][n].name for n in np.unique(slate.sources)]
    return Slate(slate, _fallback(query, parts), used)


def _fallback(query: Query, parts: Sequence[Candidates]) -> Fallback.Code.ValueType | None:
    first, *others = parts
    if not len(query.history):
        return query.nothing_known
    if not len(first):
        return Fallback.CODE_NO_EVIDENCE
    if any(len(other) for other in others):
        return Fallback.CODE_TOO_FEW_CANDIDATES
    return None

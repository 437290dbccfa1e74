"""One request on its way: into the terms of the bundle before the pipeline, into a response after it.

Both are done by the thread that runs the batch. Where the thread of each call does them, dozens of threads want the
interpreter at once, and half of the time goes into handing it from one to the next.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from segue.v1 import recommendation_pb2 as pb
from segue.v1.recommendation_pb2 import Fallback
from segue.v1.track_pb2 import ResolvedSeed, TrackReference

from recsys.policy import SurfacePolicy
from recsys.ragged import Int32
from recsys.ranking.filters import Filter
from serving.catalogue.catalogue import Found
from serving.models.experiments import Choice
from serving.models.model import Model
from serving.pipeline.fallbacks import fallbacks
from serving.pipeline.pipeline import Observe, Pipeline
from serving.pipeline.query import NOTHING, Fallen, Query, Work
from serving.rpc.call import Caller
from serving.rpc.validation import DEFAULT_LIMIT, Request
from serving.services import filters, reasons
from serving.store.base import Listener

Response = pb.RecommendResponse | pb.ContinuePlaylistResponse | pb.SimilarTracksResponse

DAY_S = 86_400
NEVER = np.zeros(0, np.float32)

EXPLICIT = {
    "allow": pb.EXPLICIT_FILTER_ALLOW,
    "exclude": pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT,
    "clean_only": pb.EXPLICIT_FILTER_CLEAN_ONLY,
}
"""What a surface's policy says where the request says nothing."""


class Answering:
    """Fills ``response``: all three kinds look alike."""

    def __init__(
        self,
        surface: str,
        request: Request,
        response: Response,
        seeds: Sequence[TrackReference],
        context: str,
        choice: Choice,
        listener: Listener,
        fallen: list[Fallen],
        caller: Caller,
    ) -> None:
        self.surface = surface
        self.request = request
        self.response = response
        self.choice = choice
        self.caller = caller
        self.asked_s = time.time()
        self.error: Exception | None = None
        """What went wrong with this one."""
        self._seeds = seeds
        self._context = context
        self._listener = listener
        self._fallen = fallen
        self._named: list[tuple[TrackReference, Found]] = []
        """Seeds that were recognised otherwise than by Segue's own id."""
        self._unknown: list[TrackReference] = []
        ids = [seed.track_id for seed in seeds]
        self._by_id = bool(ids) and all(ids)
        self.track_ids: Sequence[str] = [*(ids if self._by_id else ()), *listener.plays.track_ids]
        """Segue's own ids of the seeds, where all have one, then of what the listener heard: a batch looks all of its
        requests' up at once."""
        self.work: Work

    def prepare(self, items: Int32) -> None:
        """Resolve what the request names. items: of `track_ids`, -1 where the catalogue does not hold one."""
        request, listener, model = self.request, self._listener, self.choice.model
        catalogue = model.catalogue
        heard = items[len(self._seeds) if self._by_id else 0 :]
        if self._seeds:
            history, beside = self._resolved(items), dict[str, np.ndarray]()
            if self._context in model.contexts:
                beside["context"] = np.full(len(history), model.contexts[self._context], np.int64)
        else:
            history, beside = _heard(model, listener, heard)
        known = self._seeds or len(listener.plays)
        query = Query(
            history,
            request.limit if request.HasField("limit") else DEFAULT_LIMIT,
            _filters(model, request.filters, self.choice.pipeline.policy),
            beside,
            catalogue.find_ids(listener.dislikes) if listener.dislikes else NOTHING,
            *_seen(listener, heard, self.asked_s),
            request.filters.artist_spacing if request.filters.HasField("artist_spacing") else None,
            Fallback.CODE_UNKNOWN_TRACKS if known else Fallback.CODE_UNKNOWN_LISTENER,
            request.request_id,
            int(self.asked_s),
        )
        self.work = Work(query, self.caller.waits, fallbacks=self._fallen)

    def _resolved(self, items: Int32) -> Int32:
        """The seeds that the catalogue holds."""
        if self._by_id:
            items = items[: len(self._seeds)]
            self._unknown = [self._seeds[place] for place in np.flatnonzero(items < 0).tolist()]
            return items[items >= 0]
        history = []
        for seed, found in zip(self._seeds, self.choice.model.catalogue.find(self._seeds), strict=True):
            if found is None:
                self._unknown.append(seed)
                continue
            history.append(found.index)
            if found.method != ResolvedSeed.METHOD_TRACK_ID:
                self._named.append((seed, found))
        return np.array(history, np.int32)

    def finish(self) -> None:
        """Say what the pipeline found."""
        response, model, work = self.response, self.choice.model, self.work
        catalogue, names = model.catalogue, self.choice.pipeline.policy.source_names
        response.request_id = self.request.request_id
        response.bundle = model.name
        response.history = len(work.query.history)
        response.arms.update(self.choice.arms)
        response.unknown_seeds.extend(self._unknown)
        asked_in = set() if self._by_id else {s.source_id.source for s in self._seeds if s.HasField("source_id")}
        for seed, found in self._named:
            track = catalogue.track(found.index, asked_in)
            response.seeds.append(
                ResolvedSeed(asked=seed, track=track, method=found.method, confidence=found.confidence)
            )
        slate, add = work.slate, response.tracks.add
        shown = slate.candidates
        columns = (shown.items, shown.scores, shown.sources, slate.propensities)
        for item, score, number, propensity in zip(*(column.tolist() for column in columns), strict=True):
            chance = None if math.isnan(propensity) else propensity
            catalogue.show(item, add(score=score, source=names[number], propensity=chance).track, asked_in)
        sources = [model.sources[self.surface][name] for name in names]
        reasons.fill((track.reason for track in response.tracks), model, sources, work)
        response.fallbacks.extend(fallbacks(work, names))


def answer_together(pipeline: Pipeline, answerings: Sequence[Answering], observe: Observe) -> None:
    """All of one model. A fault of one is its own; one of the pipeline is everybody's, and raised."""
    ids = [answering.track_ids for answering in answerings]
    items = answerings[0].choice.model.catalogue.find_ids([track_id for each in ids for track_id in each])
    parts = np.split(items, np.cumsum([len(each) for each in ids])[:-1])
    ready = [each for each, part in zip(answerings, parts, strict=True) if _done(each, partial(each.prepare, part))]
    pipeline.run([answering.work for answering in ready], observe)
    for answering in ready:
        _done(answering, answering.finish)


def _done(answering: Answering, step: Callable[[], None]) -> bool:
    try:
        step()
    except Exception as error:
        # Its own call tells of it, as of any fault.
        answering.error = error
    return answering.error is None


def _heard(model: Model, listener: Listener, items: Int32) -> tuple[Int32, dict[str, np.ndarray]]:
    """The plays that the catalogue holds, and what is told beside each; items: of all plays."""
    plays = listener.plays
    if not plays:
        return NOTHING, {}
    known = items >= 0
    codes = model.contexts
    beside = {
        "time": np.array(plays.ts, np.float64).astype(np.int64),
        "context": np.array([codes.get(context, -1) for context in plays.contexts], np.int64),
        "skips": np.array(plays.skips, np.int64),
    }
    return items[known], {name: column[known] for name, column in beside.items()}


def _seen(listener: Listener, items: Int32, now_s: float) -> tuple[Int32, np.ndarray]:
    """What was heard lately, and how many days ago; items: of all plays."""
    if not listener.plays:
        return NOTHING, NEVER
    days = (now_s - np.array(listener.plays.ts, np.float64)) / DAY_S
    return items[items >= 0], np.maximum(days[items >= 0], 0).astype(np.float32)


def _filters(model: Model, asked: pb.Filters, policy: SurfacePolicy) -> list[Filter]:
    found = filters.of(model.catalogue, asked)
    unsaid = asked.explicit == pb.EXPLICIT_FILTER_UNSPECIFIED
    return [*found, *filters.EXPLICIT[EXPLICIT[policy.explicit]]] if unsaid else found

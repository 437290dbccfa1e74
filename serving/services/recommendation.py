"""RecommendationService: requests into the terms of the bundle, slates into responses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from segue.v1 import recommendation_pb2 as pb
from segue.v1.recommendation_pb2 import Fallback
from segue.v1.track_pb2 import ResolvedSeed, TrackReference

from recsys.experiments import Experiments
from recsys.policy import SurfacePolicy
from recsys.ragged import Int32
from recsys.ranking.filters import Filter
from serving.catalogue.catalogue import Found
from serving.inspection.answered import Answered
from serving.listeners.listeners import Listeners
from serving.models.base import Models
from serving.models.experiments import choose
from serving.models.model import Model
from serving.pipeline.batcher import Batcher, ExpiredError
from serving.pipeline.fallbacks import fallbacks
from serving.pipeline.query import NOTHING, Fallen, Query, Work
from serving.rpc.call import Caller
from serving.rpc.validation import DEFAULT_LIMIT, Request
from serving.services import filters, reasons
from serving.store.base import NOBODY, Listener, StoreUnavailableError

Response = pb.RecommendResponse | pb.ContinuePlaylistResponse | pb.SimilarTracksResponse

DAY_S = 86_400
NEVER = np.zeros(0, np.float32)

EXPLICIT = {
    "allow": pb.EXPLICIT_FILTER_ALLOW,
    "exclude": pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT,
    "clean_only": pb.EXPLICIT_FILTER_CLEAN_ONLY,
}
"""What a surface's policy says where the request says nothing."""


@dataclass(frozen=True)
class RecommendationService:
    """The methods of the proto, on requests that `validation.check` let pass.

    A request asks ``models`` once and keeps the model that it got to its end. ``answered`` is told of every answer.
    """

    models: Models
    listeners: Listeners
    batcher: Batcher[Work]
    answered: Callable[[Answered], None]
    experiments: Callable[[], Experiments] = Experiments
    """Those of the moment."""

    def Recommend(self, request: pb.RecommendRequest, caller: Caller) -> pb.RecommendResponse:  # noqa: N802
        response = pb.RecommendResponse()
        self._answer(request.surface or "home", request, response, request.history, request.context, caller)
        return response

    def ContinuePlaylist(self, request: pb.ContinuePlaylistRequest, caller: Caller) -> pb.ContinuePlaylistResponse:  # noqa: N802
        response = pb.ContinuePlaylistResponse()
        self._answer("playlist", request, response, request.seeds, "", caller)
        return response

    def SimilarTracks(self, request: pb.SimilarTracksRequest, caller: Caller) -> pb.SimilarTracksResponse:  # noqa: N802
        response = pb.SimilarTracksResponse()
        self._answer("similar", request, response, request.seeds, "", caller)
        return response

    def _answer(
        self,
        surface: str,
        request: Request,
        response: Response,
        seeds: Sequence[TrackReference],
        context: str,
        caller: Caller,
    ) -> None:
        """Fill ``response``: all three look alike."""
        now_s = time.time()
        choice = choose(self.models, self.experiments(), request.bundle, request.user_id, surface)
        model, pipeline, catalogue = choice.model, choice.pipeline, choice.model.catalogue
        listener, fallen = self._listener(request)
        if choice.missed:
            fallen.append(Fallen(Fallback.CODE_BUNDLE_UNAVAILABLE, detail=choice.missed))
        if seeds:
            found = catalogue.find(seeds)
            history, beside = _indices(found), dict[str, np.ndarray]()
            if context in model.contexts:
                beside["context"] = np.full(len(history), model.contexts[context], np.int64)
        else:
            found = []
            history, beside = _heard(model, listener)
        query = Query(
            history,
            request.limit if request.HasField("limit") else DEFAULT_LIMIT,
            _filters(model, request.filters, pipeline.policy),
            beside,
            catalogue.find_ids(listener.dislikes) if listener.dislikes else NOTHING,
            *_seen(model, listener, now_s),
            request.filters.artist_spacing if request.filters.HasField("artist_spacing") else None,
            Fallback.CODE_UNKNOWN_TRACKS if seeds or len(listener.plays) else Fallback.CODE_UNKNOWN_LISTENER,
            request.request_id,
            int(now_s),
        )
        work = Work(query, caller.waits, fallbacks=fallen)
        self.batcher.submit(pipeline, work, caller.seconds_left())
        if not caller.waits():
            raise ExpiredError  # What nobody is shown is no impression.

        response.request_id = request.request_id
        response.bundle = model.name
        response.history = len(history)
        response.arms.update(choice.arms)
        asked_in = {seed.source_id.source for seed in seeds if seed.HasField("source_id")}
        for seed, known in zip(seeds, found, strict=True):
            if known is None:
                response.unknown_seeds.append(seed)
            elif known.method != ResolvedSeed.METHOD_TRACK_ID:
                track = catalogue.track(known.index, asked_in)
                response.seeds.append(
                    ResolvedSeed(asked=seed, track=track, method=known.method, confidence=known.confidence)
                )
        names = pipeline.policy.source_names
        slate, add = work.slate, response.tracks.add
        shown = slate.candidates
        columns = (shown.items, shown.scores, shown.sources, slate.propensities)
        for item, score, number, propensity in zip(*(column.tolist() for column in columns), strict=True):
            chance = None if math.isnan(propensity) else propensity
            catalogue.show(item, add(score=score, source=names[number], propensity=chance).track, asked_in)
        sources = [model.sources[surface][name] for name in names]
        reasons.fill((track.reason for track in response.tracks), model, sources, work)
        response.fallbacks.extend(fallbacks(work, names))
        version = pipeline.policy.version
        who = request.request_id, int(now_s * 1e6), surface, request.user_id
        self.answered(Answered(*who, model, choice.arms, version, names, work))

    def _listener(self, request: Request) -> tuple[Listener, list[Fallen]]:
        """What is known of the listener; where the store is away, what the data set holds."""
        if not request.user_id:
            return NOBODY, []
        try:
            return self.listeners.listener(request.user_id), []
        except StoreUnavailableError:
            return self.listeners.known(request.user_id), [Fallen(Fallback.CODE_STATE_UNAVAILABLE)]


def _indices(found: Sequence[Found | None]) -> Int32:
    return np.array([f.index for f in found if f is not None], dtype=np.int32)


def _heard(model: Model, listener: Listener) -> tuple[Int32, dict[str, np.ndarray]]:
    """The plays that the catalogue holds, and what is told beside each."""
    plays = listener.plays
    if not plays:
        return NOTHING, {}
    items = model.catalogue.find_ids(plays.track_ids)
    known = items >= 0
    codes = model.contexts
    beside = {
        "time": np.array(plays.ts, np.float64).astype(np.int64),
        "context": np.array([codes.get(context, -1) for context in plays.contexts], np.int64),
        "skips": np.array(plays.skips, np.int64),
    }
    return items[known], {name: column[known] for name, column in beside.items()}


def _seen(model: Model, listener: Listener, now_s: float) -> tuple[Int32, np.ndarray]:
    """What was heard lately, and how many days ago."""
    if not listener.plays:
        return NOTHING, NEVER
    items = model.catalogue.find_ids(listener.plays.track_ids)
    days = (now_s - np.array(listener.plays.ts, np.float64)) / DAY_S
    return items[items >= 0], np.maximum(days[items >= 0], 0).astype(np.float32)


def _filters(model: Model, asked: pb.Filters, policy: SurfacePolicy) -> list[Filter]:
    found = filters.of(model.catalogue, asked)
    unsaid = asked.explicit == pb.EXPLICIT_FILTER_UNSPECIFIED
    return [*found, *filters.EXPLICIT[EXPLICIT[policy.explicit]]] if unsaid else found

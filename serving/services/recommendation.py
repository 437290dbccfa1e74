"""RecommendationService: who asks, which model answers, and a place in the next batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segue.v1 import recommendation_pb2 as pb
from segue.v1.recommendation_pb2 import Fallback
from segue.v1.track_pb2 import TrackReference

from recsys.experiments import Experiments
from serving.inspection.answered import Answered
from serving.listeners.listeners import Listeners
from serving.models.base import Models
from serving.models.experiments import choose
from serving.pipeline.batcher import Batcher, ExpiredError
from serving.pipeline.query import Fallen
from serving.rpc.call import Caller
from serving.rpc.validation import Request
from serving.services.answering import Answering, Response
from serving.store.base import NOBODY, Listener, StoreUnavailableError


@dataclass(frozen=True)
class RecommendationService:
    """The methods of the proto, on requests that `validation.check` let pass.

    A request asks ``models`` once and keeps the model that it got to its end. ``answered`` is told of every answer.
    """

    models: Models
    listeners: Listeners
    batcher: Batcher[Answering]
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
        """Fill ``response``."""
        choice = choose(self.models, self.experiments(), request.bundle, request.user_id, surface)
        listener, fallen = self._listener(request)
        if choice.missed:
            fallen.append(Fallen(Fallback.CODE_BUNDLE_UNAVAILABLE, detail=choice.missed))
        answering = Answering(surface, request, response, seeds, context, choice, listener, fallen, caller)
        self.batcher.submit(choice.pipeline, answering, caller.seconds_left())
        if answering.error is not None:
            raise answering.error
        if not caller.waits():
            raise ExpiredError  # What nobody is shown is no impression.
        policy = choice.pipeline.policy
        who = request.request_id, int(answering.asked_s * 1e6), surface, request.user_id
        self.answered(Answered(*who, choice.model, choice.arms, policy.version, policy.source_names, answering.work))

    def _listener(self, request: Request) -> tuple[Listener, list[Fallen]]:
        """What is known of the listener; where the store is away, what the data set holds."""
        if not request.user_id:
            return NOBODY, []
        try:
            return self.listeners.listener(request.user_id), []
        except StoreUnavailableError:
            return self.listeners.known(request.user_id), [Fallen(Fallback.CODE_STATE_UNAVAILABLE)]

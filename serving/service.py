"""RecommendationService: requests into the terms of the bundle, slates into responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from segue.v1 import recommendation_pb2 as pb
from segue.v1.recommendation_pb2 import Fallback
from segue.v1.track_pb2 import ResolvedSeed, TrackReference

from recsys.ragged import Int32
from recsys.ranking.filters import CleanOnly, ExcludeArtists, ExcludeSongs, ExcludeTracks, Filter, NoExplicit
from serving import reasons
from serving.catalogue import Found
from serving.listeners import Listeners
from serving.model import Model
from serving.pipeline import Query, answer
from serving.rpc import Checkpoint
from serving.validation import DEFAULT_LIMIT, Request

Response = pb.RecommendResponse | pb.ContinuePlaylistResponse | pb.SimilarTracksResponse

EXPLICIT: dict[pb.ExplicitFilter.ValueType, list[Filter]] = {
    pb.EXPLICIT_FILTER_UNSPECIFIED: [],
    pb.EXPLICIT_FILTER_ALLOW: [],
    pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT: [NoExplicit()],
    pb.EXPLICIT_FILTER_CLEAN_ONLY: [CleanOnly()],
}


@dataclass(frozen=True)
class RecommendationService:
    """The methods of the proto, on requests that `validation.check` let pass.

    ``model`` gives the bundle of the moment; a request asks once and keeps it to its end.
    """

    model: Callable[[], Model]
    listeners: Listeners

    def Recommend(self, request: pb.RecommendRequest, checkpoint: Checkpoint) -> pb.RecommendResponse:  # noqa: N802
        history, nothing_known = list(request.history), Fallback.CODE_UNKNOWN_TRACKS
        remembered = [] if history else [TrackReference(track_id=i) for i in self.listeners.recent(request.user_id)]
        if not history and not remembered:
            nothing_known = Fallback.CODE_UNKNOWN_LISTENER
        response = pb.RecommendResponse()
        self._answer("home", request, response, history or remembered, nothing_known, checkpoint)
        if remembered:
            # The caller did not name them, so that a track which has left the catalogue is none of the caller's seeds.
            response.ClearField("unknown_seeds")
        return response

    def ContinuePlaylist(  # noqa: N802
        self, request: pb.ContinuePlaylistRequest, checkpoint: Checkpoint
    ) -> pb.ContinuePlaylistResponse:
        response = pb.ContinuePlaylistResponse()
        self._answer("playlist", request, response, request.seeds, Fallback.CODE_UNKNOWN_TRACKS, checkpoint)
        return response

    def SimilarTracks(self, request: pb.SimilarTracksRequest, checkpoint: Checkpoint) -> pb.SimilarTracksResponse:  # noqa: N802
        response = pb.SimilarTracksResponse()
        self._answer("similar", request, response, request.seeds, Fallback.CODE_UNKNOWN_TRACKS, checkpoint)
        return response

    def _answer(
        self,
        surface: str,
        request: Request,
        response: Response,
        seeds: Sequence[TrackReference],
        nothing_known: Fallback.Code.ValueType,
        checkpoint: Checkpoint,
    ) -> None:
        """Fill ``response``: all three look alike."""
        model = self.model()
        catalogue = model.catalogue
        found = catalogue.find(seeds)
        history = _indices(found)
        slate = answer(
            model,
            Query(
                surface,
                history,
                request.limit if request.HasField("limit") else DEFAULT_LIMIT,
                _filters(model, request.filters),
                request.filters.artist_spacing if request.filters.HasField("artist_spacing") else None,
                nothing_known,
                checkpoint,
            ),
        )
        asked_in = {s.source_id.source for s in seeds if s.WhichOneof("reference") == "source_id"}
        response.request_id = request.request_id
        response.bundle = model.name
        for seed, known in zip(seeds, found, strict=True):
            if known is None:
                response.unknown_seeds.append(seed)
            else:
                track = catalogue.track(known.index, asked_in)
                response.seeds.append(
                    ResolvedSeed(asked=seed, track=track, method=known.method, confidence=known.confidence)
                )
        sources = model.sources[surface]
        chosen = slate.candidates
        why = reasons.reasons(model, sources, history, chosen)
        for item, score, number, reason in zip(
            chosen.items.tolist(), chosen.scores.tolist(), chosen.sources.tolist(), why, strict=True
        ):
            response.tracks.append(
                pb.RecommendedTrack(
                    track=catalogue.track(item, asked_in),
                    score=score,
                    source=sources[number].name,
                    reason=reason,
                )
            )
        if slate.fallback is not None:
            response.fallback.CopyFrom(reasons.fallback(slate.fallback, sources[0].name, slate.sources))


def _indices(found: Sequence[Found | None]) -> Int32:
    return np.array([f.index for f in found if f is not None], dtype=np.int32)


def _filters(model: Model, asked: pb.Filters) -> list[Filter]:
    filters = list(EXPLICIT[asked.explicit])
    if asked.exclude_tracks:
        # A name means every track that bears it, an id that one track.
        by_name = [track for track in asked.exclude_tracks if track.HasField("name")]
        by_id = [track for track in asked.exclude_tracks if not track.HasField("name")]
        filters.append(ExcludeSongs(_indices(model.catalogue.find(by_name))))
        filters.append(ExcludeTracks(_indices(model.catalogue.find(by_id))))
    if asked.exclude_artists:
        filters.append(ExcludeArtists(model.catalogue.artists(asked.exclude_artists)))
    return filters

"""A typed client of the server. Needs only the extra `client`: grpcio, protobuf and the generated code.

from serving.client import Client, track

with Client("localhost:50051") as segue:
    answer = segue.continue_playlist([track("Coldplay - Clocks"), track("Keane - Bedshaped")], limit=10)
    for each in answer.tracks:
        print(each.track.title, each.track.artist, each.reason.text)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Self

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from segue.v1 import recommendation_pb2 as pb
from segue.v1.recommendation_pb2_grpc import RecommendationServiceStub
from segue.v1.track_pb2 import TrackName, TrackReference

# Every method only reads, so that asking again is safe. A server that stops turns calls away with UNAVAILABLE; gRPC
# cancels what arrives in its very last moment.
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "segue.v1.RecommendationService"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}


def track(text: str) -> TrackReference:
    """`Artist - Title`, with a dash of any length between spaces, else a track id.

    >>> track("Coldplay - Clocks").name.title, track("yes:12").track_id
    ('Clocks', 'yes:12')
    """
    artist, *title = re.split(r"\s[-\u2013\u2014]\s", text, maxsplit=1)
    if not title:
        return TrackReference(track_id=text)
    return TrackReference(name=TrackName(artist=artist.strip(), title=title[0].strip()))


def violations(error: grpc.RpcError) -> list[tuple[str, str]]:
    """The fields at fault of an INVALID_ARGUMENT, each with what would be right; empty for any other error."""
    status = rpc_status.from_call(error)
    found: list[tuple[str, str]] = []
    for detail in status.details if status else ():
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            found += [(violation.field, violation.description) for violation in bad_request.field_violations]
    return found


class Client:
    """One channel to one server; safe to share among threads. Every method raises grpc.RpcError.

    ``timeout_s`` is the deadline of each call; ``credentials`` make the channel TLS. A call that finds the server away
    or stopping is tried up to three times within its deadline.
    """

    def __init__(
        self,
        address: str = "localhost:50051",
        *,
        timeout_s: float = 5.0,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        # An HTTP proxy of the environment is meant for the web, not for a server inside the platform.
        options = [("grpc.service_config", json.dumps(SERVICE_CONFIG)), ("grpc.enable_http_proxy", 0)]
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options)
        self._stub = RecommendationServiceStub(self._channel)
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def recommend(
        self,
        user_id: str,
        *,
        history: Iterable[TrackReference] = (),
        limit: int | None = None,
        filters: pb.Filters | None = None,
        request_id: str = "",
    ) -> pb.RecommendResponse:
        """The next tracks for a listener. Without ``history`` (oldest first) what the server knows of them counts."""
        request = pb.RecommendRequest(
            request_id=request_id, user_id=user_id, history=history, limit=limit, filters=filters
        )
        response: pb.RecommendResponse = self._stub.Recommend(request, timeout=self._timeout_s)
        return response

    def continue_playlist(
        self,
        seeds: Iterable[TrackReference],
        *,
        limit: int | None = None,
        filters: pb.Filters | None = None,
        request_id: str = "",
    ) -> pb.ContinuePlaylistResponse:
        """More tracks for the playlist that holds ``seeds``, in order."""
        request = pb.ContinuePlaylistRequest(request_id=request_id, seeds=seeds, limit=limit, filters=filters)
        response: pb.ContinuePlaylistResponse = self._stub.ContinuePlaylist(request, timeout=self._timeout_s)
        return response

    def similar_tracks(
        self,
        seeds: Iterable[TrackReference],
        *,
        limit: int | None = None,
        filters: pb.Filters | None = None,
        request_id: str = "",
    ) -> pb.SimilarTracksResponse:
        """Tracks like all of ``seeds`` together."""
        request = pb.SimilarTracksRequest(request_id=request_id, seeds=seeds, limit=limit, filters=filters)
        response: pb.SimilarTracksResponse = self._stub.SimilarTracks(request, timeout=self._timeout_s)
        return response

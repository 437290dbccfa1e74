"""A typed client of the server. Needs only the extra `client`: grpcio, protobuf and the generated code.

from serving.client import Client, event, track

with Client("localhost:50051", api_key="...") as segue:
    answer = segue.recommend("anna", history=[track("Coldplay - Clocks")], limit=10)
    for each in answer.tracks:
        print(each.track.title, each.track.artist, each.reason.text)
    segue.record_events([event("anna", track("Keane - Bedshaped"), "play", request_id=answer.request_id)])
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any, Self

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from segue.v1 import admin_pb2, feedback_pb2
from segue.v1 import recommendation_pb2 as pb
from segue.v1.admin_pb2_grpc import AdminServiceStub
from segue.v1.feedback_pb2_grpc import FeedbackServiceStub
from segue.v1.recommendation_pb2_grpc import RecommendationServiceStub
from segue.v1.track_pb2 import TrackName, TrackReference

from serving.client_stream import acknowledged

# Every method reads, or may be repeated with the same effect. A server that stops turns calls away with UNAVAILABLE;
# gRPC cancels what arrives in its very last moment. One that has too much to do says RESOURCE_EXHAUSTED, and by the
# trailer `grpc-retry-pushback-ms` when to come again, or that it is of no use. The throttle keeps clients from making
# an outage worse: where half of the calls fail, nothing is tried again. StreamEvents has none: `stream_events` opens a
# broken stream anew itself, since it alone knows what was acknowledged.
SERVICE_CONFIG = files("segue.v1").joinpath("service_config.json").read_text()
"""gRPC's own service config (gRFC A2, A6), for clients in any language."""


def track(text: str) -> TrackReference:
    """`Artist - Title`, with a dash of any length between spaces, else a track id.

    >>> track("Coldplay - Clocks").name.title, track("yes:12").track_id
    ('Clocks', 'yes:12')
    """
    artist, *title = re.split(r"\s[-\u2013\u2014]\s", text, maxsplit=1)
    if not title:
        return TrackReference(track_id=text)
    return TrackReference(name=TrackName(artist=artist.strip(), title=title[0].strip()))


def event(user_id: str, heard: TrackReference, action: str, **more: Any) -> feedback_pb2.Event:
    """What a listener did, under a fresh event id: "play", "skip", "like", "dislike", "add" or "remove".

    ``more``: other fields of the message. Raises ValueError for another action.

    >>> event("anna", track("yes:12"), "skip", ms_played=900).ms_played
    900
    """
    kind = feedback_pb2.Event.Action.Value(f"ACTION_{action.upper()}")
    return feedback_pb2.Event(
        **{"event_id": uuid.uuid4().hex, "user_id": user_id, "track": heard, "action": kind, **more}
    )


def tls(
    authority: bytes | None = None, *, certificate: bytes | None = None, key: bytes | None = None
) -> grpc.ChannelCredentials:
    """TLS, in PEM. ``authority`` signed the server's certificate; None: one that this machine trusts. ``certificate``
    and its ``key`` show who calls, where the server asks for that (mTLS)."""
    return grpc.ssl_channel_credentials(authority, key, certificate)


def violations(error: grpc.RpcError) -> list[tuple[str, str]]:
    """The fields at fault of an INVALID_ARGUMENT, each with what would be right; empty for any other error."""
    found: list[tuple[str, str]] = []
    for bad_request in _details(error, error_details_pb2.BadRequest):
        found += [(violation.field, violation.description) for violation in bad_request.field_violations]
    return found


def retry_after(error: grpc.RpcError) -> float | None:
    """Seconds after which the server wants to be asked again; None where it named none."""
    for info in _details(error, error_details_pb2.RetryInfo):
        return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None


def _details(error: grpc.RpcError, kind: Callable[[], Message]) -> Iterator[Any]:
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        detail = kind()
        if packed.Unpack(detail):
            yield detail


class _Connection:
    """One channel, and a stub of each service."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None, options: Sequence[Any]) -> None:
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options)
        else:
            self.channel = grpc.secure_channel(address, credentials, options)
        self.recommendation = RecommendationServiceStub(self.channel)
        self.feedback = FeedbackServiceStub(self.channel)
        self.admin = AdminServiceStub(self.channel)


class Client:
    """Channels to one server; safe to share among threads. Every method raises grpc.RpcError.

    ``timeout_s`` is the deadline of each call. A call that finds the server away, stopping or overloaded is tried up to
    three times within it, as SERVICE_CONFIG says. ``credentials`` (see `tls`) make the channel TLS; ``api_key`` or
    ``token`` (a JWT, or what gives a fresh one for each call) says who calls. A connection ends at one worker of the
    server: who asks a lot opens some ``connections``, which take turns. ``options`` are more of gRPC's own.
    """

    def __init__(
        self,
        address: str = "localhost:50051",
        *,
        timeout_s: float = 5.0,
        api_key: str = "",
        token: str | Callable[[], str] = "",
        credentials: grpc.ChannelCredentials | None = None,
        connections: int = 1,
        options: Iterable[tuple[str, Any]] = (),
    ) -> None:
        given = [
            ("grpc.service_config", SERVICE_CONFIG),
            # An HTTP proxy of the environment is meant for the web, not for a server inside the platform.
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),  # Else channels of one process share a connection.
            *options,
        ]
        self._connections = [_Connection(address, credentials, given) for _ in range(connections)]
        self._turns = itertools.cycle(self._connections)
        self._timeout_s = timeout_s
        self._api_key, self._token = api_key, token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for connection in self._connections:
            connection.channel.close()

    def recommend(
        self,
        user_id: str,
        *,
        history: Iterable[TrackReference] = (),
        limit: int | None = None,
        filters: pb.Filters | None = None,
        surface: str = "",
        bundle: str = "",
        context: str = "",
        request_id: str = "",
    ) -> pb.RecommendResponse:
        """The next tracks for a listener. Without ``history`` (oldest first) what the server knows of them counts."""
        request = pb.RecommendRequest(
            request_id=request_id,
            user_id=user_id,
            history=history,
            limit=limit,
            filters=filters,
            surface=surface,
            bundle=bundle,
            context=context,
        )
        response: pb.RecommendResponse = self._call(next(self._turns).recommendation.Recommend, request)
        return response

    def continue_playlist(
        self,
        seeds: Iterable[TrackReference],
        *,
        limit: int | None = None,
        filters: pb.Filters | None = None,
        bundle: str = "",
        user_id: str = "",
        request_id: str = "",
    ) -> pb.ContinuePlaylistResponse:
        """More tracks for the playlist that holds ``seeds``, in order."""
        request = pb.ContinuePlaylistRequest(
            request_id=request_id, seeds=seeds, limit=limit, filters=filters, bundle=bundle, user_id=user_id
        )
        response: pb.ContinuePlaylistResponse = self._call(next(self._turns).recommendation.ContinuePlaylist, request)
        return response

    def similar_tracks(
        self,
        seeds: Iterable[TrackReference],
        *,
        limit: int | None = None,
        filters: pb.Filters | None = None,
        bundle: str = "",
        user_id: str = "",
        request_id: str = "",
    ) -> pb.SimilarTracksResponse:
        """Tracks like all of ``seeds`` together."""
        request = pb.SimilarTracksRequest(
            request_id=request_id, seeds=seeds, limit=limit, filters=filters, bundle=bundle, user_id=user_id
        )
        response: pb.SimilarTracksResponse = self._call(next(self._turns).recommendation.SimilarTracks, request)
        return response

    def record_events(
        self, events: Iterable[feedback_pb2.Event], *, request_id: str = ""
    ) -> feedback_pb2.RecordEventsResponse:
        """Tell what listeners did, at most 1,000 events; look at ``rejected`` of the response."""
        request = feedback_pb2.RecordEventsRequest(request_id=request_id, events=events)
        response: feedback_pb2.RecordEventsResponse = self._call(next(self._turns).feedback.RecordEvents, request)
        return response

    def stream_events(
        self, events: Iterable[feedback_pb2.Event], *, give_up_s: float = 30.0
    ) -> Iterator[feedback_pb2.EventAcknowledgement]:
        """The acknowledgement of each event, in order, as ``events`` gives them; take them all.

        A stream that breaks is opened anew and what was not acknowledged is sent again, which changes nothing where it
        had been stored. Raises the last error when nothing was acknowledged for ``give_up_s``.
        """
        return acknowledged(
            lambda sent: next(self._turns).feedback.StreamEvents(sent, metadata=self._metadata()), events, give_up_s
        )

    def upsert_tracks(
        self, tracks: Iterable[admin_pb2.CatalogueTrack], *, request_id: str = ""
    ) -> admin_pb2.UpsertTracksResponse:
        """Add tracks to the catalogue, or change them; at most 1,000."""
        response: admin_pb2.UpsertTracksResponse = self._call(
            next(self._turns).admin.UpsertTracks, admin_pb2.UpsertTracksRequest(request_id=request_id, tracks=tracks)
        )
        return response

    def remove_tracks(self, track_ids: Iterable[str], *, request_id: str = "") -> admin_pb2.RemoveTracksResponse:
        """Take tracks out of the catalogue; at most 1,000."""
        request = admin_pb2.RemoveTracksRequest(request_id=request_id, track_ids=track_ids)
        response: admin_pb2.RemoveTracksResponse = self._call(next(self._turns).admin.RemoveTracks, request)
        return response

    def forget_listener(self, user_id: str, *, request_id: str = "") -> admin_pb2.ForgetListenerResponse:
        """Erase all that the server holds of a listener."""
        request = admin_pb2.ForgetListenerRequest(request_id=request_id, user_id=user_id)
        response: admin_pb2.ForgetListenerResponse = self._call(next(self._turns).admin.ForgetListener, request)
        return response

    def explain(self, asked_request_id: str) -> admin_pb2.RequestRecord:
        """What happened to a request that was answered."""
        request = admin_pb2.ExplainRequest(asked_request_id=asked_request_id)
        response: admin_pb2.ExplainResponse = self._call(next(self._turns).admin.Explain, request)
        return response.record

    def _call(self, method: Callable[..., Any], request: Message) -> Any:
        return method(request, timeout=self._timeout_s, metadata=self._metadata())

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        """Of one call: a token may run out between two."""
        if self._api_key:
            return (("x-api-key", self._api_key),)
        token = self._token if isinstance(self._token, str) else self._token()
        return (("authorization", f"Bearer {token}"),) if token else ()

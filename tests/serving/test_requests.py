"""Bad requests are refused with the field at fault; nothing that a client sends is answered by INTERNAL or UNKNOWN."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from segue.v1 import recommendation_pb2 as pb
from segue.v1.track_pb2 import ArtistReference, SourceId, TrackName, TrackReference

from serving.client import track, violations

Call = Callable[[str, bytes], bytes]
SERVICE = pb.DESCRIPTOR.services_by_name["RecommendationService"]
METHODS = [method.name for method in SERVICE.methods]


@pytest.fixture(scope="module")
def call(address: str) -> Iterator[Call]:
    """Sends bytes as they are."""
    with grpc.insecure_channel(address) as channel:
        yield lambda method, raw: channel.unary_unary(f"/{SERVICE.full_name}/{method}")(raw, timeout=10)


def seeds(n: int) -> list[TrackReference]:
    return [track(f"t{i}") for i in range(n)]


LONG = "é" * 257
PLAYLIST = pb.ContinuePlaylistRequest


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (PLAYLIST(), ["seeds"]),
        (pb.SimilarTracksRequest(), ["seeds"]),
        (pb.RecommendRequest(), ["user_id"]),
        (pb.RecommendRequest(user_id="u" * 257), ["user_id"]),
        (pb.RecommendRequest(user_id="u", history=seeds(501)), ["history"]),
        (PLAYLIST(seeds=seeds(501)), ["seeds"]),
        (PLAYLIST(seeds=seeds(1), limit=0), ["limit"]),
        (PLAYLIST(seeds=seeds(1), limit=501), ["limit"]),
        (PLAYLIST(seeds=[track("t1"), TrackReference()]), ["seeds[1]"]),
        (PLAYLIST(seeds=[track("")]), ["seeds[0].track_id"]),
        (PLAYLIST(seeds=[track(LONG)]), ["seeds[0].track_id"]),
        (PLAYLIST(seeds=[TrackReference(name=TrackName(artist="A"))]), ["seeds[0].name.title"]),
        (
            PLAYLIST(seeds=[TrackReference(source_id=SourceId())]),
            ["seeds[0].source_id.source", "seeds[0].source_id.id"],
        ),
        (PLAYLIST(seeds=seeds(1), request_id="x" * 129), ["request_id"]),
        (PLAYLIST(seeds=seeds(1), request_id="a\nb"), ["request_id"]),
        (PLAYLIST(seeds=seeds(1), filters=pb.Filters(artist_spacing=101)), ["filters.artist_spacing"]),
        (PLAYLIST(seeds=seeds(1), filters=pb.Filters(explicit=9)), ["filters.explicit"]),
        (PLAYLIST(seeds=seeds(1), filters=pb.Filters(exclude_tracks=seeds(5001))), ["filters.exclude_tracks"]),
        (
            PLAYLIST(seeds=seeds(1), filters=pb.Filters(exclude_artists=[ArtistReference(name="")])),
            ["filters.exclude_artists[0].name"],
        ),
        (PLAYLIST(limit=0), ["limit", "seeds"]),
        (PLAYLIST(seeds=[TrackReference()] * 500), [f"seeds[{i}]" for i in range(10)]),
    ],
)
def test_the_fields_at_fault_are_named(call: Call, request_: Message, fields: list[str]) -> None:
    method = request_.DESCRIPTOR.name.removesuffix("Request")
    with pytest.raises(grpc.RpcError) as caught:
        call(method, request_.SerializeToString())
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    found = violations(caught.value)
    assert [field for field, _ in found] == fields
    assert all(description for _, description in found)


@pytest.mark.parametrize(
    "request_",
    [
        PLAYLIST(seeds=seeds(500), limit=500, request_id="x" * 128),
        PLAYLIST(seeds=[track("é" * 256)], filters=pb.Filters(exclude_tracks=seeds(5000), artist_spacing=100)),
        pb.RecommendRequest(user_id="u" * 256, history=seeds(500), limit=1),
    ],
)
def test_the_limits_themselves_are_allowed(call: Call, request_: Message) -> None:
    assert call(request_.DESCRIPTOR.name.removesuffix("Request"), request_.SerializeToString())


TEXT = st.text(max_size=8) | st.sampled_from(
    ["t1", "Artist 0", "Title 0", "shop", "s3", "|", "(", "\x00", "İ", "\U0001f3b5"]
)
TRACKS = st.lists(
    st.builds(TrackReference)
    | st.builds(TrackReference, track_id=TEXT)
    | st.builds(TrackReference, name=st.builds(TrackName, artist=TEXT, title=TEXT))
    | st.builds(TrackReference, source_id=st.builds(SourceId, source=TEXT, id=TEXT)),
    max_size=6,
)
ARTISTS = st.lists(st.builds(ArtistReference, artist_id=TEXT) | st.builds(ArtistReference, name=TEXT), max_size=4)
FILTERS = st.builds(
    pb.Filters,
    exclude_tracks=TRACKS,
    exclude_artists=ARTISTS,
    explicit=st.integers(-1, 5),
    artist_spacing=st.none() | st.integers(0, 2**32 - 1) | st.integers(0, 5),
)
COMMON = {
    "limit": st.none() | st.integers(0, 2**32 - 1) | st.integers(0, 600),
    "filters": st.none() | FILTERS,
    "request_id": st.just("") | TEXT,
}
REQUESTS = (
    st.builds(pb.RecommendRequest, user_id=TEXT, history=TRACKS, **COMMON)
    | st.builds(pb.ContinuePlaylistRequest, seeds=TRACKS, **COMMON)
    | st.builds(pb.SimilarTracksRequest, seeds=TRACKS, **COMMON)
)
ALLOWED = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def status(call: Call, method: str, raw: bytes) -> grpc.StatusCode:
    try:
        call(method, raw)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@MANY
@given(REQUESTS)
def test_any_message_is_answered_or_refused(call: Call, request_: Message) -> None:
    method = request_.DESCRIPTOR.name.removesuffix("Request")
    assert status(call, method, request_.SerializeToString()) in ALLOWED


@MANY
@given(st.sampled_from(METHODS), st.binary(max_size=64))
def test_any_bytes_are_answered_or_refused(call: Call, method: str, raw: bytes) -> None:
    assert status(call, method, raw) in ALLOWED


def test_a_method_that_is_not_there(call: Call) -> None:
    assert status(call, "Guess", b"") == grpc.StatusCode.UNIMPLEMENTED

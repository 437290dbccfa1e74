"""What a request of AdminService may hold. The limits are stated in protos/segue/v1/admin.proto."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from google.protobuf.message import Message
from segue.v1 import admin_pb2 as pb

from serving.rpc.validation import (
    MARKET,
    MAX_REQUEST_ID,
    MAX_STRING_BYTES,
    MAX_TAGS,
    MAX_USER_ID_BYTES,
    MAX_VIOLATIONS,
    InvalidRequestError,
    Violation,
    is_day,
    printable_ascii,
    short,
    shown,
    words,
)

MAX_TRACKS = 1_000
MAX_MARKETS = 300
MAX_AUDIO = 1_000
MAX_EMBEDDING = 8_192
MAX_NUMBER = 1e9
"""No feature is larger; what stands for "missing" elsewhere (FLT_MAX) is to be left out."""

REQUIRED = ("track_id", "title", "artist_id", "artist")
OPTIONAL = ("album_title", "licence")


def check(request: Message) -> None:
    """Raise InvalidRequestError if a field breaks its limits."""
    if violations := list(islice(_violations(request), MAX_VIOLATIONS)):
        raise InvalidRequestError(violations)


def _violations(request: Any) -> Iterator[Violation]:
    if len(request.request_id) > MAX_REQUEST_ID or not printable_ascii(request.request_id):
        yield "request_id", f"must be at most {MAX_REQUEST_ID} printable ASCII characters"
    yield from CHECKS[type(request)](request)


def _upsert(request: pb.UpsertTracksRequest) -> Iterator[Violation]:
    yield from _many("tracks", request.tracks)
    if len(request.tracks) > MAX_TRACKS:
        return
    yield from _once("tracks", ".track_id", [track.track_id for track in request.tracks])
    for i, track in enumerate(request.tracks):
        yield from _track(f"tracks[{i}]", track)


def _remove(request: pb.RemoveTracksRequest) -> Iterator[Violation]:
    yield from _many("track_ids", request.track_ids)
    yield from words("track_ids", request.track_ids, MAX_TRACKS)


def _forget(request: pb.ForgetListenerRequest) -> Iterator[Violation]:
    if not request.user_id:
        yield "user_id", "is required"
    yield from short("user_id", request.user_id, MAX_USER_ID_BYTES)


def _explain(request: pb.ExplainRequest) -> Iterator[Violation]:
    asked = request.asked_request_id
    if not 1 <= len(asked) <= MAX_REQUEST_ID or not printable_ascii(asked):
        yield "asked_request_id", f"must be 1 to {MAX_REQUEST_ID} printable ASCII characters"


CHECKS: dict[type[Message], Callable[[Any], Iterator[Violation]]] = {
    pb.UpsertTracksRequest: _upsert,
    pb.RemoveTracksRequest: _remove,
    pb.ForgetListenerRequest: _forget,
    pb.ExplainRequest: _explain,
}


def _many(field: str, values: Sequence[object]) -> Iterator[Violation]:
    if not 1 <= len(values) <= MAX_TRACKS:
        yield field, f"must hold 1 to {MAX_TRACKS:,}, holds {len(values):,}"


def _once(field: str, part: str, ids: Sequence[str]) -> Iterator[Violation]:
    first: dict[str, int] = {}
    for i, track_id in enumerate(ids):
        if first.setdefault(track_id, i) != i:
            yield f"{field}[{i}]{part}", f"is that of {field}[{first[track_id]}] too"


def _track(at: str, track: pb.CatalogueTrack) -> Iterator[Violation]:
    for name in REQUIRED:
        if not getattr(track, name):
            yield f"{at}.{name}", "is required"
        yield from short(f"{at}.{name}", getattr(track, name), MAX_STRING_BYTES)
    for name in OPTIONAL:
        yield from short(f"{at}.{name}", getattr(track, name), MAX_STRING_BYTES)
    if track.HasField("release_date") and not is_day(track.release_date):
        yield f"{at}.release_date", f"must be a day as YYYY-MM-DD, is {shown(track.release_date)}"
    if track.duration_ms < 0:
        yield f"{at}.duration_ms", f"must be 0 or more, is {track.duration_ms}"
    if len(track.markets) > MAX_MARKETS:
        yield f"{at}.markets", f"must hold at most {MAX_MARKETS}, holds {len(track.markets)}"
    for i, market in enumerate(track.markets[:MAX_MARKETS]):
        if not MARKET.fullmatch(market):
            yield f"{at}.markets[{i}]", f"must be an ISO 3166-1 alpha-2 code such as SE, is {shown(market)}"
    yield from words(f"{at}.tags", track.tags, MAX_TAGS)
    if len(track.audio) > MAX_AUDIO:
        yield f"{at}.audio", f"must hold at most {MAX_AUDIO:,}, holds {len(track.audio):,}"
    for name, value in sorted(track.audio.items()):
        if not abs(value) <= MAX_NUMBER:
            yield f"{at}.audio[{shown(name)}]", f"must be a number from -1e9 to 1e9, is {value}"
    if len(track.embedding) > MAX_EMBEDDING:
        yield f"{at}.embedding", f"must hold at most {MAX_EMBEDDING:,} numbers, holds {len(track.embedding):,}"
    for i, value in enumerate(track.embedding):
        if not abs(value) <= MAX_NUMBER:
            yield f"{at}.embedding[{i}]", f"must be a number from -1e9 to 1e9, is {value}"

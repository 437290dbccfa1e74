"""What a request may hold. The limits are stated in protos/segue/v1 and docs/serving.md."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from itertools import islice

from google.protobuf.message import Message
from segue.v1 import recommendation_pb2 as pb
from segue.v1 import track_pb2

DEFAULT_LIMIT = 20
MAX_LIMIT = 500
MAX_SEEDS = 500
MAX_EXCLUDED_TRACKS = 5_000
MAX_EXCLUDED_ARTISTS = 1_000
MAX_ONLY_TRACKS = 5_000
MAX_ONLY_ARTISTS = 1_000
MAX_TAGS = 100
MAX_LICENCES = 100
MAX_SPACING = 100
SURFACES = ("", "home", "radio")
MAX_STRING_BYTES = 512
MAX_USER_ID_BYTES = 256
MAX_REQUEST_ID = 128
MAX_VIOLATIONS = 10
"""Told at once: gRPC carries them in headers, of which most peers take 8 KiB."""
MAX_SHOWN = 20
"""Characters of a value at fault that are told."""
MARKET = re.compile("[A-Z]{2}")
DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")

Violation = tuple[str, str]
"""The field at fault, as `seeds[3].name.title`, and what would be right."""

Request = pb.RecommendRequest | pb.ContinuePlaylistRequest | pb.SimilarTracksRequest


class InvalidRequestError(Exception):
    """Holds the first violations of a request."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("; ".join(f"{field}: {description}" for field, description in violations))
        self.violations = violations


def check(request: Request) -> None:
    """Raise InvalidRequestError if a field breaks its limits."""
    if violations := list(islice(_violations(request), MAX_VIOLATIONS)):
        raise InvalidRequestError(violations)


def _violations(request: Request) -> Iterator[Violation]:
    if len(request.request_id) > MAX_REQUEST_ID or not printable_ascii(request.request_id):
        yield "request_id", f"must be at most {MAX_REQUEST_ID} printable ASCII characters"
    if request.HasField("limit") and not 1 <= request.limit <= MAX_LIMIT:
        yield "limit", f"must be 1 to {MAX_LIMIT}, is {request.limit}"
    yield from short("user_id", request.user_id, MAX_USER_ID_BYTES)
    yield from short("bundle", request.bundle, MAX_STRING_BYTES)
    if isinstance(request, pb.RecommendRequest):
        if not request.user_id:
            yield "user_id", "is required"
        if request.surface not in SURFACES:
            yield "surface", f"must be {' or '.join(filter(None, SURFACES))}, is {shown(request.surface)}"
        yield from short("context", request.context, MAX_STRING_BYTES)
        yield from _references("history", request.history, MAX_SEEDS)
    else:
        if not request.seeds:
            yield "seeds", "must hold at least one track"
        yield from _references("seeds", request.seeds, MAX_SEEDS)
    yield from _filters(request.filters)


def short(field: str, text: str, most: int) -> Iterator[Violation]:
    if len(text.encode()) > most:
        yield field, f"must be at most {most} bytes, is {len(text.encode())}"


def printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _filters(filters: pb.Filters) -> Iterator[Violation]:
    yield from _references("filters.exclude_tracks", filters.exclude_tracks, MAX_EXCLUDED_TRACKS)
    yield from _references("filters.exclude_artists", filters.exclude_artists, MAX_EXCLUDED_ARTISTS)
    if filters.explicit not in pb.ExplicitFilter.values():
        yield "filters.explicit", f"must be one of {', '.join(pb.ExplicitFilter.keys())}, is {filters.explicit}"
    if filters.artist_spacing > MAX_SPACING:
        yield "filters.artist_spacing", f"must be 0 to {MAX_SPACING}, is {filters.artist_spacing}"
    yield from _references("filters.only_tracks", filters.only_tracks, MAX_ONLY_TRACKS)
    yield from _references("filters.only_artists", filters.only_artists, MAX_ONLY_ARTISTS)
    if filters.market and not MARKET.fullmatch(filters.market):
        yield "filters.market", f"must be an ISO 3166-1 alpha-2 code such as SE, is {shown(filters.market)}"
    yield from _release_range(filters.released_from, filters.released_to)
    yield from words("filters.any_tags", filters.any_tags, MAX_TAGS)
    yield from words("filters.exclude_tags", filters.exclude_tags, MAX_TAGS)
    yield from words("filters.licences", filters.licences, MAX_LICENCES)


def _release_range(first: str, last: str) -> Iterator[Violation]:
    days = {"filters.released_from": first, "filters.released_to": last}
    wrong = [field for field, text in days.items() if text and not is_day(text)]
    for field in wrong:
        yield field, f"must be a day as YYYY-MM-DD, is {shown(days[field])}"
    if first and last and not wrong and first > last:
        yield "filters.released_to", f"must not be before released_from, {first}, is {last}"


def is_day(text: str) -> bool:
    if not DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def shown(text: str) -> str:
    """Short: errors travel in headers."""
    return repr(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")


def words(field: str, words: Collection[str], most: int) -> Iterator[Violation]:
    if len(words) > most:
        yield field, f"must hold at most {most}, holds {len(words)}"
        return
    for i, word in enumerate(words):
        yield from _strings(f"{field}[{i}]", word)


def _references(
    field: str, references: Iterable[track_pb2.TrackReference | track_pb2.ArtistReference], most: int
) -> Iterator[Violation]:
    references = list(references)
    if len(references) > most:
        yield field, f"must hold at most {most}, holds {len(references)}"
        return
    for i, reference in enumerate(references):
        which = reference.WhichOneof("reference")
        if which is None:
            names = ", ".join(f.name for f in reference.DESCRIPTOR.oneofs_by_name["reference"].fields)
            yield f"{field}[{i}]", f"must set one of {names}"
        else:
            yield from _strings(f"{field}[{i}].{which}", getattr(reference, which))


def _strings(field: str, value: str | Message) -> Iterator[Violation]:
    """A string must be filled and short; in a message every string must."""
    if isinstance(value, str):
        if not 1 <= len(value.encode()) <= MAX_STRING_BYTES:
            yield field, f"must be 1 to {MAX_STRING_BYTES} bytes, is {len(value.encode())}"
    else:
        for part in value.DESCRIPTOR.fields:
            yield from _strings(f"{field}.{part.name}", getattr(value, part.name))

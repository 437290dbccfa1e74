"""What an event may hold. The limits are stated in protos/segue/v1/feedback.proto."""

from __future__ import annotations

from collections.abc import Iterator

from segue.v1 import feedback_pb2 as pb
from segue.v1.track_pb2 import TrackReference

from serving.rpc.validation import MAX_REQUEST_ID, MAX_STRING_BYTES, MAX_USER_ID_BYTES, InvalidRequestError, Violation

MAX_EVENTS = 1_000
MAX_SHORT_BYTES = 128
MAX_AHEAD_US = 86_400 * 1_000_000
ACTIONS = {
    number: name.removeprefix("ACTION_").lower()
    for name, number in pb.Event.Action.items()
    if number != pb.Event.ACTION_UNSPECIFIED
}
"""Of the proto -> of recsys.schema."""


def check_events(request: pb.RecordEventsRequest) -> None:
    """Raise InvalidRequestError where the call as a whole breaks its limits; its events are looked at one by one."""
    violations = []
    if request.request_id and not _is_id(request.request_id):
        violations.append(("request_id", f"must be at most {MAX_REQUEST_ID} printable ASCII characters"))
    if not 1 <= len(request.events) <= MAX_EVENTS:
        violations.append(("events", f"must hold 1 to {MAX_EVENTS:,}, holds {len(request.events):,}"))
    if violations:
        raise InvalidRequestError(violations)


def fault(event: pb.Event, now_us: int) -> Violation | None:
    """The first field that breaks its limits; None: none does. now_us: microseconds since 1970 UTC."""
    return next(_faults(event, now_us), None)


def ts_us(event: pb.Event) -> int:
    """Microseconds since 1970 UTC."""
    return int(event.ts.seconds) * 1_000_000 + event.ts.nanos // 1_000


def _faults(event: pb.Event, now_us: int) -> Iterator[Violation]:
    if not _is_id(event.event_id):
        yield "event_id", f"must be 1 to {MAX_REQUEST_ID} printable ASCII characters"
    if not event.user_id:
        yield "user_id", "is required"
    yield from _short("user_id", event.user_id, MAX_USER_ID_BYTES)
    yield from _track(event.track)
    if event.action not in ACTIONS:
        names = ", ".join(pb.Event.Action.Name(number) for number in ACTIONS)
        yield "action", f"must be one of {names}, is {event.action}"
    if event.HasField("ts"):
        if not 0 <= event.ts.nanos < 1_000_000_000:
            yield "ts", f"its nanos must be 0 to 999,999,999, are {event.ts.nanos:,}"
        if not 0 <= ts_us(event) <= now_us + MAX_AHEAD_US:
            yield "ts", "must be from 1970 on, and at most a day ahead of the server's clock"
    yield from _short("session_id", event.session_id, MAX_SHORT_BYTES)
    yield from _short("source", event.source, MAX_SHORT_BYTES)
    yield from _short("context", event.context, MAX_STRING_BYTES)
    if event.request_id and not _is_id(event.request_id):
        yield "request_id", f"must be at most {MAX_REQUEST_ID} printable ASCII characters"


def _track(track: TrackReference) -> Iterator[Violation]:
    which = track.WhichOneof("reference")
    if which is None:
        yield "track", "must set one of " + ", ".join(f.name for f in track.DESCRIPTOR.oneofs[0].fields)
        return
    value = getattr(track, which)
    parts = [value] if isinstance(value, str) else [getattr(value, part.name) for part in value.DESCRIPTOR.fields]
    if not all(1 <= len(part.encode()) <= MAX_STRING_BYTES for part in parts):
        yield f"track.{which}", f"must be filled, each of its texts with at most {MAX_STRING_BYTES} bytes"


def _short(field: str, text: str, most: int) -> Iterator[Violation]:
    if len(text.encode()) > most:
        yield field, f"must be at most {most} bytes, is {len(text.encode())}"


def _is_id(text: str) -> bool:
    return 1 <= len(text) <= MAX_REQUEST_ID and text.isascii() and text.isprintable()

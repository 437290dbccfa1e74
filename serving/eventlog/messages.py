"""Events and answers as the bytes of Kafka's messages: segue.v1.Event and segue.v1.RequestRecord."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from segue.v1 import feedback_pb2
from segue.v1.track_pb2 import TrackReference

from serving.events import Event

_PREFIX = "ACTION_"


def event_bytes(event: Event) -> bytes:
    """
    >>> event = Event("e1", "u1", "yes:7", 1_000_001, "play", ms_played=0)
    >>> event_of(event_bytes(event)) == event
    True
    """
    ts = Timestamp()
    ts.FromMicroseconds(event.ts_us)
    return feedback_pb2.Event(
        event_id=event.event_id,
        user_id=event.user_id,
        track=TrackReference(track_id=event.track_id),
        action=feedback_pb2.Event.Action.Value(_PREFIX + event.action.upper()),
        ts=ts,
        ms_played=event.ms_played,
        session_id=event.session_id,
        source=event.source,
        context=event.context,
        request_id=event.request_id,
    ).SerializeToString()


def event_of(text: bytes) -> Event:
    message = feedback_pb2.Event.FromString(text)
    return Event(
        event_id=message.event_id,
        user_id=message.user_id,
        track_id=message.track.track_id,
        ts_us=message.ts.ToMicroseconds(),
        action=feedback_pb2.Event.Action.Name(message.action).removeprefix(_PREFIX).lower(),
        ms_played=message.ms_played if message.HasField("ms_played") else None,
        session_id=message.session_id,
        source=message.source,
        context=message.context,
        request_id=message.request_id,
    )

"""An event as the server keeps it: resolved, with its time filled in; a row of recsys.schema.EVENTS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a listener did. Optional strings are empty where nothing was said."""

    event_id: str
    user_id: str
    track_id: str
    ts_us: int
    """Microseconds since 1970 UTC."""
    action: str
    """One of recsys.schema.ACTIONS."""
    ms_played: int | None = None
    session_id: str = ""
    source: str = ""
    context: str = ""
    request_id: str = ""

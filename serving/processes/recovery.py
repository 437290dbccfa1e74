"""After a cut of power: what the event log knows and the listeners' state does not."""

from __future__ import annotations

import structlog

from serving.eventlog.base import EventLog
from serving.eventlog.embedded import EmbeddedLog
from serving.store.base import Store
from serving.store.replay import replay

log = structlog.get_logger("segue.recovery")


def catch_up(store: Store, events: EventLog) -> None:
    """Bring the state up to the log. To be done once, before any worker starts.

    A log in Kafka has no one order to go by; what was acknowledged is in the state already.
    Raises StoreUnavailableError and LogUnavailableError.
    """
    if isinstance(events, EmbeddedLog) and (count := replay(events, store.listeners)):
        log.info("events replayed into the state", events=count)

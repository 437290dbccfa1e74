"""The event log of many machines: two Kafka topics whose messages are encrypted, each under its listener's key.

Nothing in Kafka can be changed or deleted by listener; so what is forgotten is the key (crypto-shredding).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from segue.v1.admin_pb2 import RequestRecord

from serving.eventlog.base import PAGE, Page
from serving.eventlog.delivery import Delivery
from serving.eventlog.keys import KeyStore
from serving.eventlog.messages import event_bytes, event_of
from serving.eventlog.sealing import key_id, opened, seal
from serving.eventlog.settings import LogSettings
from serving.eventlog.topics import Topic
from serving.events import Event

_Row = TypeVar("_Row")

REMEMBERED = 100_000
"""Event ids that a process remembers to have delivered."""


class KafkaLog:
    """See `EventLog`. A message's Kafka key is the id of its listener's key, so that a listener's events stay in order.

    An event that is sent again is delivered again, unless this process remembers it; readers drop the second one.
    """

    def __init__(self, settings: LogSettings, keys: KeyStore) -> None:
        options = {"bootstrap.servers": settings.brokers, **settings.options}
        self._keys = keys
        self._delivery = Delivery(options, settings.timeout_s)
        self._names = (settings.events_topic, settings.records_topic)
        self._events, self._records = (Topic(name, options, settings.timeout_s) for name in self._names)
        self._delivered = _Remembered()

    def append(self, events: Sequence[Event]) -> list[bool]:
        new = self._delivered.missing([event.event_id for event in events])
        fresh = [event for event, is_new in zip(events, new, strict=True) if is_new]
        self._send(self._names[0], [(event.user_id, event_bytes(event)) for event in fresh])
        self._delivered.add([event.event_id for event in fresh])
        return new

    def append_records(self, records: Sequence[RequestRecord]) -> None:
        self._send(self._names[1], [(record.user_id, record.SerializeToString()) for record in records])

    def events(self, after: str = "", limit: int = PAGE) -> Iterator[Page[Event]]:
        return self._pages(self._events, after, limit, event_of, lambda event: event.event_id)

    def records(self, after: str = "", limit: int = PAGE) -> Iterator[Page[RequestRecord]]:
        return self._pages(self._records, after, limit, RequestRecord.FromString, _identity)

    def held(self, user_id: str) -> dict[str, int]:
        return {"keys": self._keys.held(user_id)}

    def forget(self, user_id: str) -> dict[str, int]:
        self._delivered.clear()
        return {"keys": self._keys.destroy(user_id)}

    def close(self) -> None:
        self._delivery.close()
        self._keys.close()

    def _send(self, topic: str, texts: Sequence[tuple[str, bytes]]) -> None:
        keys = self._keys.keys({user_id for user_id, _ in texts})
        sealed = [seal(keys[user_id], text) for user_id, text in texts]
        partition_keys = [keys[user_id].id if user_id else None for user_id, _ in texts]
        self._delivery.deliver(topic, list(zip(partition_keys, sealed, strict=True)))

    def _pages(
        self,
        topic: Topic,
        after: str,
        limit: int,
        parsed: Callable[[bytes], _Row],
        identity: Callable[[_Row], object],
    ) -> Iterator[Page[_Row]]:
        seen: set[int] = set()
        for messages, cursor in topic.pages(after, limit):
            secrets = self._keys.secrets({key_id(message) for message in messages})
            known = ((message, secrets[key_id(message)]) for message in messages if key_id(message) in secrets)
            rows = [parsed(text) for message, secret in known if (text := opened(message, secret)) is not None]
            fresh: dict[int, _Row] = {}
            for row in rows:
                if (mark := hash(identity(row))) not in seen:
                    fresh.setdefault(mark, row)
            yield Page(list(fresh.values()), cursor)
            seen.update(fresh)


def _identity(record: RequestRecord) -> object:
    return record.request_id, record.ts.ToMicroseconds()


class _Remembered:
    """The latest event ids that were delivered."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def missing(self, ids: Sequence[str]) -> list[bool]:
        """(n,) True for the first of each id that is not remembered."""
        with self._lock:
            first = {event_id: place for place, event_id in reversed(list(enumerate(ids)))}
            return [first[event_id] == place and event_id not in self._ids for place, event_id in enumerate(ids)]

    def add(self, ids: Sequence[str]) -> None:
        with self._lock:
            self._ids.update(dict.fromkeys(ids))
            while len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._ids.clear()

"""The store of any number of machines: one Redis, or a primary with replicas; not a Redis Cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

from serving.events import Event
from serving.store import state
from serving.store.base import READ_MOST, Listener, Record, StoreUnavailableError, by_listener
from serving.store.settings import StateSettings

REST_S = 0.2
"""So long after a failure every call fails at once, so that a Redis that hangs costs few callers its timeout."""
TRIES = 100
"""At changing a listener's state while others change it too; in each round one of them comes through."""


class RedisStore:
    """Connections are made when needed, and made anew after a restart of Redis."""

    def __init__(self, settings: StateSettings) -> None:
        client = Redis.from_url(
            settings.url,
            socket_timeout=settings.timeout_s,
            socket_connect_timeout=settings.timeout_s,
            # A connection that an earlier restart of Redis has cut is noticed by its first use.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
            client_name="segue",
        )
        self._server = _Server(client)
        self.listeners = RedisListeners(self._server, state.Limits(settings.plays, settings.opinions))
        self.catalogue = RedisCatalogueLog(self._server)
        self.requests = RedisRequests(self._server, settings.requests, settings.requests_ttl_s)
        self.quotas = RedisQuotas(self._server)

    def ping(self) -> None:
        with self._server.reached() as redis:
            redis.ping()

    def close(self) -> None:
        self._server.client.close()


class _Server:
    """Redis, or the reason why not."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self._away_until = 0.0

    @contextmanager
    def reached(self) -> Iterator[Any]:
        """The client; of any type, since redis-py says of each answer that it may have to be awaited."""
        if time.monotonic() < self._away_until:
            raise StoreUnavailableError("Redis did not answer a moment ago")
        try:
            yield self.client
        except RedisError as error:
            if isinstance(error, (ConnectionError, TimeoutError)):
                self._away_until = time.monotonic() + REST_S
            raise StoreUnavailableError(f"Redis: {error}") from error


REVISION = 8
"""Random bytes before a listener's state, by which a writer sees that it is still what was read."""
REPLACE = """
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[2] - 1) ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
"""Of a new listener the revision read is empty, and so must the whole value be: GETRANGE up to -1 gives all of it."""
RAISE = """
if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or 0) then redis.call('SET', KEYS[1], ARGV[1]) end
"""


class RedisListeners:
    """See ListenerStore: a string a listener, changed by compare and set."""

    def __init__(self, server: _Server, limits: state.Limits) -> None:
        self._server = server
        self._limits = limits
        self._replace = server.client.register_script(REPLACE)
        self._raise = server.client.register_script(RAISE)

    def get(self, user_id: str) -> Listener:
        return self.get_many([user_id])[0]

    def get_many(self, user_ids: Sequence[str]) -> list[Listener]:
        return [state.listener(found[REVISION:]) for found in self._read(user_ids)]

    def apply(self, events: Sequence[Event]) -> None:
        waiting = by_listener(events)
        for _ in range(TRIES):
            changed = self._changed(waiting)
            if not changed:
                return
            with self._server.reached() as redis, redis.pipeline(transaction=False) as batch:
                for user_id, (before, after) in changed.items():
                    self._replace([self._key(user_id)], [os.urandom(REVISION) + after, before[:REVISION]], batch)
                replaced = batch.execute()
            waiting = {user: waiting[user] for user, done in zip(changed, replaced, strict=True) if not done}
        raise StoreUnavailableError(f"Redis: {len(waiting)} listeners changed under each of {TRIES} tries")

    def forget(self, user_id: str) -> dict[str, int]:
        with self._server.reached() as redis:
            found = redis.getdel(self._key(user_id))
        return state.sizes(found[REVISION:]) if found else {}

    def applied(self) -> int:
        with self._server.reached() as redis:
            return int(redis.get("segue:applied") or 0)

    def set_applied(self, offset: int) -> None:
        with self._server.reached():
            self._raise(["segue:applied"], [offset])

    def _changed(self, waiting: dict[str, list[Event]]) -> dict[str, tuple[bytes, bytes]]:
        """Listener -> what was read, revision first, and the state that it becomes; of those that change."""
        found = zip(waiting, self._read(list(waiting)), strict=True)
        joined = {
            user: (before, state.joined(before[REVISION:], waiting[user], self._limits)) for user, before in found
        }
        return {user: (before, after) for user, (before, after) in joined.items() if after != before[REVISION:]}

    def _read(self, user_ids: Sequence[str]) -> list[bytes]:
        if not user_ids:
            return []
        with self._server.reached() as redis:
            return [found or b"" for found in redis.mget([self._key(user_id) for user_id in user_ids])]

    @staticmethod
    def _key(user_id: str) -> str:
        return f"segue:listener:{user_id}"


class RedisCatalogueLog:
    """See CatalogueLog: a list, whose length is the version."""

    KEY = "segue:catalogue"

    def __init__(self, server: _Server) -> None:
        self._server = server

    def append(self, entries: Sequence[bytes]) -> int:
        if not entries:
            return self.version()
        with self._server.reached() as redis:
            return int(redis.rpush(self.KEY, *entries))

    def read(self, after: int) -> list[tuple[int, bytes]]:
        with self._server.reached() as redis:
            return list(enumerate(redis.lrange(self.KEY, after, after + READ_MOST - 1), start=after + 1))

    def version(self) -> int:
        with self._server.reached() as redis:
            return int(redis.llen(self.KEY))


PUT = """
local time = redis.call('TIME')
local now, ttl, most = time[1] * 1e6 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, #ARGV, 3 do
    local id, user = ARGV[i], ARGV[i + 1]
    redis.call('HSET', 'segue:request:' .. id, 'user', user, 'body', ARGV[i + 2])
    redis.call('PEXPIRE', 'segue:request:' .. id, math.ceil(ttl / 1e3))
    redis.call('ZADD', KEYS[1], now + i, id)
    if user ~= '' then
        local of = 'segue:requests-of:' .. user
        redis.call('ZADD', of, now + i, id)
        redis.call('ZREMRANGEBYSCORE', of, '-inf', now - ttl)
        redis.call('PEXPIRE', of, math.ceil(ttl / 1e3))
    end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ttl)
local excess = redis.call('ZCARD', KEYS[1]) - most
if excess > 0 then
    local oldest = redis.call('ZPOPMIN', KEYS[1], excess)
    for i = 1, #oldest, 2 do redis.call('DEL', 'segue:request:' .. oldest[i]) end
end
"""
FORGET = """
local of, erased = 'segue:requests-of:' .. ARGV[1], 0
for _, id in ipairs(redis.call('ZRANGE', of, 0, -1)) do
    if redis.call('HGET', 'segue:request:' .. id, 'user') == ARGV[1] then
        erased = erased + redis.call('DEL', 'segue:request:' .. id)
        redis.call('ZREM', KEYS[1], id)
    end
end
redis.call('DEL', of)
return erased
"""


class RedisRequests:
    """See RequestStore: a hash a record, which Redis lets expire; sorted sets know the order, and whose they are."""

    KEY = "segue:requests"

    def __init__(self, server: _Server, most: int, ttl_s: float) -> None:
        self._server = server
        self._limits = (round(ttl_s * 1e6), most)
        self._put = server.client.register_script(PUT)
        self._forget = server.client.register_script(FORGET)

    def put(self, records: Sequence[Record]) -> None:
        with self._server.reached():
            self._put([self.KEY], [*self._limits, *(part for record in records for part in record)])

    def get(self, request_id: str) -> bytes | None:
        with self._server.reached() as redis:
            body: bytes | None = redis.hget(f"segue:request:{request_id}", "body")
            return body

    def forget(self, user_id: str) -> int:
        with self._server.reached():
            return int(self._forget([self.KEY], [user_id]))


TAKE = """
local cost, rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time, bucket = redis.call('TIME'), redis.call('HMGET', KEYS[1], 'tokens', 'at')
local now = time[1] + time[2] / 1e6
local tokens = tonumber(bucket[1]) or burst
tokens = math.min(burst, tokens + math.max(0, now - (tonumber(bucket[2]) or now)) * rate)
local granted = tokens >= cost
redis.call('HSET', KEYS[1], 'tokens', granted and tokens - cost or tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(1000 * burst / rate) + 1000)
return granted and '0' or string.format('%.17g', (cost - tokens) / rate)
"""
"""A number that a script returns is cut to an integer, a text is not."""


class RedisQuotas:
    """See QuotaStore. By Redis's clock, so that those of the machines need not agree."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._take = server.client.register_script(TAKE)

    def take(self, client: str, cost: int, per_second: float, burst: int) -> float:
        with self._server.reached():
            return float(self._take([f"segue:quota:{client}"], [cost, per_second, burst]))

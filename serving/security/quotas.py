"""How much each client may ask, over all workers: the store's token buckets, drawn from some at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from serving.security.clients import Caller
from serving.store.base import QuotaStore, StoreUnavailableError

log = structlog.get_logger("segue.security")

LEASE_S = 0.1
"""A worker draws what a client may ask in this time at once: ten trips to the store a second in place of thousands. The
workers together may hold so much back from each other, and no more."""
KEPT_S = 1.0
"""What was drawn and not used by then is forgotten."""
AWAY_S = 1.0
"""A store that did not answer is left alone so long."""


class LocalQuotas:
    """Token buckets of this process alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str, cost: int, per_second: float, burst: int) -> float:
        """As serving.store.base.QuotaStore."""
        with self._lock:
            now = self._clock()
            held, then = self._buckets.get(client, (float(burst), now))
            held = min(float(burst), held + max(now - then, 0.0) * per_second)
            if held >= cost:
                self._buckets[client] = held - cost, now
                return 0.0
            self._buckets[client] = held, now
            return (cost - held) / per_second


class _Lease:
    """What this worker has drawn of one client's bucket."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held = 0
        self.until = 0.0
        self.empty_until = 0.0


class Quotas:
    """Draws from ``store``; where it is away from a bucket of this worker, as much again for each: a listener's request
    counts for more than an exact account. ``degraded`` is told of every such moment.
    """

    def __init__(
        self,
        store: QuotaStore | None = None,
        *,
        degraded: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._local = LocalQuotas(clock)
        self._degraded = degraded
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._away_until = 0.0

    def take(self, caller: Caller) -> float:
        """0: the caller may ask. Else how many seconds later it may."""
        if not caller.per_second:
            return 0.0
        lease = self._leases.get(caller.name) or self._leases.setdefault(caller.name, _Lease())
        with lease.lock:
            now = self._clock()
            if lease.held and now < lease.until:
                lease.held -= 1
                return 0.0
            if now < lease.empty_until:
                return lease.empty_until - now
            many = max(1, min(int(caller.per_second * LEASE_S), caller.burst))
            wait_s = self._draw(caller, many)
            if wait_s and many > 1:
                many, wait_s = 1, self._draw(caller, 1)
            if wait_s:
                lease.empty_until = now + wait_s
                return wait_s
            lease.held, lease.until = many - 1, now + KEPT_S
            return 0.0

    def _draw(self, caller: Caller, cost: int) -> float:
        now = self._clock()
        if self._store is not None and now >= self._away_until:
            try:
                return self._store.take(caller.name, cost, caller.per_second, caller.burst)
            except StoreUnavailableError as error:
                self._away_until = now + AWAY_S
                self._degraded()
                log.warning("quotas kept by each worker alone", error=str(error))
        return self._local.take(caller.name, cost, caller.per_second, caller.burst)

"""What Redis keeps on disk, written anew: a deleted key stays in its files until then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from serving.store.base import StoreUnavailableError

_PAUSE_S = 0.1


def rewrite(address: str, timeout_s: float = 600.0) -> bool:
    """Have Redis write its append-only file and its snapshot anew, if it keeps them, and wait until it has.

    False where it does not let us (a managed one): its files hold the old values until it writes them by itself. Raises
    StoreUnavailableError where it is away or cannot write.
    """
    try:
        with Redis.from_url(address, socket_timeout=10.0) as redis:
            try:
                if redis.config_get("appendonly")["appendonly"] == "yes":
                    _anew(redis, redis.bgrewriteaof, "aof_rewrite", "aof_last_bgrewrite_status", timeout_s)
                if redis.config_get("save")["save"]:
                    _anew(redis, redis.bgsave, "rdb_bgsave", "rdb_last_bgsave_status", timeout_s)
            except ResponseError:
                return False
    except RedisError as error:
        raise StoreUnavailableError(f"Redis: {error}") from error
    return True


def _anew(redis: Any, start: Callable[[], object], job: str, status: str, timeout_s: float) -> None:
    _wait(redis, job, timeout_s)  # One that is under way may have passed over the key before it was deleted.
    start()
    _wait(redis, job, timeout_s)
    if (ended := redis.info("persistence")[status]) != "ok":
        raise StoreUnavailableError(f"Redis could not write its files anew ({status}: {ended}); is its disk full?")


def _wait(redis: Any, job: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while any(redis.info("persistence").get(f"{job}_{state}") for state in ("in_progress", "scheduled")):
        if time.monotonic() > deadline:
            raise StoreUnavailableError(f"Redis has not written its files within {timeout_s:.0f} s")
        time.sleep(_PAUSE_S)

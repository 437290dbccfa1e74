"""A key a listener, under which Kafka's messages are encrypted: to destroy it is to forget the listener.

Whoever can read a key store can read the messages: guard it as the events themselves.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from recsys.errors import MissingError
from serving.eventlog.base import LogUnavailableError
from serving.sqlite import SqliteFile

ID_BYTES = 16
SECRET_BYTES = 32
_VARIABLES = 900
"""Values that one SQLite statement takes, at least."""


@dataclass(frozen=True, slots=True)
class Key:
    """Both parts are random: the id, which stands in every message, tells nothing of the listener."""

    id: bytes
    secret: bytes

    @classmethod
    def new(cls) -> Key:
        return cls(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))


class KeyStore(Protocol):
    """Shared by all processes of one log. Every method raises LogUnavailableError where the store is away."""

    def keys(self, user_ids: Collection[str]) -> dict[str, Key]:
        """The keys of these listeners; a listener without one gets one, and it is stored before it is given."""
        ...

    def secrets(self, key_ids: Collection[bytes]) -> dict[bytes, bytes]:
        """Key id -> secret. One that was destroyed is not in it."""
        ...

    def held(self, user_id: str) -> int:
        """How many keys the listener has: 1 or 0."""
        ...

    def destroy(self, user_id: str) -> int:
        """How many keys there were: 1 or 0. A key that is made for the listener later is another one."""
        ...

    def close(self) -> None: ...


class EmbeddedKeys:
    """Keys in a SQLite file, for the processes of one machine."""

    def __init__(self, file: Path, timeout_s: float) -> None:
        self._database = SqliteFile(
            file,
            ["CREATE TABLE keys (user_id TEXT PRIMARY KEY, secret BLOB NOT NULL, id BLOB NOT NULL UNIQUE)"],
            version=1,
            synchronous="FULL",
            timeout_s=timeout_s,
            unavailable=LogUnavailableError,
        )

    def keys(self, user_ids: Collection[str]) -> dict[str, Key]:
        found = self._found(user_ids)
        if missing := [user_id for user_id in set(user_ids) if user_id not in found]:
            fresh = [Key.new() for _ in missing]
            with self._database.transaction() as connection:
                connection.executemany(
                    "INSERT INTO keys (user_id, id, secret) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    [(user_id, key.id, key.secret) for user_id, key in zip(missing, fresh, strict=True)],
                )
            found |= self._found(missing)
        return found

    def secrets(self, key_ids: Collection[bytes]) -> dict[bytes, bytes]:
        return dict(self._rows("SELECT id, secret FROM keys WHERE id IN", key_ids))

    def held(self, user_id: str) -> int:
        return len(self._found([user_id]))

    def destroy(self, user_id: str) -> int:
        with self._database.transaction() as connection:
            gone = connection.execute("DELETE FROM keys WHERE user_id = ? RETURNING secret", (user_id,)).fetchall()
        self._database.wipe(user_id.encode(), *(secret for (secret,) in gone))
        return len(gone)

    def close(self) -> None:
        self._database.close()

    def _found(self, user_ids: Collection[str]) -> dict[str, Key]:
        rows = self._rows("SELECT user_id, id, secret FROM keys WHERE user_id IN", user_ids)
        return {user_id: Key(key_id, secret) for user_id, key_id, secret in rows}

    def _rows(self, select: str, values: Collection[object]) -> list[Any]:
        wanted = list(set(values))
        return [
            row
            for start in range(0, len(wanted), _VARIABLES)
            for chunk in [wanted[start : start + _VARIABLES]]
            for row in self._database.read(f"{select} ({', '.join('?' * len(chunk))})", *chunk)
        ]


class RedisKeys:
    """Keys in Redis, for many machines. Redis must keep what it acknowledged: `appendonly yes`, `appendfsync always`.

    segue:listener-key:<user_id> -> id and secret; segue:key:<id> -> secret.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        try:
            import redis
        except ImportError as error:
            raise MissingError('log.keys: a key store in Redis needs: pip install "segue[kafka]"') from error
        self._redis: Any = redis.Redis.from_url(address, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        self._error = redis.RedisError

    def keys(self, user_ids: Collection[str]) -> dict[str, Key]:
        wanted = list(set(user_ids))
        with self._faults():
            values = self._redis.mget([_of_listener(user_id) for user_id in wanted]) if wanted else []
            found = dict(zip(wanted, values, strict=True))
            for user_id in (user_id for user_id, value in found.items() if value is None):
                found[user_id] = self._made(user_id)
        return {user_id: Key(value[:ID_BYTES], value[ID_BYTES:]) for user_id, value in found.items()}

    def secrets(self, key_ids: Collection[bytes]) -> dict[bytes, bytes]:
        wanted = list(set(key_ids))
        with self._faults():
            found = self._redis.mget([_of_key(key_id) for key_id in wanted]) if wanted else []
        return {key_id: secret for key_id, secret in zip(wanted, found, strict=True) if secret is not None}

    def held(self, user_id: str) -> int:
        with self._faults():
            return int(self._redis.exists(_of_listener(user_id)))

    def destroy(self, user_id: str) -> int:
        with self._faults():
            value = self._redis.get(_of_listener(user_id))
            if value is None:
                return 0
            # The secret first: what is interrupted in between is found and ended by the next call.
            self._redis.delete(_of_key(value[:ID_BYTES]))
            return int(self._redis.delete(_of_listener(user_id)))

    def close(self) -> None:
        self._redis.close()

    def _made(self, user_id: str) -> bytes:
        """Of two processes that make one at once, both give the key of the first."""
        key = Key.new()
        self._redis.set(_of_key(key.id), key.secret)
        before: bytes | None = self._redis.set(_of_listener(user_id), key.id + key.secret, nx=True, get=True)
        if before is None:
            return key.id + key.secret
        self._redis.delete(_of_key(key.id))
        return before

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise LogUnavailableError(f"log.keys: {error}") from error


def open_keys(address: str, file: Path, timeout_s: float) -> KeyStore:
    """The store at a redis:// or rediss:// address; in ``file`` where there is none."""
    return RedisKeys(address, timeout_s) if address else EmbeddedKeys(file, timeout_s)


def _of_listener(user_id: str) -> str:
    return f"segue:listener-key:{user_id}"


def _of_key(key_id: bytes) -> str:
    return f"segue:key:{key_id.hex()}"

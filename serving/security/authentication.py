"""From what a call shows to who it is: API key, token or certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from serving.security.clients import EVERY_SCOPE, Caller, Clients, UnauthenticatedError, scopes_of
from serving.security.reloaded import Reloaded
from serving.security.settings import SecuritySettings

if TYPE_CHECKING:
    from serving.security.tokens import TokenKeys

ANYBODY = Caller("anybody", EVERY_SCOPE)
"""Whoever asks a server that does not ask who they are."""

REMEMBERED = 10_000
"""Keys and tokens that were found sound and are remembered: a stolen list of bad ones takes no room here."""


class _Verified(NamedTuple):
    caller: Caller
    until: float
    """Seconds since 1970 UTC."""
    clients: Clients
    keys: TokenKeys | None
    """What the files held then: once they change, the caller has to be found anew."""


class Authentication:
    """Finds the caller. Raises InputError at once where a file of the settings is not to be had or at fault."""

    def __init__(self, settings: SecuritySettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._verified: dict[str, _Verified] = {}
        self._clients: Reloaded[Clients] | None = None
        self._keys: Reloaded[TokenKeys] | None = None
        if (file := settings.clients) is not None:
            self._clients = Reloaded(lambda: Clients.read(file, settings.per_second, settings.burst), file)
        if (jwks := settings.jwt_keys) is not None:
            # cryptography takes its time to load, also where nobody needs it.
            from serving.security.tokens import TokenKeys

            self._keys = Reloaded(lambda: TokenKeys.read(jwks, settings.jwt_algorithms), jwks)

    @property
    def asks(self) -> bool:
        """Whether callers have to say who they are."""
        return self._settings.asks

    def caller(
        self, metadata: Iterable[tuple[str, str | bytes]], certificate: Callable[[], Mapping[str, Iterable[bytes]]]
    ) -> Caller:
        """Who asks, by the call's ``metadata``, else by its ``certificate``: gRPC's auth context, asked for if need be.

        Raises UnauthenticatedError.
        """
        if not self._settings.asks:
            return ANYBODY
        shown = _credential(metadata)
        clients = NONE if self._clients is None else self._clients.value
        if shown is not None and (self._clients is not None or self._keys is not None):
            keys = None if self._keys is None else self._keys.value
            known = self._verified.get(shown)
            if known is None or known.clients is not clients or known.keys is not keys or known.until <= self._clock():
                known = self._verify(shown, clients, keys)
                if len(self._verified) >= REMEMBERED:
                    self._verified.clear()
                self._verified[shown] = known
            return known.caller
        if self._settings.client_ca is not None:
            return self._by_certificate(certificate(), clients)
        raise UnauthenticatedError("say who you are: metadata authorization, Bearer and an API key or token")

    def _verify(self, shown: str, clients: Clients, keys: TokenKeys | None) -> _Verified:
        if keys is None or shown.count(".") != 2:
            if (caller := clients.by_key(shown)) is None:
                raise UnauthenticatedError("the API key is not known")
            return _Verified(caller, float("inf"), clients, keys)
        settings = self._settings
        claims = keys.verify(
            shown, audience=settings.jwt_audience, issuer=settings.jwt_issuer, leeway_s=settings.jwt_leeway_s
        )
        name = claims["sub"]
        quota = clients.by_name.get(name, Caller(name, frozenset(), settings.per_second, settings.burst))
        caller = Caller(name, scopes_of(claims), quota.per_second, quota.burst)
        return _Verified(caller, claims["exp"] + settings.jwt_leeway_s, clients, keys)

    def _by_certificate(self, context: Mapping[str, Iterable[bytes]], clients: Clients) -> Caller:
        names = [name.decode(errors="replace") for name in context.get("x509_common_name", ())]
        if self._clients is None and names:
            # The authority alone says who may ask.
            return Caller(names[0], EVERY_SCOPE, self._settings.per_second, self._settings.burst)
        for name in names:
            if name in clients.by_certificate:
                return clients.by_certificate[name]
        raise UnauthenticatedError(f"no client has the certificate of {', '.join(names) or 'nobody'}")


NONE = Clients()


def _credential(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The API key or token of ``metadata``: `authorization: Bearer X`, or `x-api-key: X`.

    >>> _credential([("user-agent", "x"), ("authorization", "Bearer abc")])
    'abc'
    """
    for name, value in metadata:
        if name == "authorization" and isinstance(value, str) and value[:7].lower() == "bearer ":
            return value[7:].strip()
        if name == "x-api-key" and isinstance(value, str):
            return value
    return None

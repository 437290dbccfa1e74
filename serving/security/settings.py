"""Settings of who may ask: table `[security]` of segue.toml."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from recsys.errors import InputError
from recsys.settings import Settings

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]


class SecuritySettings(Settings, table="security"):
    """How callers are known, and what strangers get. Every file is read anew when it changes; a bad one is refused,
    logged, and the old one stays in force."""

    insecure: bool = False
    """Listen beyond this machine without asking callers who they are: only where something else keeps strangers out."""
    certificate: Path | None = None
    """PEM file of the server's certificate, then its chain. With `private_key`: TLS."""
    private_key: Path | None = None
    """PEM file of the certificate's key."""
    client_ca: Path | None = None
    """PEM file of the authorities that sign the certificates of clients. With it, every client must show one (mTLS);
    without `clients`, each that they signed may do everything."""
    clients: Path | None = None
    """TOML file of the clients: their API keys or certificates, scopes and quotas; see serving/security/clients.py."""
    jwt_keys: Path | None = None
    """JWKS file (RFC 7517) of the keys that sign tokens. Nothing is fetched over the network."""
    jwt_algorithms: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA")
    """Signatures that are taken. A key counts for its own algorithm only, whatever a token says of itself."""
    jwt_audience: str = ""
    """What a token's `aud` must name. Required with `jwt_keys`."""
    jwt_issuer: str = ""
    """What a token's `iss` must be. Required with `jwt_keys`."""
    jwt_leeway_s: float = Field(default=10.0, ge=0, le=300)
    """How far the clock of the issuer may be off."""
    per_second: float = Field(default=0.0, ge=0)
    """Requests a second of each client that has no quota of its own, over all workers. 0: as many as it likes."""
    burst: int = Field(default=100, ge=1)
    """Requests that such a client may save up."""
    reflection: bool = True
    """Tell callers which services and messages there are, as grpcurl asks."""
    slow_request_s: float = Field(default=10.0, gt=0)
    """A request whose bytes have not all come by then is given up: it holds a thread."""
    log_salt: str = ""
    """Under this key listeners' ids are hashed in logs: the same on all machines, to follow one through all logs.
    Empty: a random one a start."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate: goes together with security.private_key; set both or none")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca: needs security.certificate and security.private_key: mTLS is TLS")
        if self.jwt_keys is not None and not (self.jwt_audience and self.jwt_issuer):
            raise ValueError("jwt_audience: tokens for others must not count: set it, and security.jwt_issuer")
        return self

    @property
    def asks(self) -> bool:
        """Whether callers have to say who they are."""
        return any(file is not None for file in (self.clients, self.jwt_keys, self.client_ca))

    def check_exposure(self, host: str) -> None:
        """Raise InputError where ``host`` would let strangers ask."""
        if not (self.asks or self.insecure or _loopback(host)):
            raise InputError(
                f"serve.host: {host} is reachable from other machines, and callers need not say who they are. Set "
                "[security] clients (API keys), jwt_keys or client_ca, listen on 127.0.0.1, or say "
                "[security] insecure = true where the network itself keeps strangers out"
            )


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

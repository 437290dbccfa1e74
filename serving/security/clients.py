"""The clients file: who holds which API key or certificate, for what, and how much.

    [web]                              # the client's name, as logs and metrics call it
    keys = ["2c26b46b68ffc68f..."]     # sha256 of each API key, 64 hex digits: two while one replaces the other
    scopes = ["recommend", "feedback"]
    per_second = 500                   # requests, over all workers; absent: as [security] says
    burst = 1000

    [console]
    certificates = ["console.internal"]    # common names, under mTLS
    scopes = ["admin"]

Make a key with `openssl rand -hex 32`, and its sum with `printf %s KEY | sha256sum`. The file holds no secret: nobody
finds 256 random bits by their sum. It may also name a token's `sub`, without keys, for a quota of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from recsys.errors import InputError
from recsys.files import faults

Scope = Literal["recommend", "feedback", "admin"]
EVERY_SCOPE: frozenset[Scope] = frozenset(("recommend", "feedback", "admin"))


class UnauthenticatedError(Exception):
    """The caller has not shown who they are; the message, which they are told, says what would be right."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as they have shown it."""

    name: str
    scopes: frozenset[Scope]
    per_second: float = 0.0
    """0: as many requests as it likes."""
    burst: int = 1


def scopes_of(claims: Mapping[str, Any]) -> frozenset[Scope]:
    """Those of a token's claims that Segue has.

    >>> sorted(scopes_of({"scope": "openid admin recommend"}))
    ['admin', 'recommend']
    """
    said = claims.get("scope", "")
    words = said.split() if isinstance(said, str) else []
    return frozenset(scope for scope in EVERY_SCOPE if scope in words)


class Entry(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = []
    certificates: list[str] = []
    scopes: list[Scope] = []
    per_second: float | None = Field(default=None, ge=0)
    burst: int | None = Field(default=None, ge=1)


@dataclass(frozen=True)
class Clients:
    """The file's content, for look-up."""

    by_name: dict[str, Caller] = field(default_factory=dict)
    by_certificate: dict[str, Caller] = field(default_factory=dict)
    by_digest: dict[bytes, Caller] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path, per_second: float, burst: int) -> Self:
        """``per_second`` and ``burst`` are those of clients that have none of their own.

        Raises InputError that names the entry and the field at fault, or two clients that share a key.
        """
        try:
            entries = RootModel[dict[str, Entry]].model_validate(tomllib.loads(file.read_text())).root
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: not valid TOML: {error}") from error
        except ValidationError as error:
            raise InputError(f"{file}: {faults(error)}") from error
        made = cls()
        for name, entry in entries.items():
            rate = per_second if entry.per_second is None else entry.per_second
            caller = Caller(name, frozenset(entry.scopes), rate, entry.burst or max(burst, int(rate)))
            made.by_name[name] = caller
            others = [made.by_digest.setdefault(bytes.fromhex(key), caller) for key in entry.keys]
            others += [made.by_certificate.setdefault(certificate, caller) for certificate in entry.certificates]
            for other in others:
                if other is not caller:
                    raise InputError(f"{file}: {name} and {other.name} share a key or certificate; give each its own")
        return made

    def by_key(self, key: str) -> Caller | None:
        """The client that holds this API key. Takes the same time whichever it is, and for none."""
        digest = hashlib.sha256(key.encode()).digest()
        found = None
        for known, caller in self.by_digest.items():
            if hmac.compare_digest(known, digest):
                found = caller
        return found

"""JSON Web Tokens (RFC 7519), signed by keys of a local JWKS file.

What is taken: `alg` of the key itself and of the list of settings; `exp`, `aud`, `iss` and `sub` are required. `sub` is
the client's name; `scope` (RFC 8693) lists its scopes with spaces between.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import jwt

from recsys.errors import InputError
from serving.security.clients import UnauthenticatedError
from serving.security.settings import Algorithm

REFUSED = "the token is not valid"
FEWEST_SECRET_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is no shorter than its hash."""


class TokenKeys:
    """The keys of a JWKS file, by their `kid`."""

    def __init__(self, keys: dict[str | None, jwt.PyJWK]) -> None:
        self._keys = keys

    @classmethod
    def read(cls, file: Path, algorithms: Sequence[Algorithm]) -> Self:
        """Raises InputError for a file that is no JWKS, a key of another algorithm, and two keys without `kid`s."""
        try:
            found = json.loads(file.read_bytes())["keys"]
            keys = [(key.get("kid"), jwt.PyJWK(key)) for key in found]
        except (ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError) as error:
            raise InputError(f"{file}: no JWKS (RFC 7517): {error}") from error
        for kid, key in keys:
            if key.algorithm_name not in algorithms:
                raise InputError(
                    f"{file}: key {kid!r} is for {key.algorithm_name}; [security] jwt_algorithms takes "
                    f"{', '.join(algorithms)}"
                )
            if key.algorithm_name == "HS256" and len(cast(bytes, key.key)) < FEWEST_SECRET_BYTES:
                raise InputError(f"{file}: key {kid!r} is shorter than {FEWEST_SECRET_BYTES} bytes")
        if not keys or len({kid for kid, _ in keys}) < len(keys):
            raise InputError(f"{file}: needs a key, and where there are several a kid of its own for each")
        return cls(dict(keys))

    def verify(self, token: str, *, audience: str, issuer: str, leeway_s: float) -> dict[str, Any]:
        """The claims of a sound token. Raises UnauthenticatedError that says why it is none."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if kid is not None or len(self._keys) > 1 else next(iter(self._keys.values()))
            if key is None:
                raise UnauthenticatedError(f"{REFUSED}: it is signed by a key that this server does not know")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=audience,
                issuer=issuer,
                leeway=leeway_s,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise UnauthenticatedError(f"{REFUSED}: {error}") from error
        return claims

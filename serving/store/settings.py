"""Settings of the store that workers share: table `[state]` of segue.toml."""

from __future__ import annotations

from pydantic import Field, field_validator

from recsys.settings import Settings

EMBEDDED = "embedded"


class StateSettings(Settings, table="state"):
    """Where listeners, the catalogue log, records of answers and quotas lie, and how much of them is kept."""

    url: str = EMBEDDED
    """"embedded": a file of the workspace, for the workers of one machine. redis://host:port/db (rediss:// with TLS,
    unix:///path for a socket): for any number of machines."""
    timeout_s: float = Field(default=0.5, gt=0)
    """The longest that one answer of the store is waited for; after that the server answers without it."""
    plays: int = Field(default=200, ge=1, le=2_000)
    """The latest plays of a listener that are kept, and as many skips."""
    opinions: int = Field(default=1_000, ge=1, le=20_000)
    """The latest tracks that a listener liked that are kept, and as many disliked."""
    requests: int = Field(default=100_000, ge=1)
    """Records of answers that are kept, for `segue explain`."""
    requests_ttl_s: float = Field(default=86_400.0, gt=0)
    """Seconds that such a record is kept."""

    @field_validator("url")
    @classmethod
    def _of_a_kind(cls, url: str) -> str:
        if url != EMBEDDED and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError(f'must be "{EMBEDDED}" or start with redis://, rediss:// or unix://')
        return url

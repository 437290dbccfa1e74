"""Listeners' names in logs."""

from __future__ import annotations

import secrets
from hashlib import blake2b


class Pseudonyms:
    """Stands for a listener's id in logs: the same for the same id, and nobody without the salt finds the id by trying.

    >>> names = Pseudonyms("salt")
    >>> names.of("anna") == names.of("anna"), names.of("anna") == Pseudonyms("other").of("anna")
    (True, False)
    """

    def __init__(self, salt: str = "") -> None:
        # blake2b takes keys of up to 64 bytes; a longer salt is folded.
        self._key = blake2b(salt.encode()).digest() if salt else secrets.token_bytes(64)

    def of(self, user_id: str) -> str:
        """16 hex digits; empty for nobody."""
        return blake2b(user_id.encode(), key=self._key, digest_size=8).hexdigest() if user_id else ""

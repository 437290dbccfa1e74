"""Messages that only the listener's key opens: AES-256-GCM (NIST SP 800-38D), with a random nonce a message.

A message is the key's id (16 bytes, in the clear), the nonce (12) and the sealed text; the id is authenticated too.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from serving.eventlog.keys import ID_BYTES, Key

_NONCE_BYTES = 12


def seal(key: Key, text: bytes) -> bytes:
    """
    >>> key = Key.new()
    >>> opened(seal(key, b"played"), key.secret), b"played" in seal(key, b"played")
    (b'played', False)
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return key.id + nonce + AESGCM(key.secret).encrypt(nonce, text, key.id)


def key_id(message: bytes) -> bytes:
    return message[:ID_BYTES]


def opened(message: bytes, secret: bytes) -> bytes | None:
    """The text; None where the message was not sealed with this secret, or was changed since."""
    nonce = message[ID_BYTES : ID_BYTES + _NONCE_BYTES]
    try:
        return AESGCM(secret).decrypt(nonce, message[ID_BYTES + _NONCE_BYTES :], key_id(message))
    except (InvalidTag, ValueError):
        return None

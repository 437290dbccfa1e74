"""What a text encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from recsys.ragged import Float32


class TextEncoder(Protocol):
    """Texts to vectors whose inner product is their likeness."""

    name: ClassVar[str]
    dim: ClassVar[int]

    def encode(self, texts: Sequence[str]) -> Float32:
        """(n, dim) of length 1; zeros for a text without a known word. The same text gives the same vector in any
        batch."""

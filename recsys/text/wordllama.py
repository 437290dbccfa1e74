"""WordLlama: the mean of static token vectors distilled from language models (github.com/dleemiller/WordLlama).

256 dimensions, no attention, so tens of thousands of texts a second on one core. Its weights lie in its package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from recsys.errors import MissingError
from recsys.ragged import Float32


class WordLlamaEncoder:
    """Tokens stand for what they mean on their own: no word order.

    >>> likeness = (v := WordLlamaEncoder().encode(["sad piano", "melancholic keys", "death metal"])) @ v.T
    >>> bool(likeness[0, 1] > likeness[0, 2])
    True
    """

    name: ClassVar[str] = "wordllama-256"
    dim: ClassVar[int] = 256

    def __init__(self) -> None:
        try:
            import wordllama
        except ImportError as error:
            raise MissingError("wordllama is not installed; type: pip install 'segue[spark]'") from error
        self._model = wordllama.WordLlama.load(
            dim=self.dim, cache_dir=Path(wordllama.__file__).parent, disable_download=True
        )

    def encode(self, texts: Sequence[str]) -> Float32:
        """(n, 256) of length 1; zeros for a text without a known word."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        vectors: Float32 = self._model.embed(list(texts), norm=False)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Float32 = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return unit

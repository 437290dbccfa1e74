"""Text encoders behind one interface, all of them with their weights on disk: nothing is fetched at run time.

To add one: (1) write a class with `name`, `dim` and `encode`; (2) give it a row in `ENCODERS`.
"""

from __future__ import annotations

from collections.abc import Callable

from recsys.errors import InputError
from recsys.text.base import TextEncoder
from recsys.text.wordllama import WordLlamaEncoder

__all__ = ["ENCODERS", "TextEncoder", "load"]

ENCODERS: dict[str, Callable[[], TextEncoder]] = {
    WordLlamaEncoder.name: WordLlamaEncoder,
}
"""By the name that stands in a data set's manifest."""


def load(name: str) -> TextEncoder:
    """Raises InputError for a name that is not in ENCODERS, MissingError where its package is not installed."""
    if name not in ENCODERS:
        raise InputError(f"text encoder {name!r} is unknown; there are: {', '.join(ENCODERS)}")
    return ENCODERS[name]()

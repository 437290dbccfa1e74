"""What the catalogue log has changed in the tables of a bundle. Small beside them, so dictionaries do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Changed:
    """Never changed itself: every round of the log makes another."""

    shown: Mapping[int, bytes] = field(default_factory=dict)
    """Item -> the bytes of its `Track`, where they are not the bundle's."""
    ids: Mapping[str, int] = field(default_factory=dict)
    """Segue's own id -> item, of the tracks that the bundle does not hold."""
    artist_names: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Normalised name -> the artists that bear it since."""


NOTHING_CHANGED = Changed()

"""A bundle ready to answer: look-up tables made, sources rehearsed. Immutable, so that a swap is one assignment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from recsys.bundle import Bundle
from recsys.errors import InputError
from recsys.policy import SurfacePolicy
from serving.catalogue import Catalogue
from serving.sources import Source, sources_of

SURFACES = ("home", "playlist", "similar")


@dataclass(frozen=True)
class Model:
    """What one request needs; a request keeps the one it began with."""

    bundle: Bundle
    catalogue: Catalogue
    sources: dict[str, list[Source]]
    """Surface -> its sources, in the order of fallback."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Check the sums, load, and let every source answer once.

        Raises InputError where the bundle is damaged, lacks a surface, or a source fails on a history of its own.
        """
        bundle = Bundle.open(folder)
        if missing := [s for s in SURFACES if s not in bundle.policy.surfaces]:
            raise InputError(f"{folder}/policy.toml: lacks the surfaces {', '.join(missing)}")
        if bundle.catalogue.is_empty():
            raise InputError(f"{folder}/catalogue.parquet: holds no track")
        sources = {
            s: [sources_of(s, n, bundle.scorers[n]) for n in bundle.policy.surfaces[s].source_names] for s in SURFACES
        }
        model = cls(bundle, Catalogue(bundle), sources)
        model._rehearse()
        return model

    @property
    def name(self) -> str:
        return self.bundle.manifest.name

    def policy(self, surface: str) -> SurfacePolicy:
        return self.bundle.policy.surfaces[surface]

    def _rehearse(self) -> None:
        """A source that throws or gives what is not finite is found here, not by a listener; and caches get warm."""
        allowed = np.ones(len(self.catalogue), dtype=np.bool_)
        histories = [np.zeros(0, np.int32), np.arange(min(3, len(allowed)), dtype=np.int32)]
        for sources in self.sources.values():
            for source in sources:
                for history in histories:
                    try:
                        items, scores = source.candidates(history, allowed, len(allowed))
                        source.evidence(history, items[:20])
                    except Exception as error:
                        # Whatever foreign arrays or a foreign graph throw, the bundle is at fault.
                        raise InputError(f"{self.bundle.folder}: source {source.name!r} fails: {error}") from error
                    if not np.isfinite(scores).all():
                        raise InputError(
                            f"{self.bundle.folder}: source {source.name!r} gives scores that are not finite"
                        )

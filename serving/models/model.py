"""A bundle ready to answer: look-up tables made, sources rehearsed. Immutable, so that a swap is one assignment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np

from recsys.bundle import Bundle
from recsys.errors import InputError
from recsys.policy import SurfacePolicy
from recsys.ragged import Float32, Int32, Ragged
from recsys.ranking.filters import ItemColumns
from recsys.ranking.permits import PermitCache
from recsys.retrieval.sources import Asked, HasItemVectors, Source, sources_of
from recsys.retrieval.vectors import ItemVectors, Later
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.live import Changes
from serving.catalogue.prepared import Prepared, prepared
from serving.pipeline.arrange import Arrange
from serving.pipeline.pipeline import Pipeline
from serving.pipeline.propose import Late, Propose
from serving.pipeline.rank import Rank, Trees

SURFACES = ("home", "playlist", "similar")
"""What the policy of a bundle must have; radio is home's where it has none of its own."""

# For sources that are asked at once; shared by all models, since only one batch is worked on at a time.
EXECUTOR = ThreadPoolExecutor(max_workers=8, thread_name_prefix="source")


@dataclass(frozen=True)
class Model:
    """What one request needs; a request keeps the one it began with."""

    bundle: Bundle
    changes: Changes
    """The bundle's catalogue, and what the catalogue log says since."""
    sources: dict[str, dict[str, Source]]
    """Surface -> name -> source: every one that the bundle has, whether the surface's policy asks it or not."""
    prepared: Prepared = field(compare=False)
    """Held as long as it is mapped."""
    executor: Executor = field(default=EXECUTOR, compare=False)
    _late: Late = field(default_factory=dict, compare=False, repr=False)
    _pipelines: dict[tuple[str, str], Pipeline] = field(default_factory=dict, init=False, compare=False)

    @classmethod
    def load(cls, folder: Path, root: Path | None = None) -> Self:
        """Prepare and map the bundle, and let every source answer once.

        root: where its prepared folder is kept, for other workers and the next start (`Workspace.serving`); None: it
        goes with this process. Raises InputError where the bundle is damaged, lacks a surface, or a source fails on a
        history of its own.
        """
        if root is None:
            with TemporaryDirectory() as scratch:
                return cls.load(folder, Path(scratch))
        made = prepared(folder, root)
        bundle = made.bundle
        if missing := [s for s in SURFACES if s not in bundle.policy.surfaces]:
            raise InputError(f"{folder}/policy.toml: lacks the surfaces {', '.join(missing)}")
        ranking, likeness = sources_of(bundle.scorers, made.folder / "sources")
        sources = {s: likeness if s == "similar" else ranking for s in {*SURFACES, "radio"}}
        model = cls(bundle, Changes(made.catalogue), sources, made)
        model._rehearse()
        return model

    @property
    def name(self) -> str:
        return self.bundle.manifest.name

    def with_changes(self, changes: Changes) -> Self:
        """The same bundle with these changes in place of what was laid over it before."""
        n_items = len(changes.catalogue)
        # One object may serve several surfaces.
        every = {id(source): source for named in self.sources.values() for source in named.values()}
        grown = {key: source.with_later(n_items, changes.vectors.get(source.name)) for key, source in every.items()}
        sources = {s: {name: grown[id(source)] for name, source in named.items()} for s, named in self.sources.items()}
        return replace(self, changes=changes, sources=sources)

    @property
    def catalogue(self) -> Catalogue:
        return self.changes.catalogue

    @property
    def columns(self) -> ItemColumns:
        return self.catalogue.columns

    @cached_property
    def contexts(self) -> dict[str, int]:
        """The words of listening contexts, and the codes that the model learned them by."""
        return {word: code for code, word in enumerate(self.bundle.manifest.data.contexts)}

    @cached_property
    def permits(self) -> PermitCache:
        return PermitCache(self.columns, self.changes.removed)

    @cached_property
    def vectors(self) -> Callable[[Int32], Float32] | None:
        """Items -> the vectors of the first scorer that knows items as vectors; None where none does."""
        known = (name for name, scorer in self.bundle.scorers.items() if isinstance(scorer, HasItemVectors))
        return self._vectors_of(next(known, None))

    def _vectors_of(self, name: str | None) -> Callable[[Int32], Float32] | None:
        scorer = self.bundle.scorers.get(name or "")
        if not isinstance(scorer, HasItemVectors):
            return None
        rows = self.changes.vectors.get(name or "")
        return ItemVectors(scorer.item_vectors, Later.of(scorer.item_vectors, len(self.catalogue), rows)).__getitem__

    def policy(self, surface: str) -> SurfacePolicy:
        return self.bundle.policy.surfaces[self._configured(surface)]

    def _configured(self, surface: str) -> str:
        """The surface whose policy and ranker it has: its own, or home's."""
        return surface if surface in self.bundle.policy.surfaces else "home"

    def pipeline(self, surface: str, policy: SurfacePolicy | None = None) -> Pipeline:
        """The surface's pipeline under ``policy``, its own where None; made once and kept.

        Raises InputError for a policy that names a source which the bundle has not.
        """
        policy = policy or self.policy(surface)
        key = (surface, policy.version)
        if key not in self._pipelines:
            self._pipelines[key] = self._built(surface, policy)
        return self._pipelines[key]

    def _built(self, surface: str, policy: SurfacePolicy) -> Pipeline:
        sources = self.sources[surface]
        if unknown := sorted(set(policy.source_names) - set(sources)):
            raise InputError(f"{self.name}: has no source {unknown[0]!r}; it has {', '.join(sources)}")
        steps = [[sources[name] for name in step] for step in policy.sources]
        return Pipeline(
            policy,
            self.columns,
            self.permits,
            Propose(steps, self.columns, policy.candidates, policy.budget_ms, self.executor, self._late),
            Rank([len(step) for step in steps], self._trees(surface, policy)),
            Arrange(policy, self.columns, self.vectors),
        )

    def _trees(self, surface: str, policy: SurfacePolicy) -> Trees | None:
        """Raises InputError where the policy wants a ranker and the bundle has none."""
        ranker = self.bundle.rankers.get(self._configured(surface))
        if ranker is None and policy.ranker:
            raise InputError(f"{self.name}: has no ranker for the surface {surface!r}, and its policy wants one")
        if ranker is None or policy.ranker is False:
            return None
        return Trees(ranker, policy.source_names, self.columns, self._vectors_of(ranker.card.vectors))

    def _rehearse(self) -> None:
        """A source that throws or gives what is not finite is found here, not by a listener; and caches get warm."""
        n = len(self.catalogue)
        histories = Ragged.of([[], range(min(3, n))])
        asked = Asked(histories, [self.permits.allowed([])] * 2, Ragged.of([[], []]))
        for source in {id(each): each for named in self.sources.values() for each in named.values()}.values():
            try:
                proposals = source.candidates(asked, n)
                for row, (items, _) in enumerate(proposals):
                    source.evidence(histories[row], items[:20])
            except Exception as error:
                # Whatever foreign arrays or a foreign graph throw, the bundle is at fault.
                raise InputError(f"{self.bundle.folder}: source {source.name!r} fails: {error}") from error
            if not all(np.isfinite(scores).all() for _, scores in proposals):
                raise InputError(f"{self.bundle.folder}: source {source.name!r} gives scores that are not finite")

"""A bundle with the sources of others, and the new bundle that holds a ranker over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recsys.bundle import Bundle, now, write_bundle
from recsys.errors import InputError, MissingError
from recsys.policy import Policy
from recsys.ranking.surface_ranker import SurfaceRanker
from recsys.workspace import Workspace
from training.publish import git_commit
from training.rankers.settings import RankerSettings


def opened(workspace: Workspace, name: str) -> Bundle:
    """Raises MissingError where there is no such bundle."""
    folder = workspace.bundles / name
    if not (folder / "manifest.json").is_file():
        there = ", ".join(sorted(path.parent.name for path in workspace.bundles.glob("[!.]*/manifest.json")))
        raise MissingError(f"no bundle {name!r} in {workspace.bundles}; there are: {there or 'none'}")
    return Bundle.open(folder)


def joined(bundle: Bundle, others: Sequence[Bundle]) -> Bundle:
    """``bundle`` with the sources of the others beside its own; popularity, which all have alike, once.

    A source keeps its name, or takes that of its model where the name is taken. Raises InputError where the others were
    made of other data, and where a name is taken twice.
    """
    scorers = dict(bundle.scorers)
    for other in others:
        if other.manifest.data.fingerprint != bundle.manifest.data.fingerprint or not other.catalogue[
            "track_id"
        ].equals(bundle.catalogue["track_id"]):
            raise InputError(f"--with: {other.manifest.name!r} was made of other data than {bundle.manifest.name!r}")
        for name, scorer in other.scorers.items():
            if name in scorers and scorer.kind == scorers[name].kind == "popularity":
                continue
            free = name if name not in scorers else other.manifest.model
            if free in scorers:
                raise InputError(f"--with: {bundle.manifest.name!r} has a source {free!r} already")
            scorers[free] = scorer
    return replace(bundle, scorers=scorers)


def write_ranked(folder: Path, bundle: Bundle, surface: str, ranker: SurfaceRanker, settings: RankerSettings) -> None:
    """``bundle`` anew under ``folder``, with the ranker: its surface asks all of the ranker's sources at once, each for
    as many candidates as in training."""
    asked = {"sources": [ranker.card.sources], "candidates": ranker.card.candidates, "ranker": None}
    changed = bundle.policy.surfaces[surface].with_changes(asked)
    manifest = bundle.manifest
    write_bundle(
        folder,
        manifest.model_copy(
            update={
                "name": folder.name,
                "created_at": now(),
                "git_commit": git_commit(),
                "config": manifest.config | {"ranker": settings.model_dump(mode="json"), "ranked": manifest.name},
                "metrics": manifest.metrics
                | {f"ranker_{surface}_{name}": value for name, value in ranker.card.metrics.items()},
            }
        ),
        bundle.catalogue,
        bundle.aliases,
        bundle.scorers,
        Policy(surfaces={**bundle.policy.surfaces, surface: changed}),
        {**bundle.rankers, surface: ranker},
    )

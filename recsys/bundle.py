"""The model bundle: the only thing that training hands to serving. A folder, written once, never changed, no pickle.

    manifest.json            format version, config, data fingerprint, training window, metrics, git commit, and the
                             sha256 of every file
    catalogue.parquet        index, track_id, display and filter fields (CATALOGUE_COLUMNS)
    aliases.parquet          source, source_id, index: an answer is given in the ids that were asked in
    sources/<name>/          one scorer each (recsys.scoring), its kind in the manifest
    rankers/<surface>/       trees over the candidates of the sources, where one was trained (recsys.ranking)
    policy.toml              the pipeline of each surface

No listener id and no listener vector enters a bundle.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl
import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from recsys.errors import InputError
from recsys.files import faults, new_folder, read_model, sha256, write_json
from recsys.policy import Policy
from recsys.ranking.surface_ranker import SurfaceRanker
from recsys.scoring import registry
from recsys.scoring.base import Scorer

FORMAT_VERSION = 2


class DataReference(BaseModel):
    dataset: str
    fingerprint: str
    simulated: bool
    unit: str = "playlist"
    """What a person calls one training sequence, in the singular: playlist, session, programme."""
    contexts: list[str] = []
    """What the codes of the column `context` stand for (recsys.plays)."""


class BundleManifest(BaseModel):
    """`manifest.json`."""

    model_config = ConfigDict(extra="forbid")

    format_version: int = FORMAT_VERSION
    name: str
    created_at: str
    model: str
    """What a person calls the model: sasrec, mix, item-kNN, ..."""
    config: dict[str, Any]
    data: DataReference
    training_window: tuple[str | None, str | None]
    """First and last instant of the training rows, ISO 8601; nulls where the data have no time."""
    metrics: dict[str, float]
    git_commit: str
    sources: dict[str, str]
    """Name -> kind of each scorer."""
    rankers: list[str] = []
    """The surfaces that have a ranker."""
    files: dict[str, str] = {}
    """Relative path -> sha256, of every file but this one."""


CATALOGUE_COLUMNS = (
    "index", "track_id", "title", "artist_id", "artist_name", "album_title", "release_date", "duration_ms", "explicit",
    "markets", "licence", "tags", "name_key",
)  # fmt: skip
ALIAS_COLUMNS = ("source", "source_id", "index")


def write_bundle(
    folder: Path,
    manifest: BundleManifest,
    catalogue: pl.DataFrame,
    aliases: pl.DataFrame,
    scorers: Mapping[str, Scorer],
    policy: Policy,
    rankers: Mapping[str, SurfaceRanker] | None = None,
) -> None:
    """Write the bundle under a temporary name and rename it.

    Raises InputError for an existing bundle of that name, and where the parts do not fit one another.
    """
    if folder.exists():
        raise InputError(f"{folder}: a bundle is written once; choose another name")
    if missing := set(CATALOGUE_COLUMNS) - set(catalogue.columns):
        raise ValueError(f"catalogue lacks {sorted(missing)}")
    rankers = rankers or {}
    _check_fit(folder, catalogue, aliases, scorers, policy)
    _check_rankers(folder, rankers, scorers, policy)
    with new_folder(folder) as work:
        catalogue.select(CATALOGUE_COLUMNS).sort("index").write_parquet(work / "catalogue.parquet")
        aliases.select(ALIAS_COLUMNS).write_parquet(work / "aliases.parquet")
        for name, scorer in scorers.items():
            (work / "sources" / name).mkdir(parents=True)
            scorer.save(work / "sources" / name)
        for surface, ranker in rankers.items():
            (work / "rankers" / surface).mkdir(parents=True)
            ranker.save(work / "rankers" / surface)
        (work / "policy.toml").write_text(tomli_w.dumps(policy.model_dump(mode="json", exclude_none=True)))
        files = {str(p.relative_to(work)): sha256(p) for p in sorted(work.rglob("*")) if p.is_file()}
        kinds = {name: scorer.kind for name, scorer in scorers.items()}
        parts = {"files": files, "sources": kinds, "rankers": sorted(rankers)}
        write_json(work / "manifest.json", manifest.model_copy(update=parts).model_dump())


@dataclass(frozen=True)
class Bundle:
    """A bundle, whole and checked. Arrays are memory-mapped: the processes that open it share one copy."""

    folder: Path
    manifest: BundleManifest
    scorers: dict[str, Scorer]
    policy: Policy
    rankers: dict[str, SurfaceRanker] = field(default_factory=dict)
    """Surface -> its ranker, where it has one."""

    @cached_property
    def catalogue(self) -> pl.DataFrame:
        """CATALOGUE_COLUMNS, read when first asked for."""
        return _read_table(self.folder / "catalogue.parquet", CATALOGUE_COLUMNS)

    @cached_property
    def aliases(self) -> pl.DataFrame:
        """ALIAS_COLUMNS, read when first asked for."""
        return _read_table(self.folder / "aliases.parquet", ALIAS_COLUMNS)

    @classmethod
    def open(cls, folder: Path, *, checked: bool = False) -> Self:
        """Check every sum, load, and check that the parts fit. Raises InputError that names the file at fault.

        checked: the same files were opened before, so that sums and fit need no second look.
        """
        manifest = read_manifest(folder)
        if not checked:
            _check_sums(folder, manifest)
        policy = _read_policy(folder / "policy.toml")
        scorers = {n: registry.load(kind, folder / "sources" / n) for n, kind in manifest.sources.items()}
        rankers = {surface: SurfaceRanker.load(folder / "rankers" / surface) for surface in manifest.rankers}
        bundle = cls(folder, manifest, scorers, policy, rankers)
        if not checked:
            _check_fit(folder, bundle.catalogue, bundle.aliases, scorers, policy)
            _check_rankers(folder, rankers, scorers, policy)
        return bundle


def _check_sums(folder: Path, manifest: BundleManifest) -> None:
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: named in manifest.json but absent")
        if sha256(path) != expected:
            raise InputError(f"{path}: its sha256 is not the one in manifest.json; the bundle is damaged")


def read_manifest(folder: Path) -> BundleManifest:
    path = folder / "manifest.json"
    if not path.is_file():
        raise InputError(f"{folder} is no bundle: it has no manifest.json")
    manifest = read_model(path, BundleManifest)
    if manifest.format_version != FORMAT_VERSION:
        raise InputError(f"{path}: format_version {manifest.format_version}, this Segue reads {FORMAT_VERSION}")
    return manifest


def _read_policy(path: Path) -> Policy:
    try:
        return Policy.model_validate(tomllib.loads(path.read_text()))
    except ValidationError as error:
        raise InputError(f"{path}: {faults(error)}") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error


def _read_table(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: not valid Parquet: {error}") from error
    if missing := [column for column in columns if column not in table.columns]:
        raise InputError(f"{path}: lacks {', '.join(missing)}")
    return table


def _check_fit(
    folder: Path, catalogue: pl.DataFrame, aliases: pl.DataFrame, scorers: Mapping[str, Scorer], policy: Policy
) -> None:
    """Raise InputError where the parts speak of different items or sources."""
    n = len(catalogue)
    if not catalogue["index"].sort().equals(pl.int_range(n, eager=True).alias("index").cast(catalogue["index"].dtype)):
        raise InputError(f"{folder}/catalogue.parquet: index must number the {n} rows from 0 on, each once")
    if catalogue["track_id"].n_unique() != n:
        raise InputError(f"{folder}/catalogue.parquet: holds a track_id twice")
    if not aliases["index"].is_between(0, n - 1).all():
        raise InputError(f"{folder}/aliases.parquet: holds an index that is not 0 to {n - 1}, as the catalogue's are")
    for name, scorer in scorers.items():
        if scorer.n_items != n:
            raise InputError(f"{folder}: source {name!r} scores {scorer.n_items} items, the catalogue has {n}")
    for surface, pipeline in policy.surfaces.items():
        if unknown := sorted(set(pipeline.source_names) - set(scorers)):
            raise InputError(f"{folder}: the policy of surface {surface!r} names sources that are not there: {unknown}")


def _check_rankers(
    folder: Path, rankers: Mapping[str, SurfaceRanker], scorers: Mapping[str, Scorer], policy: Policy
) -> None:
    """Raise InputError where a ranker is of a surface or of sources that the bundle has not."""
    for surface, ranker in rankers.items():
        named = f"{folder}: the ranker of surface {surface!r}"
        if surface not in policy.surfaces:
            raise InputError(f"{named}: the policy has no such surface")
        if unknown := sorted(set(ranker.card.sources) - set(scorers)):
            raise InputError(f"{named} ranks the candidates of sources that are not there: {unknown}")
        compared = ranker.card.vectors
        if compared is not None and not hasattr(scorers.get(compared), "item_vectors"):
            raise InputError(f"{named} compares item vectors of {compared!r}, which is no source that has any")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""From scorers to a bundle: the catalogue, the ids of every source, the default policy, and where it all came from."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from recsys.bundle import (
    CATALOGUE_COLUMNS,
    BundleManifest,
    DataReference,
    now,
    read_manifest,
    write_bundle,
)
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.names import name_key
from recsys.policy import Policy, SurfacePolicy
from recsys.scoring.base import Scorer
from recsys.workspace import Workspace

SURFACES = ("home", "playlist", "similar")

Window = tuple[str | None, str | None]


def publish(
    workspace: Workspace,
    dataset: Dataset,
    *,
    name: str,
    model: str,
    scorers: Mapping[str, Scorer],
    config: dict[str, Any],
    metrics: dict[str, float],
    training_window: Window | None = None,
) -> Path:
    """Write ``bundles/<name>`` and return its folder. A bundle of that name, model and data is left as it is.

    ``scorers`` stand in the order of fallback. ``training_window`` is that of the train split unless given (a model
    fitted on train and valid says so with `window_of`). Raises InputError where the name belongs to another bundle.
    """
    folder = workspace.bundles / name
    if folder.exists():
        found = read_manifest(folder)
        if (found.model, found.data.fingerprint) != (model, dataset.manifest.fingerprint):
            raise InputError(
                f"{folder} holds {found.model} on data {found.data.fingerprint}, not {model} on data "
                f"{dataset.manifest.fingerprint}; a bundle is written once, so give the new one another name"
            )
        return folder
    manifest = BundleManifest(
        name=name,
        created_at=now(),
        model=model,
        config=config,
        data=DataReference(
            dataset=dataset.manifest.name,
            fingerprint=dataset.manifest.fingerprint,
            simulated=dataset.manifest.simulated,
            unit=dataset.manifest.unit,
            contexts=dataset.manifest.contexts,
        ),
        training_window=training_window or window_of(dataset, "train"),
        metrics=metrics,
        git_commit=git_commit(),
        sources={source: scorer.kind for source, scorer in scorers.items()},
    )
    write_bundle(
        folder,
        manifest,
        catalogue_of(workspace, dataset),
        aliases_of(workspace, dataset),
        scorers,
        default_policy(scorers),
    )
    return folder


def catalogue_of(workspace: Workspace, dataset: Dataset) -> pl.DataFrame:
    """The items of the data set with CATALOGUE_COLUMNS; markets and licence as the imported tracks say, else null; tags
    as the data set's content has them, the surest first."""
    rights = (
        workspace.table("tracks")
        .select("track_id", "markets", "licence")
        .join(dataset.items.lazy().select("track_id"), on="track_id", how="semi")
        .group_by("track_id")
        .agg(pl.col("markets", "licence").drop_nulls().first())
        .collect()
    )
    return (
        dataset.items.join(rights, on="track_id", how="left", maintain_order="left")
        .join(_tags_of(dataset), on="index", how="left", maintain_order="left")
        .with_columns(pl.col("tags").fill_null([]), name_key=name_key(pl.col("artist_name"), pl.col("title")))
        .select(CATALOGUE_COLUMNS)
    )


def _tags_of(dataset: Dataset) -> pl.DataFrame:
    """index, tags: in words."""
    if not dataset.manifest.tags:
        return pl.DataFrame(schema={"index": pl.Int32, "tags": pl.List(pl.String)})
    content = pl.read_parquet(dataset.folder / "content.parquet", columns=["index", "tags"], glob=False)
    codes = pl.int_range(len(dataset.manifest.tags), dtype=pl.Int32, eager=True)
    in_words = pl.element().replace_strict(codes, pl.Series(dataset.manifest.tags), return_dtype=pl.String)
    return content.with_columns(pl.col("tags").list.eval(in_words))


def aliases_of(workspace: Workspace, dataset: Dataset) -> pl.DataFrame:
    """source, source_id, index: the ids by which the sources know the tracks of the catalogue, the surest first."""
    return (
        workspace.table("track_aliases")
        .join(dataset.items.lazy().select("track_id", "index"), on="track_id")
        .sort("source", "source_id", "confidence", "index", descending=[False, False, True, False])
        .unique(["source", "source_id"], keep="first", maintain_order=True)
        .select("source", "source_id", "index")
        .collect()
    )


def default_policy(sources: Iterable[str]) -> Policy:
    """Every surface asks all sources, in their order."""
    return Policy(surfaces={surface: SurfacePolicy(sources=list(sources)) for surface in SURFACES})


def window_of(dataset: Dataset, *splits: Literal["train", "valid", "test"]) -> Window:
    """First and last instant of the rows of these splits, ISO 8601 in UTC; nulls where the data have no time."""
    rows = (
        pl.scan_parquet(dataset.folder / "sequences.parquet", glob=False)
        .filter(pl.col("split").is_in(splits), pl.col("start_ts").is_not_null())
        .select(
            first=pl.col("start_ts").min(),
            last=pl.max_horizontal(pl.col("start_ts").max(), pl.col("ts").list.max().max()),
        )
        .collect()
    )
    first, last = rows.row(0)
    return (first.isoformat(), last.isoformat()) if first is not None else (None, None)


def git_commit() -> str:
    """The commit of the running code, with `-dirty` where the tree differs from it; `unknown` outside git."""
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here.parent, check=True, capture_output=True, text=True).stdout

    try:
        # An installed copy may lie inside some other project's checkout: only a tracked file speaks for its commit.
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*").strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"

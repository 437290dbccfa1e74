"""Whatever is wrong in a bundle whose sums are right is one clear line when it is opened, no fault of a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.errors import InputError
from recsys.files import sha256
from serving.models.model import Model

Damage = Callable[[Path], object]


def text(name: str, content: str) -> Damage:
    return lambda folder: (folder / name).write_text(content)


def array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    return lambda folder: np.save(folder / name, change(np.load(folder / name)))


def table(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Damage:
    return lambda folder: change(pl.read_parquet(folder / name)).write_parquet(folder / name)


def with_last(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.concatenate([values[:-1], np.array([value], values.dtype)])


MAIN, POPULARITY = "sources/main", "sources/popularity"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "policy is no TOML": (text("policy.toml", "x ="), r"policy\.toml"),
    "policy has another shape": (text("policy.toml", "x = 1"), r"policy\.toml: .*surfaces"),
    "policy names no source": (
        lambda folder: (folder / "policy.toml").write_text((folder / "policy.toml").read_text().replace("main", "m")),
        r"policy.*'m'",
    ),
    "catalogue is no Parquet": (text("catalogue.parquet", "x"), r"catalogue\.parquet"),
    "catalogue lacks a column": (
        table("catalogue.parquet", lambda t: t.drop("title")),
        r"catalogue\.parquet: lacks title",
    ),
    "catalogue lacks rows": (table("catalogue.parquet", lambda t: t.head(30)), r"index that is not 0 to 29"),
    "catalogue is numbered from 5": (
        table("catalogue.parquet", lambda t: t.with_columns(pl.col("index") + 5)),
        r"catalogue\.parquet: .*index",
    ),
    "catalogue holds an id twice": (
        table("catalogue.parquet", lambda t: t.with_columns(track_id=pl.lit("t0"))),
        r"catalogue\.parquet: .*track_id",
    ),
    "aliases go beyond the catalogue": (
        table("aliases.parquet", lambda t: t.with_columns(pl.col("index") + 39)),
        r"aliases\.parquet: .*index",
    ),
    "neighbours go beyond the catalogue": (array(f"{MAIN}/indices.npy", with_last(40)), r"indices\.npy: .*0 to 39"),
    "similarities hold NaN": (array(f"{MAIN}/similarity.npy", with_last(np.nan)), r"similarity\.npy: holds NaN"),
    "similarities are too few": (array(f"{MAIN}/similarity.npy", lambda a: a[:-1]), "sources/main"),
    "counts are no array": (text(f"{MAIN}/counts.npy", "x"), r"counts\.npy"),
    "counts are empty": (text(f"{MAIN}/counts.npy", ""), r"counts\.npy"),
    "settings are no JSON": (text(f"{MAIN}/weights.json", "{"), r"weights\.json|sources/main"),
    "settings lack a field": (text(f"{MAIN}/weights.json", '{"recency": 1.0}'), "sources/main.*last"),
    "popularity holds an infinity": (array(f"{POPULARITY}/weights.npy", with_last(np.inf)), r"weights\.npy"),
    "popularity lacks items": (array(f"{POPULARITY}/weights.npy", lambda a: a[:-1]), "'popularity' scores 39 items"),
    "popularity lacks counts": (array(f"{POPULARITY}/counts.npy", lambda a: a[:1]), "'popularity' fails"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_is_refused(name: str, write_small_bundle: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_small_bundle(tmp_path / "bundle")
    damage, words = DAMAGES[name]
    damage(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {file: sha256(folder / file) for file in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=words):
        Model.load(folder)

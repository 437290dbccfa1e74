"""A published bundle opens, says where it came from, and holds nothing of any listener."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.bundle import Bundle
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.scoring.popularity import Popularity
from recsys.workspace import Workspace
from training.publish import git_commit, publish, window_of


def _popularity(dataset: Dataset) -> Popularity:
    return Popularity(dataset.train_counts.astype(np.float32), dataset.train_counts)


@pytest.fixture
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset()


@pytest.fixture
def folder(tiny_workspace: Workspace, dataset: Dataset) -> Path:
    return publish(
        tiny_workspace,
        dataset,
        name="tiny-popularity-0123456789ab",
        model="popularity",
        scorers={"main": _popularity(dataset), "popularity": _popularity(dataset)},
        config={"half_life_days": 7},
        metrics={"valid_ndcg": 0.25},
    )


def test_what_was_published_is_what_opens(folder: Path, dataset: Dataset) -> None:
    bundle = Bundle.open(folder)
    assert bundle.manifest.name == folder.name
    assert bundle.manifest.data.fingerprint == dataset.manifest.fingerprint
    assert bundle.manifest.config == {"half_life_days": 7}
    assert bundle.manifest.sources == {"main": "popularity", "popularity": "popularity"}
    assert bundle.manifest.git_commit == git_commit()
    np.testing.assert_array_equal(bundle.scorers["main"].scores(dataset.part("test").items)[0], dataset.train_counts)
    assert {s: p.source_names for s, p in bundle.policy.surfaces.items()} == {
        surface: ["main", "popularity"] for surface in ("home", "playlist", "similar")
    }


def test_the_catalogue_carries_rights_and_name_keys(folder: Path, dataset: Dataset) -> None:
    catalogue = Bundle.open(folder).catalogue
    assert catalogue["track_id"].to_list() == dataset.items["track_id"].to_list()
    assert catalogue["markets"].to_list() == [["SE", "NO"], *[None] * 5]
    assert catalogue["licence"].to_list() == ["CC0", *[None] * 5]
    assert catalogue["name_key"][3] == "artist 1|song 3"


def test_aliases_are_those_of_the_catalogue(folder: Path) -> None:
    aliases = Bundle.open(folder).aliases
    assert aliases.filter(pl.col("source") == "other").rows() == [("other", "x1", 1)]
    assert len(aliases) == 7


def test_the_window_is_that_of_the_train_split(folder: Path, dataset: Dataset) -> None:
    first, last = Bundle.open(folder).manifest.training_window
    assert (first, last) == ("2024-01-01T00:00:00+00:00", "2024-01-20T00:09:00+00:00")
    assert window_of(dataset, "train", "valid")[1] == "2024-01-29T00:09:00+00:00"


def test_publishing_again_changes_nothing(folder: Path, tiny_workspace: Workspace, dataset: Dataset) -> None:
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    scorers = {"main": _popularity(dataset)}
    again = publish(
        tiny_workspace, dataset, name=folder.name, model="popularity", scorers=scorers, config={}, metrics={}
    )
    assert again == folder
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    with pytest.raises(InputError, match="holds popularity on data"):
        publish(tiny_workspace, dataset, name=folder.name, model="mix", scorers=scorers, config={}, metrics={})


@pytest.mark.parametrize("name", ["catalogue.parquet", "aliases.parquet", "policy.toml", "sources/main/weights.npy"])
def test_a_damaged_file_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        Bundle.open(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "sources/main/counts.npy").unlink()
    with pytest.raises(InputError, match=r"counts\.npy: .*absent"):
        Bundle.open(folder)


def test_no_pickle_and_no_listener_in_any_file(folder: Path, dataset: Dataset, listener: str) -> None:
    assert listener in pl.read_parquet(dataset.folder / "sequences.parquet")["owner_id"].to_list()
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert path.suffix in {".json", ".parquet", ".npy", ".toml", ".onnx"}, path
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        # Compressed Parquet pages could hide a name from a search of bytes, so they are searched as text.
        text = str(pl.read_parquet(path).to_dict(as_series=False)).encode() if path.suffix == ".parquet" else b""
        assert listener.encode() not in path.read_bytes() + text, path

"""The simulated world through the sink: whole, marked as simulated, and the same again for the same settings."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from features.importers.run import Imported, run
from features.importers.simulated import Simulated
from recsys.errors import InputError
from recsys.files import read_json
from recsys.simulation.settings import WorldSettings
from recsys.workspace import Workspace

SETTINGS = WorldSettings(events=3_000, listeners=40, tracks=400, artists=50, playlists=50, days=20)


def simulate(root: Path, source: str = "simulated", **changes: object) -> Imported:
    settings = SETTINGS.model_copy(update=changes)
    return run(Workspace(root), "simulated", Simulated(source, settings), simulated=True)


def test_nothing_is_quarantined_and_the_manifest_says_simulated(tmp_path: Path) -> None:
    imported = simulate(tmp_path)
    assert imported.quarantined == 0
    assert imported.counts["tracks"] == imported.counts["embeddings"] == 400
    assert imported.counts["playlists"] == 50
    assert read_json(imported.folder / "manifest.json")["simulated"] is True
    workspace = Workspace(tmp_path)
    known = workspace.table("tracks").select("track_id").collect()["track_id"].implode()
    for table in ("playlist_tracks", "events", "audio_features", "embeddings"):
        rows = workspace.table(table).collect()
        assert rows["track_id"].is_in(known).all()
    events = workspace.table("events").collect()
    assert events.filter(pl.col("action").is_in(["play", "skip"])).height == 3_000
    assert events["user_id"].str.starts_with("simulated:u").all()


def test_equal_settings_give_equal_bytes(tmp_path: Path) -> None:
    one, same = (simulate(tmp_path / name) for name in ("one", "same"))
    files = sorted(path.relative_to(one.folder) for path in one.folder.rglob("*.parquet"))
    assert len(files) == 8
    assert one.folder.name == same.folder.name
    for file in files:
        assert (one.folder / file).read_bytes() == (same.folder / file).read_bytes()


def test_equal_settings_add_nothing_and_another_seed_does(tmp_path: Path) -> None:
    simulate(tmp_path)
    assert simulate(tmp_path).already
    assert not simulate(tmp_path, seed=8).already


def test_two_worlds_of_other_names_keep_their_listeners_apart(tmp_path: Path) -> None:
    simulate(tmp_path)
    simulate(tmp_path, "staging")
    listeners = Workspace(tmp_path).table("events").select(pl.col("user_id").str.split(":").list.first()).unique()
    assert sorted(listeners.collect()["user_id"].to_list()) == ["simulated", "staging"]


def test_a_world_that_cannot_be_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"simulation\.preference"):
        simulate(tmp_path, preference="taste")
    assert not Workspace(tmp_path).import_folders()

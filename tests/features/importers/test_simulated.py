"""The simulated world through the sink: whole, marked as simulated, and the same again for the same settings."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from features.importers.base import Importer, Request
from features.importers.formats import FORMATS
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


def test_equal_settings_add_nothing_and_another_world_needs_another_name(tmp_path: Path) -> None:
    simulate(tmp_path)
    assert simulate(tmp_path).already
    with pytest.raises(InputError, match=r"--source: simulated names a simulated world already, simulated-\w{12};"):
        simulate(tmp_path, seed=8)
    assert len(Workspace(tmp_path).import_folders()) == 1


def test_two_worlds_share_nothing_though_their_ids_and_many_names_are_equal(tmp_path: Path) -> None:
    simulate(tmp_path)
    second = simulate(tmp_path, "staging")
    assert second.joined == {"new": 400}
    for table, column in (("events", "user_id"), ("events", "track_id"), ("tracks", "track_id")):
        owners = Workspace(tmp_path).table(table).select(pl.col(column).str.split(":").list.first()).unique()
        assert sorted(owners.collect()[column].to_list()) == ["simulated", "staging"]


def namesakes(root: Path, place: Path) -> Importer:
    """A real source whose tracks have the names and the recording codes of simulated ones."""
    simulate(root / "aside")
    tracks = Workspace(root / "aside").table("tracks").select("title", "artist_name", "isrc").collect()
    tracks.with_columns(track_id=pl.int_range(len(tracks)).cast(pl.String)).write_csv(place)
    return FORMATS["tracks"].open(Request(place, "shop"))


@pytest.mark.parametrize("real_first", [True, False])
def test_a_real_source_never_joins_a_simulated_world(tmp_path: Path, real_first: bool) -> None:
    shop = namesakes(tmp_path, tmp_path / "tracks.csv")
    root = tmp_path / "both"
    for real in (real_first, not real_first):
        joined = (run(Workspace(root), "tracks", shop) if real else simulate(root)).joined
        assert joined == {"new": 400}
    aliases = Workspace(root).table("track_aliases").collect()
    assert aliases["track_id"].is_unique().all()


def test_a_real_source_and_a_simulated_world_never_have_one_name(tmp_path: Path) -> None:
    shop = namesakes(tmp_path, tmp_path / "tracks.csv")
    run(Workspace(tmp_path / "one"), "tracks", shop)
    with pytest.raises(InputError, match="--source: shop names a source of real data already"):
        simulate(tmp_path / "one", "shop")
    simulate(tmp_path / "two", "shop")
    with pytest.raises(InputError, match="--source: shop names a simulated world already"):
        run(Workspace(tmp_path / "two"), "tracks", shop)


def test_a_world_that_cannot_be_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"simulation\.preference"):
        simulate(tmp_path, preference="taste")
    assert not Workspace(tmp_path).import_folders()

"""The simulated world through the sink: whole, marked as simulated, and the same again for the same settings."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from features.importers.base import Request
from features.importers.formats import FORMATS
from features.importers.run import Imported, run
from recsys.cli import app
from recsys.files import read_json
from recsys.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    config = tmp_path / "segue.toml"
    config.write_text("[simulation]\nartists = 30\ntracks = 120\nplaylists = 50\nlisteners = 10\ndays = 20\n")
    monkeypatch.setenv("SEGUE_CONFIG", str(config))
    return Workspace(tmp_path / "workspace")


def simulate(workspace: Workspace, source: str | None = None) -> Imported:
    form = FORMATS["simulated"]
    return run(workspace, "simulated", form.open(Request(Path(), source)), simulated=form.simulated)


def test_nothing_is_quarantined_and_the_manifest_says_simulated(workspace: Workspace) -> None:
    imported = simulate(workspace)
    assert imported.quarantined == 0
    assert imported.counts["tracks"] == 120
    assert imported.counts["playlists"] == 50
    assert read_json(imported.folder / "manifest.json")["simulated"] is True
    known = workspace.table("tracks").select("track_id").collect()["track_id"].implode()
    for table in ("playlist_tracks", "events", "audio_features"):
        rows = workspace.table(table).collect()
        assert rows["track_id"].is_in(known).all()
    assert workspace.table("events").collect()["user_id"].str.starts_with("simulated:u").all()


def test_equal_settings_add_nothing_and_another_seed_does(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(workspace)
    assert simulate(workspace).already
    monkeypatch.setenv("SEGUE_SIMULATION_SEED", "8")
    assert not simulate(workspace).already


def test_two_worlds_of_other_names_keep_their_listeners_apart(workspace: Workspace) -> None:
    simulate(workspace)
    simulate(workspace, "staging")
    listeners = workspace.table("events").select(pl.col("user_id").str.split(":").list.first()).unique().collect()
    assert sorted(listeners["user_id"].to_list()) == ["simulated", "staging"]


def test_the_command_needs_no_path(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_WORKSPACE", str(workspace.root))
    shown = CliRunner().invoke(app, ["import", "simulated"])
    assert shown.exit_code == 0, shown.output
    assert len(workspace.import_folders()) == 1

"""From slices of the Million Playlist Dataset, in the published layout, to an evaluated model: no further step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from recsys.simulation.settings import WorldSettings
from recsys.simulation.world import World

pytestmark = pytest.mark.timeout(900)


def slices(folder: Path, playlists: int) -> Path:
    """The simulated world's playlists as two slices."""
    settings = WorldSettings(playlists=playlists, tracks=300, artists=60, listeners=1, events=0)
    world = dict(World.draw(settings).tables())  # Each table of so small a world is one block.
    tracks = world["tracks"].select(
        "track_id",
        track_uri="spotify:track:" + pl.col("track_id"),
        track_name="title",
        artist_uri="spotify:artist:" + pl.col("artist_id"),
        artist_name="artist_name",
        album_uri=pl.lit("spotify:album:a"),
        album_name=pl.lit("An Album"),
        duration_ms=pl.lit(200_000),
    )
    entries = world["playlist_tracks"].join(tracks, on="track_id").sort("playlist_id", "position")
    lists = entries.group_by("playlist_id", maintain_order=True).agg(
        tracks=pl.struct(pl.col("position").alias("pos"), pl.exclude("playlist_id", "position", "track_id", "added_at"))
    )
    rows = lists.join(world["playlists"].select("playlist_id", "name"), on="playlist_id", maintain_order="left")
    published = rows.select("name", "tracks", collaborative=pl.lit("false"), pid=pl.row_index()).with_columns(
        modified_at=pl.lit(1_493_424_000),
        num_followers=pl.lit(1),
        num_edits=pl.lit(1),
        num_tracks=pl.col("tracks").list.len(),
    )
    folder.mkdir()
    for first in (0, playlists // 2):
        part = published.slice(first, playlists // 2).to_dicts()
        name = f"mpd.slice.{first}-{first + playlists // 2 - 1}.json"
        (folder / name).write_text(json.dumps({"info": {"version": "v1"}, "playlists": part}, indent=4))
    return folder


def test_from_slices_to_a_table(tmp_path: Path) -> None:
    def segue(*words: str) -> str:
        command = [sys.executable, "-m", "recsys.cli", "--workspace", str(tmp_path / "workspace"), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    segue("import", "mpd", str(slices(tmp_path / "mpd", 600)))
    segue("features")
    segue("train", "--preset", "tiny", "--epochs", "1")
    assert "best simple baseline" in segue("evaluate")
    report = json.loads((tmp_path / "workspace" / "reports" / "mpd" / "evaluation.json").read_text())
    figures = {row["name"]: row["metrics"]["ndcg"]["mean"] for row in report["tables"][0]["rows"]}
    assert figures["item-knn"] > figures["popularity"] > 0
    assert "sasrec" in figures

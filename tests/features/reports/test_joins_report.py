"""Coverage and shared tracks on three small sources whose joins can be counted by hand, and on the real sets."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from features.cli.report import report
from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import run
from features.reports.joins import joins
from recsys.errors import MissingError
from recsys.files import read_json
from recsys.workspace import Workspace


def bring(workspace: Workspace, form: str, path: Path, source: str | None = None) -> None:
    run(workspace, form, FORMATS[form].open(Request(path, source)), ImportSettings(max_quarantined_share=1.0))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """radio plays A six times, B twice, C and D once; shop sells A and has tagged it; fans tag the artist of C."""
    workspace = Workspace(tmp_path / "workspace")
    plays = [("A", "x")] * 6 + [("B", "x")] * 2 + [("C", "y"), ("D", "z")]
    radio = pl.DataFrame({"user_id": "dj", "title": [t for t, _ in plays], "artist_name": [a for _, a in plays]})
    radio.write_csv(tmp_path / "radio.csv")
    bring(workspace, "events", tmp_path / "radio.csv", "radio")
    shop = pl.DataFrame({"track_id": ["1", "2"], "title": ["a (Live)", "E"], "artist_name": "X", "tag": "loud"})
    shop.write_csv(tmp_path / "shop.csv")
    bring(workspace, "tags", tmp_path / "shop.csv", "shop")
    pl.DataFrame({"tag": ["sad"], "artist_name": ["Y"]}).write_csv(tmp_path / "fans.csv")
    bring(workspace, "tags", tmp_path / "fans.csv", "fans")
    return workspace


def test_coverage_counts_songs_plays_and_artists(workspace: Workspace) -> None:
    coverage = joins(workspace).coverage
    assert coverage["source"].to_list() == ["radio", "shop"]
    assert coverage.row(0, named=True) == {
        "source": "radio",
        "tracks": 4,
        "songs": 4,
        "songs_with_content": 0.25,
        "often_with_content": 1.0,
        "plays": 10,
        "plays_with_content": 0.6,
        "artists": 3,
        "artists_with_content": pytest.approx(2 / 3),
    }


def test_a_simulated_world_is_left_out(workspace: Workspace, tmp_path: Path) -> None:
    before = joins(workspace)
    made = pl.DataFrame({"track_id": ["1"], "title": ["C"], "artist_name": "Y", "tag": "made"})
    made.write_csv(tmp_path / "made.csv")
    importer = FORMATS["tags"].open(Request(tmp_path / "made.csv", "made"))
    run(workspace, "tags", importer, ImportSettings(), simulated=True)
    after = joins(workspace)
    assert (after.coverage.rows(), after.content.rows()) == (before.coverage.rows(), before.content.rows())
    assert after.pairs.equals(before.pairs)


def test_content_and_pairs_name_who_gives_and_who_shares(workspace: Workspace) -> None:
    found = joins(workspace)
    assert found.content.rows() == [("fans", 0, 0, 1), ("shop", 0, 2, 0)]
    assert found.pairs.rows() == [("radio", "shop", 0, 0, 1, 1)]


def test_an_id_counts_as_the_method_within_a_namespace_only(workspace: Workspace, tmp_path: Path) -> None:
    """A second file of the shop knows track 1 by its id; radio still shares it with either by name alone."""
    for name in ("songs", "again"):
        pl.DataFrame({"user_id": [name], "track_id": ["1"]}).write_csv(tmp_path / f"{name}.csv")
        bring(workspace, "events", tmp_path / f"{name}.csv", "shop")
    assert joins(workspace).pairs.rows() == [("radio", "shop", 0, 0, 1, 1)]
    assert joins(workspace).coverage.filter(pl.col("source") == "shop")["plays"].item() == 2


def test_the_command_prints_the_tables_and_writes_them(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_WORKSPACE", str(workspace.root))
    monkeypatch.setenv("COLUMNS", "80")
    fans = tmp_path / "fans.csv"
    pl.DataFrame({"tag": ["sad"], "artist_name": ["Y"]}).write_csv(fans)
    bring(workspace, "tags", fans, "spotify-hit-predictor")
    shown = CliRunner().invoke(report, ["joins"])
    assert shown.exit_code == 0, shown.output
    assert "25.0%" in shown.output
    assert "spotify-hit-predictor" in shown.output
    assert "…" not in shown.output
    assert read_json(workspace.reports / "joins.json")["pairs"][0]["name"] == 1


def test_an_empty_workspace_names_the_command_that_fills_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="segue import FORMAT PATH"):
        joins(Workspace(tmp_path))


REAL = {
    "yes": "yes-radio",
    "yes-complete": "yes-radio",
    "triplej": "triplej",
    "wfmu": "wfmu",
    "spotify-archive": "spotify-playlist-archive",
    "spotify-songs": "spotify-songs",
    "spotify-hit-predictor": "spotify-hit-predictor",
    "deezer-mood": "deezer-mood",
    "hetrec": "hetrec-lastfm",
}
PUBLISHED = [
    ("yes", "songs", 0.77), ("yes", "plays", 0.83), ("yes", "artists", 0.83), ("triplej", "songs", 0.17),
    ("triplej", "plays", 0.14), ("wfmu", "songs", 0.06), ("wfmu", "plays", 0.12), ("wfmu", "often", 0.27),
    ("spotify-archive", "songs", 0.13), ("spotify-archive", "plays", 0.19),
]  # fmt: skip


def test_the_real_sets_join_as_their_survey_says(tmp_path: Path) -> None:
    data = os.environ.get("SEGUE_DATA")
    if not data:
        pytest.skip("needs real data: set SEGUE_DATA")
    workspace = Workspace(tmp_path)
    for form, folder in REAL.items():
        bring(workspace, form, Path(data) / folder)
    coverage = {row["source"]: row for row in joins(workspace).coverage.to_dicts()}
    found = {(source, what): coverage[source][f"{what}_with_content"] for source, what, _ in PUBLISHED}
    assert found == {(source, what): pytest.approx(share, abs=0.02) for source, what, share in PUBLISHED}

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli import app, main
from recsys.files import read_json
from recsys.workspace import Workspace

SIZES = ["--listeners", "40", "--tracks", "400", "--artists", "50", "--playlists", "30", "--days", "20"]


def test_it_makes_a_world_says_what_it_is_and_what_comes_next(workspace: Path) -> None:
    words = ["simulate", "--events", "3_000", "--seed", "9", *SIZES]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "never evidence of quality" in shown.output
    assert "embeddings" in shown.output
    assert "segue features --source simulated" in shown.output
    manifest = read_json(Workspace().import_folders()[0] / "manifest.json")
    assert manifest["simulated"] is True
    assert manifest["options"]["events"] == 3_000
    assert manifest["options"]["seed"] == 9
    assert manifest["quarantined"] == 0

    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0
    assert "nothing to add" in again.output


def test_sizes_come_from_the_settings_where_none_are_given(workspace: Path) -> None:
    (workspace.parent / "segue.toml").write_text("[simulation]\nevents = 2000\nlisteners = 20\nplaylists = 10\n")
    shown = CliRunner().invoke(app, ["simulate", "--playlists", "0", "--source", "staging"])
    assert shown.exit_code == 0, shown.output
    options = read_json(Workspace().import_folders(["staging"])[0] / "manifest.json")["options"]
    assert (options["events"], options["listeners"], options["playlists"]) == (2_000, 20, 0)


def test_help_teaches() -> None:
    output = " ".join(CliRunner().invoke(app, ["simulate", "--help"], env={"COLUMNS": "200"}).output.split())
    for taught in ("in proportion", "never evidence of quality", "--events 10_000_000", "segue features --source",
                   "repeats", "[simulation]"):  # fmt: skip
        assert taught in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tracks", "30", "--artists", "60"), "tracks (30) must be at least artists (60)"),
        (("--events", "-1"), "simulation.events"),
        (("--preference", "taste"), "context-flow"),
        (("--listeners", "1"), "ask for more listeners or days"),
        (("--source", "a/b"), "--source"),
        (("--seed", "9_223_372_036_854_775_808"), "simulation.seed"),
        (("--days", "36_500"), "simulation.days"),
        (("--tracks", "1_000_000_000_000"), "simulation.tracks"),
        (("--listeners", "2_000_000_000_000"), "simulation.listeners"),
    ],
)
def test_bad_input_is_one_line(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["segue", "simulate", *words])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not Workspace().import_folders()

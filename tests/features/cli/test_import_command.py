from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli import app, main

FILES = {
    "yes_big__train.txt": "17 18 \n2 1 \n0 1 0 \n",
    "yes_big__song_hash.txt": "0\tHalo\tBeyonce\n1\tLow\tFlo Rida\n2\tMore\tNobody\n",
    "yes_big__tag_hash.txt": "0, rock\n",
    "yes_big__tags.txt": "0\n#\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    for name, text in FILES.items():
        (tmp_path / "raw" / name).write_text(text)
    return tmp_path / "raw"


def _fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `segue import ...` says on stderr when it exits with status 1."""
    monkeypatch.setattr(sys, "argv", ["segue", "import", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_it_shows_rows_joins_and_quarantine_and_says_when_there_is_nothing_to_do(workspace: Path, folder: Path) -> None:
    arguments = ["import", "yes", str(folder), "--max-quarantined-share", "0.5"]
    first = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert first.exit_code == 0, first.output
    assert "playlist_tracks" in first.output
    assert "tracks new" in first.output
    assert "yes_big__song_hash.txt:3" in first.output

    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert "already imported, nothing to add" in again.output


def test_source_names_the_import(workspace: Path, folder: Path) -> None:
    arguments = ["import", "yes", str(folder), "--source", "radio", "--max-quarantined-share", "0.5"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert [path.name.rsplit("-", 1)[0] for path in (workspace / "imports").glob("[!.]*")] == ["radio"]


def test_the_list_names_every_format() -> None:
    from features.importers.formats import FORMATS

    output = CliRunner().invoke(app, ["import", "--list"], env={"COLUMNS": "80"}).output
    assert [line.split()[0] for line in output.splitlines() if re.match("  [a-z]", line)] == list(FORMATS)


def test_bad_input_is_one_line(
    workspace: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = _fails(monkeypatch, capsys, "lastfm", str(folder))
    assert "unknown format 'lastfm'; did you mean lastfm-1k?" in unknown
    assert "known are lastfm-1k, listenbrainz, " in unknown
    assert "yes expects a folder with" in _fails(monkeypatch, capsys, "yes")
    assert "yes_big__train.txt" in _fails(monkeypatch, capsys, "yes", str(tmp_path))
    assert "takes no mapping" in _fails(monkeypatch, capsys, "yes", str(folder), "--map", "a=b")
    share = _fails(monkeypatch, capsys, "yes", str(folder), "--max-quarantined-share", "0.01")
    assert "song has no id on line 1 of train.txt (first: yes_big__song_hash.txt:3)" in share
    assert "import.max_quarantined_share" in _fails(
        monkeypatch, capsys, "yes", str(folder), "--max-quarantined-share", "7"
    )
    assert not list((workspace / "imports").glob("[!.]*"))


def test_a_workspace_that_cannot_be_written_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEGUE_WORKSPACE", str(tmp_path / "file"))
    assert f"Not a directory: '{tmp_path / 'file' / 'imports'}'" in _fails(monkeypatch, capsys, "yes", str(folder))

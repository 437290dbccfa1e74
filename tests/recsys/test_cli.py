"""The options that every command shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli import app


def test_a_settings_file_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command may run on defaults because a path was mistyped. $SEGUE_CONFIG may name a file yet to come."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGUE_CONFIG", "absent.toml")
    monkeypatch.setenv("SEGUE_WORKSPACE", str(tmp_path))
    assert CliRunner().invoke(app, ["doctor", "--help"]).exit_code == 0
    refused = CliRunner().invoke(app, ["--config", "absent.toml", "doctor"])
    assert refused.exit_code == 2
    assert "absent.toml is no file" in refused.output

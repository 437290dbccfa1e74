"""What tests of every room share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped, and says so, where there is none."""
    folder = os.environ.get("SEGUE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real data: set SEGUE_DATA")
    return Path(folder)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that every `Workspace()` of the test finds; no segue.toml beside it."""
    monkeypatch.setenv("SEGUE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("SEGUE_CONFIG", str(tmp_path / "segue.toml"))
    return tmp_path / "workspace"

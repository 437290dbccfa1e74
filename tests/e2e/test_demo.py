"""The whole way once, by the commands a person types, on the simulated world; then again, which changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.files import sha256

SEGUE = (sys.executable, "-m", "recsys.cli")

pytestmark = pytest.mark.timeout(1200)


def state(workspace: Path) -> dict[str, str]:
    """What the demo made: sums of all tables, bundles and reports, and the champion."""
    folders = ("imports", "features", "bundles", "reports")
    files = [p for folder in folders for p in sorted((workspace / folder).rglob("*")) if p.is_file()]
    return {str(p.relative_to(workspace)): sha256(p) for p in [*files, workspace / "champion.json"]}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace after one demo, and what the demo printed."""
    # A path that every library on the way could take for a pattern or a URL.
    folder = tmp_path_factory.mktemp("demo") / "my [first] demo, 100%"
    folder.mkdir()
    return folder / "workspace", run_demo(folder)


def run_demo(folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SEGUE_")}
    environment["SEGUE_TRAIN_EPOCHS"] = "2"
    done = subprocess.run([*SEGUE, "demo"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_shows_what_it_promises(demo: tuple[Path, str]) -> None:
    workspace, text = demo
    assert "simulated world" in text
    assert "never evidence of quality" in text
    assert "95%" in text
    assert "Seconds of each step" in text
    champion = json.loads((workspace / "champion.json").read_text())
    assert champion["bundle"] in text
    assert (workspace / "bundles" / champion["bundle"] / "manifest.json").is_file()


def test_again_changes_nothing(demo: tuple[Path, str]) -> None:
    workspace, _ = demo
    before = state(workspace)
    run_demo(workspace.parent)
    assert state(workspace) == before


def test_doctor_names_the_champion(demo: tuple[Path, str]) -> None:
    workspace, _ = demo
    done = subprocess.run(
        [*SEGUE, "--workspace", str(workspace), "doctor"], capture_output=True, text=True, check=False
    )
    assert json.loads((workspace / "champion.json").read_text())["bundle"] in done.stdout.replace("\n", "")

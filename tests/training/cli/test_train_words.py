"""What `segue train` shows of its settings before it trains."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from recsys.cli import app
from training.settings import TrainSettings


def test_every_setting_is_shown_with_the_value_it_has_here(workspace: Path) -> None:
    words = ["train", "--preset", "hstu-small", "--set", "side=hour,gap", "--set", "dropout=0.45", "--settings"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    rows = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in shown.output.splitlines() if "│" in line}
    assert set(TrainSettings.model_fields) <= set(rows)
    assert (rows["block"], rows["side"], rows["dropout"], rows["dim"]) == ("hstu", "['hour', 'gap']", "0.45", "64")

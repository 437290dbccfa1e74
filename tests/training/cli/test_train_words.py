"""What `segue train` shows of its settings before it trains."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli import app
from recsys.errors import InputError
from training.settings import TrainSettings


def test_every_setting_is_shown_with_the_value_it_has_here(workspace: Path) -> None:
    words = ["train", "--preset", "hstu-small", "--set", "side=hour,gap", "--set", "dropout=0.45", "--settings"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    rows = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in shown.output.splitlines() if "│" in line}
    assert set(TrainSettings.model_fields) <= set(rows)
    assert (rows["block"], rows["side"], rows["dropout"], rows["dim"]) == ("hstu", "['hour', 'gap']", "0.45", "64")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "3", "--set", "epochs=2"], "--set: epochs is said twice, as '2' here and as 3 beside it"),
        (["two-tower", "--set", "model=sequential"], "--set: model is said twice"),
        (["--set", "preset=tiny"], "train.preset: no such setting"),
    ],
)
def test_what_is_said_twice_or_is_no_setting_is_refused(workspace: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["train", *words, "--settings"])
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)


def test_the_model_may_be_said_as_a_setting(workspace: Path) -> None:
    shown = CliRunner().invoke(app, ["train", "--set", "model=two-tower", "--settings"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    assert "two-tower: in bold" in shown.output

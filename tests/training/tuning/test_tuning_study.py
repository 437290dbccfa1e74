"""A study finds what works, goes on where it stopped, and tells what it found."""

from __future__ import annotations

import fcntl
import json
import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState
from typer.testing import CliRunner

from recsys.cli import app
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.splits import Split, for_dataset
from recsys.workspace import Workspace
from training.engine.distributed import Group, process_group
from training.tuning import report
from training.tuning.settings import TuneSettings
from training.tuning.space import space
from training.tuning.study import Study

BASE = {"dim": 8, "layers": 1, "heads": 1, "epochs": 3, "batch_size": 8, "device": "cpu", "dropout": 0.0, "seeds": [1]}


@pytest.fixture
def group() -> Iterator[Group]:
    with process_group("cpu") as joined:
        yield joined


@pytest.fixture
def study(tiny_workspace: Workspace, make_dataset: Callable[..., Dataset]) -> Study:
    dimensions = space({"learning_rate": "0.000001, 0.05", "heads": "1, 3"})
    return Study(tiny_workspace, make_dataset(), BASE, dimensions, TuneSettings(trials=4))


@pytest.fixture
def split(study: Study) -> Split:
    return for_dataset(study.dataset)


def test_it_finds_the_rate_that_learns_and_passes_over_heads_that_do_not_fit(
    study: Study, split: Split, group: Group
) -> None:
    found = replace(study, settings=TuneSettings(trials=12)).open()
    replace(study, settings=TuneSettings(trials=12)).run(found, split, group)
    trials = found.get_trials()
    assert len(trials) == 12
    best = report.finished(trials)[0]
    assert best.params == {"learning_rate": 0.05, "heads": 1}
    for trial in trials:
        if trial.params["heads"] == 3:
            assert trial.state == TrialState.PRUNED
            assert trial.user_attrs["fault"] == "train.heads: 3 heads do not divide dim 8"


def test_a_study_that_was_stopped_goes_on(study: Study, split: Split, group: Group) -> None:
    """It is stopped in its second trial, which is then taken up with the same settings; nothing is done twice."""

    class Stopped(BaseException):
        pass

    def stop(trial: FrozenTrial | object, progress: object) -> None:
        if getattr(trial, "number", 0) == 1:
            raise Stopped

    study = replace(study, space=space({"learning_rate": "0.001..0.05 log"}))
    with pytest.raises(Stopped):
        study.run(study.open(), split, group, on_epoch=stop)
    begun = study.open().get_trials(states=(TrialState.FAIL,))[0]
    again = study.open()
    study.run(again, split, group)
    done = [t for t in again.get_trials() if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(done) == 4
    assert begun.params in [trial.params for trial in done]
    assert len({trial.params["learning_rate"] for trial in done}) == 4
    assert not [path for path in study.folder.iterdir() if path.is_dir()]


def test_other_data_or_settings_are_another_study(study: Study, make_dataset: Callable[..., Dataset]) -> None:
    others = [
        replace(study, dataset=make_dataset("other", "ffffffffffff")),
        replace(study, base=BASE | {"epochs": 4}),
        replace(study, base=BASE | {"seeds": [2, 1]}),
        replace(study, space=space({"dim": "8, 16"})),
    ]
    assert len({one.name for one in [study, *others]}) == 5
    assert replace(study, base=BASE | {"seeds": [1, 2], "threads": 2}).name == study.name


def test_settings_that_do_not_work_on_these_data_are_passed_over(study: Study, split: Split, group: Group) -> None:
    searching = replace(study, space=space({"content": "true, false"}))
    found = searching.open()
    found.enqueue_trial({"content": True})
    searching.run(found, split, group)
    refused, *others = found.get_trials()
    assert refused.state == TrialState.PRUNED
    assert "content.parquet is absent" in refused.user_attrs["fault"]
    assert len(others) == 3


def test_a_damaged_study_is_named(study: Study) -> None:
    study.folder.mkdir(parents=True)
    (study.folder / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match=r"study\.db: file is not a database; remove .*, and the study starts anew"):
        study.open()


def test_one_process_at_a_time(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one would take the trial of the first for one that was killed."""
    monkeypatch.setenv("SEGUE_WORKSPACE", str(study.workspace.root))
    again = ["tune", "--preset", "tiny", "--trials", "1", "--search", "dropout=0.1"]
    assert CliRunner().invoke(app, again).exit_code == 0
    (folder,) = study.workspace.runs.glob("tiny-tune-*")
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = CliRunner().invoke(app, again)
    assert isinstance(refused.exception, InputError)
    assert "another process is at it" in str(refused.exception)


def test_the_command_writes_what_segue_train_takes(
    study: Study, mlflow_store: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What segue.toml says is in it too, since `--config` stands in its place."""
    monkeypatch.setenv("SEGUE_WORKSPACE", str(study.workspace.root))
    Path(os.environ["SEGUE_CONFIG"]).write_text("[train]\nbatch_size = 7\n")
    arguments = ["tune", "--preset", "tiny", "--trials", "3", "--search", "learning_rate=0.001..0.05 log"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    (written,) = (study.workspace.reports / "tiny").glob("tuning-*.toml")
    best = tomllib.loads(written.read_text())["train"]
    record = json.loads(written.with_suffix(".json").read_text())
    whole = [trial for trial in record["trials"] if trial["state"] == "complete"]
    assert best["learning_rate"] == max(whole, key=lambda trial: trial["value"])["params"]["learning_rate"]
    assert (best["dim"], best["batch_size"]) == (16, 7)
    assert written.with_suffix(".png").stat().st_size > 10_000
    monkeypatch.setenv("SEGUE_CONFIG", str(written))
    trained = CliRunner().invoke(app, ["train", "--epochs", "1"])
    assert trained.exit_code == 0, trained.output

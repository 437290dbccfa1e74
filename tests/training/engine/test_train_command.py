"""`segue train` from a data set to bundles and MLflow, once and again."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from recsys.bundle import Bundle
from recsys.cli import app
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.ragged import Ragged
from recsys.workspace import Workspace
from training.engine.results import run_name
from training.registry import model_name, tracking
from training.settings import TrainSettings

SMALL = {
    "DIM": "16",
    "LAYERS": "1",
    "HEADS": "1",
    "MAX_LENGTH": "8",
    "DROPOUT": "0",
    "EPOCHS": "12",
    "PATIENCE": "12",
    "BATCH_SIZE": "8",
    "LEARNING_RATE": "0.02",
}


@pytest.fixture
def data(make_dataset: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch) -> Dataset:
    for name, value in SMALL.items():
        monkeypatch.setenv(f"SEGUE_TRAIN_{name}", value)
    return make_dataset()


def segue(*words: str) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_trains_publishes_and_records_once(data: Dataset, tiny_workspace: Workspace) -> None:
    first = segue("train", "--seeds", "1,2")
    bundles = sorted(path.name for path in tiny_workspace.bundles.iterdir())
    assert len(bundles) == 2
    assert "valid ndcg@20" in first

    bundle = Bundle.open(tiny_workspace.bundles / bundles[0])
    assert list(bundle.manifest.sources.items()) == [("main", "neural"), ("popularity", "popularity")]
    assert bundle.manifest.config["seed"] == 1
    assert bundle.manifest.metrics["valid_ndcg@20"] > 0.9
    ring = bundle.scorers["main"].scores(Ragged.of([[0, 1, 2], [3, 4]]))
    assert np.argmax(ring, axis=1).tolist() == [3, 5]

    client = tracking(tiny_workspace)
    experiment = client.get_experiment_by_name(model_name("tiny"))
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["bundle"] for run in runs} == set(bundles)
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        assert run.data.params["dim"] == "16"
        assert run.data.tags["data_fingerprint"] == data.manifest.fingerprint
        assert run.data.tags["git_commit"]
        curve = client.get_metric_history(run.info.run_id, "valid_ndcg_at_20")
        assert [point.step for point in curve] == list(range(1, 13))

    again = segue("train", "--seeds", "1,2")
    assert "finished before" in again
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_a_run_whose_loss_is_nan_is_recorded_as_failed(
    data: Dataset, tiny_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_TRAIN_SCALE", "1e38")
    with pytest.raises(InputError, match=r"the loss is (nan|inf) in epoch 1; lower train\.learning_rate"):
        segue("train", "--seeds", "1")
    client = tracking(tiny_workspace)
    (run,) = client.search_runs([client.get_experiment_by_name(model_name("tiny")).experiment_id])
    assert run.info.status == "FAILED"
    assert "the loss is" in run.data.tags["error"]
    assert not tiny_workspace.bundles.exists()


def test_a_run_that_another_process_is_at_is_left_to_it(data: Dataset, tiny_workspace: Workspace) -> None:
    name = run_name(data, TrainSettings.load(epochs=1), seed=1)
    (tiny_workspace.runs / name).mkdir(parents=True)
    with (tiny_workspace.runs / name / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is at it"):
            segue("train", "--seeds", "1", "--epochs", "1")
    assert not tiny_workspace.bundles.exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--preset", "huge"), "--preset: 'huge' is none of tiny, small, large"),
        (("--seeds", "one"), "--seeds: 'one' is no list"),
        (("--mode", "ddp"), "train.mode"),
        (("gpt",), "train.model"),
        (("--dataset", "absent"), "no data set 'absent'"),
    ],
)
def test_bad_words_are_refused(data: Dataset, words: tuple[str, ...], fault: str) -> None:
    from recsys.errors import SegueError

    with pytest.raises(SegueError, match=fault):
        segue("train", *words)


def test_under_torchrun_one_process_speaks_and_publishes(data: Dataset, tiny_workspace: Workspace) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = ["-m", "recsys.cli", "train", "--mode", "sharded", "--seeds", "1", "--epochs", "3"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launcher, *words], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Trained on tiny") == 1
    (folder,) = tiny_workspace.bundles.iterdir()
    assert Bundle.open(folder).manifest.config["mode"] == "sharded"


def test_the_command_line_does_not_load_torch() -> None:
    code = "import sys, training.cli.train, training.engine.results; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0

"""What is wrong with the input is said in one line, and stands in MLflow as the reason of a failed run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fault_worker
import numpy as np
import pytest

from recsys.dataset import Dataset
from recsys.errors import InputError, SegueError
from recsys.ragged import Ragged
from recsys.splits import Split, for_dataset
from recsys.workspace import Workspace
from training.engine.distributed import process_group
from training.engine.results import run_name
from training.engine.run import train
from training.registry import model_name, tracking
from training.settings import TrainSettings

FIELDS: dict[str, Any] = {
    "dim": 8,
    "layers": 1,
    "heads": 1,
    "max_length": 8,
    "epochs": 1,
    "device": "cpu",
    "seeds": [1],
}


def without_rows(split: Split) -> Split:
    return replace(split, train=replace(split.train, items=Ragged.of([[]]), owners=np.zeros(1, np.int64), starts=None))


def without_queries(split: Split) -> Split:
    return replace(split, valid=split.valid.take(np.zeros(0, np.int64)))


def with_a_stranger(split: Split) -> Split:
    items = split.train.items
    return replace(split, train=replace(split.train, items=Ragged(items.values + 3, items.offsets)))


def failed(workspace: Workspace) -> str:
    """The reason of the one run that there is."""
    client = tracking(workspace)
    (run,) = client.search_runs([client.get_experiment_by_name(model_name("tiny")).experiment_id])
    assert run.info.status == "FAILED"
    return str(run.data.tags["error"])


@pytest.mark.parametrize(
    ("spoil", "given", "fault"),
    [
        (without_rows, {}, "the training split is empty; see segue features"),
        (without_queries, {}, "the validation split is empty; see segue features"),
        (with_a_stranger, {}, "the training split holds the item 8, and the data set has 6"),
        (None, {"warm_start": "tiny-gone"}, r"train\.warm_start: there is no run 'tiny-gone' in .*; it holds \[\]"),
        (None, {"batch_size": 2, "accumulate": 3}, r"train\.batch_size: a process's share of 2 rows"),
    ],
)
@pytest.mark.usefixtures("mlflow_store")
def test_faults_fail_the_run_with_their_reason(
    make_dataset: Callable[..., Dataset],
    tiny_workspace: Workspace,
    spoil: Callable[[Split], Split] | None,
    given: dict[str, Any],
    fault: str,
) -> None:
    data = make_dataset()
    split = for_dataset(data)
    split = spoil(split) if spoil else split
    with process_group("cpu") as group, pytest.raises(SegueError, match=fault) as caught:
        train(tiny_workspace, data, split, TrainSettings(**(FIELDS | given)), 1, group)
    assert failed(tiny_workspace) == f"{caught.type.__name__}: {caught.value}"
    assert not tiny_workspace.bundles.exists()


def test_no_process_ends_before_rank_0_has_told_of_the_fault(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, fault_worker.__file__, str(tmp_path / "told")], capture_output=True, text=True, timeout=280
    )
    assert done.returncode != 0
    assert "a fault of all" in done.stderr
    assert (tmp_path / "told").read_text() == "told"


@pytest.mark.usefixtures("mlflow_store")
def test_the_checkpoint_of_another_model_fails_the_run_and_stands(
    make_dataset: Callable[..., Dataset], tiny_workspace: Workspace
) -> None:
    data = make_dataset()
    first, second = (TrainSettings(**(FIELDS | {"dropout": share})) for share in (0.1, 0.2))
    folders = [tiny_workspace.runs / run_name(data, settings, 1) for settings in (first, second)]

    def stop(progress: Any) -> None:
        if progress.epochs:
            raise KeyboardInterrupt

    with process_group("cpu") as group:
        with pytest.raises(KeyboardInterrupt):
            train(tiny_workspace, data, for_dataset(data), first, 1, group, on_epoch=stop)
        folders[0].rename(folders[1])
        with pytest.raises(InputError, match=r"another model: dropout is 0\.1 there and 0\.2 here"):
            train(tiny_workspace, data, for_dataset(data), second, 1, group)
    assert (folders[1] / "0001-0000000" / "manifest.json").is_file()

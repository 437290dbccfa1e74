"""Runs and model versions in a real MLflow store (SQLite)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys.bundle import read_manifest
from recsys.dataset import Dataset
from recsys.files import sha256
from recsys.scoring.popularity import Popularity
from recsys.workspace import Workspace
from training import registry
from training.publish import publish


@pytest.fixture
def dataset(make_dataset: Callable[..., Dataset], mlflow_store: None) -> Dataset:
    return make_dataset()


def _bundle(workspace: Workspace, dataset: Dataset, name: str) -> Path:
    scorer = Popularity(dataset.train_counts.astype(np.float32), dataset.train_counts)
    metrics = {"valid_ndcg@20": 0.25}
    return publish(
        workspace, dataset, name=name, model="popularity", scorers={"main": scorer}, config={}, metrics=metrics
    )


def test_a_run_keeps_parameters_curves_and_the_fingerprint_of_its_data(
    tiny_workspace: Workspace, dataset: Dataset
) -> None:
    with registry.start_run(tiny_workspace, dataset, "try", {"dim": 64}, {"bundle": "try"}) as run:
        import mlflow

        mlflow.log_metrics({"loss": 1.0}, step=1)
        mlflow.log_metrics({"loss": 0.5}, step=2)
        mlflow.log_text("words", "note.txt")
    client = registry.tracking(tiny_workspace)
    kept = client.get_run(run.info.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params == {"dim": "64"}
    assert kept.data.tags["data_fingerprint"] == dataset.manifest.fingerprint
    assert [m.value for m in client.get_metric_history(run.info.run_id, "loss")] == [1.0, 0.5]
    assert list((tiny_workspace.root / "mlartifacts").rglob("note.txt"))


def test_an_error_ends_the_run_as_failed(tiny_workspace: Workspace, dataset: Dataset) -> None:
    with pytest.raises(ZeroDivisionError), registry.start_run(tiny_workspace, dataset, "try", {}) as run:
        raise ZeroDivisionError
    assert registry.tracking(tiny_workspace).get_run(run.info.run_id).info.status == "FAILED"


def test_a_run_whose_process_was_killed_is_marked_when_it_goes_on(tiny_workspace: Workspace, dataset: Dataset) -> None:
    client = registry.tracking(tiny_workspace)
    with registry.start_run(tiny_workspace, dataset, "try", {}) as run:
        experiment, tags = run.info.experiment_id, {"workspace": str(tiny_workspace.root)}
    ours = client.create_run(experiment, run_name="try", tags=tags)
    others = [
        client.create_run(experiment, run_name="another", tags=tags),
        client.create_run(experiment, run_name="try", tags={"workspace": "elsewhere"}),
    ]
    with registry.start_run(tiny_workspace, dataset, "try", {}):
        pass
    assert client.get_run(ours.info.run_id).info.status == "KILLED"
    assert {client.get_run(other.info.run_id).info.status for other in others} == {"RUNNING"}
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_a_bundle_is_one_version_however_often_it_is_registered(tiny_workspace: Workspace, dataset: Dataset) -> None:
    folder = _bundle(tiny_workspace, dataset, "one")
    with registry.start_run(tiny_workspace, dataset, "one", {}, {"bundle": "one"}) as run:
        pass
    version = registry.register(tiny_workspace, folder)
    assert registry.register(tiny_workspace, folder, {"test_ndcg@20": 0.5}) == version
    kept = registry.tracking(tiny_workspace).get_model_version("segue-tiny", version)
    assert kept.run_id == run.info.run_id
    assert kept.tags["bundle"] == "one"
    assert kept.tags["manifest_sha256"] == sha256(folder / "manifest.json")
    assert kept.tags["data_fingerprint"] == read_manifest(folder).data.fingerprint
    assert (kept.tags["valid_ndcg_at_20"], kept.tags["test_ndcg_at_20"]) == ("0.25", "0.5")


def test_an_alias_is_borne_by_one_version_at_a_time(tiny_workspace: Workspace, dataset: Dataset) -> None:
    assert registry.aliased(tiny_workspace, "tiny", "champion") is None
    for name in ("one", "two"):
        version = registry.register(tiny_workspace, _bundle(tiny_workspace, dataset, name))
        registry.set_alias(tiny_workspace, "tiny", "champion", version)
        assert registry.aliased(tiny_workspace, "tiny", "champion") == name
    registry.set_alias(tiny_workspace, "tiny", "champion", None)
    assert registry.aliased(tiny_workspace, "tiny", "champion") is None


def test_a_tracking_uri_in_the_environment_wins_and_none_is_left_behind(
    tiny_workspace: Workspace, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.tracking(tiny_workspace)
    assert "MLFLOW_TRACKING_URI" not in os.environ
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tiny_workspace.root / 'mlflow.db'}")
    elsewhere = Workspace(tmp_path / "elsewhere")
    registry.register(elsewhere, _bundle(tiny_workspace, dataset, "one"))
    assert not (elsewhere.root / "mlflow.db").exists()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"

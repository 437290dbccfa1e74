"""Runs and model versions in MLflow: a SQLite file in the workspace, unless MLFLOW_TRACKING_URI names another place.

A bundle becomes a version of the registered model `segue-<dataset>`. Its alias `champion` says which one the gate let
pass, `challenger` which one was judged last. What is served is said by `champion.json` alone (recsys.workspace).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recsys.bundle import BundleManifest, read_manifest
from recsys.dataset import Dataset
from recsys.files import sha256
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import ActiveRun, MlflowClient

Alias = Literal["champion", "challenger"]


def tracking(workspace: Workspace) -> MlflowClient:
    """Point MLflow at the store of this workspace and return its client. Loads MLflow (seconds) on the first call."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow

    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    workspace.root.mkdir(parents=True, exist_ok=True)
    given = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(given or f"sqlite:///{workspace.root / 'mlflow.db'}")
    if not given:
        # MLflow writes it into the environment, where the next workspace would take it for the user's own.
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    return mlflow.MlflowClient()


def model_name(dataset: str) -> str:
    """The registered model and the experiment of a data set.

    >>> model_name("yes")
    'segue-yes'
    """
    return f"segue-{dataset}"


@contextmanager
def start_run(
    workspace: Workspace, dataset: Dataset, name: str, params: Mapping[str, Any], tags: Mapping[str, str] | None = None
) -> Iterator[ActiveRun]:
    """An MLflow run of the data set's experiment; inside, `mlflow.log_metrics(values, step=...)` and the like go to it.

    The data set's name and fingerprint are tags of every run. An error in the block ends the run as FAILED. A run of
    that name in this workspace that never ended was killed with its process, and is marked KILLED: the caller sees to
    it that no two are under way at once.
    """
    client = tracking(workspace)
    import mlflow

    manifest = dataset.manifest
    origin = {"dataset": manifest.name, "data_fingerprint": manifest.fingerprint, "simulated": str(manifest.simulated)}
    origin["workspace"] = str(workspace.root)
    experiment = _experiment(client, workspace, manifest.name)
    for stale in client.search_runs([experiment], f"attributes.run_name = '{name}' and attributes.status = 'RUNNING'"):
        if stale.data.tags.get("workspace") == origin["workspace"]:
            client.set_terminated(stale.info.run_id, "KILLED")
    with mlflow.start_run(experiment_id=experiment, run_name=name, tags=origin | dict(tags or {})) as run:
        mlflow.log_params(dict(params))
        yield run


def register(workspace: Workspace, folder: Path, figures: Mapping[str, float] | None = None) -> str:
    """The model version of a bundle, made where there is none yet; ``figures`` become its tags. Returns the version."""
    client = tracking(workspace)
    manifest = read_manifest(folder)
    model = model_name(manifest.data.dataset)
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model)
    digest = sha256(folder / "manifest.json")
    found = [v for v in client.search_model_versions(f"name = '{model}'") if v.tags.get("manifest_sha256") == digest]
    if found:
        version = str(found[0].version)
    else:
        tags = {
            "bundle": manifest.name,
            "model": manifest.model,
            "manifest_sha256": digest,
            "data_fingerprint": manifest.data.fingerprint,
            "git_commit": manifest.git_commit,
        }
        run = _run_of(client, manifest)
        version = str(client.create_model_version(model, folder.as_uri(), run_id=run, tags=tags).version)
    for name, value in (manifest.metrics | dict(figures or {})).items():
        client.set_model_version_tag(model, version, name.replace("@", "_at_"), f"{value:.6g}")
    return version


def set_alias(workspace: Workspace, dataset: str, alias: Alias, version: str | None) -> None:
    """Move the alias to that version, off the one that had it; None: no version bears it."""
    client = tracking(workspace)
    if version is None:
        client.delete_registered_model_alias(model_name(dataset), alias)
    else:
        client.set_registered_model_alias(model_name(dataset), alias, version)


def aliased(workspace: Workspace, dataset: str, alias: Alias) -> str | None:
    """The name of the bundle that bears the alias."""
    client = tracking(workspace)
    found = client.search_registered_models(f"name = '{model_name(dataset)}'")
    if not found or alias not in found[0].aliases:
        return None
    return str(client.get_model_version_by_alias(model_name(dataset), alias).tags["bundle"])


def _run_of(client: MlflowClient, manifest: BundleManifest) -> str | None:
    """The run that trained the bundle, by its tag `bundle`; None for a baseline, which needs no run."""
    experiment = client.get_experiment_by_name(model_name(manifest.data.dataset))
    if experiment is None:
        return None
    runs = client.search_runs([experiment.experiment_id], f"tags.bundle = '{manifest.name}'", max_results=1)
    return str(runs[0].info.run_id) if runs else None


def _experiment(client: MlflowClient, workspace: Workspace, dataset: str) -> str:
    if found := client.get_experiment_by_name(model_name(dataset)):
        return str(found.experiment_id)
    ours = not os.environ.get("MLFLOW_TRACKING_URI")
    artifacts = (workspace.root / "mlartifacts").as_uri() if ours else None
    return str(client.create_experiment(model_name(dataset), artifact_location=artifacts))

"""Who stands before the gate: the bundles of the workspace that were trained on exactly these data."""

from __future__ import annotations

from recsys.bundle import BundleManifest, read_manifest
from recsys.dataset import Dataset
from recsys.errors import InputError, MissingError
from recsys.files import sha256
from recsys.metrics.harness import PRIMARY
from recsys.workspace import Champion, Workspace
from training.evaluation.report import Report


def best_baseline(workspace: Workspace, dataset: Dataset) -> BundleManifest:
    """The one that the last evaluation chose; where there was none, the best by what the bundles say of validation.

    Bundles of several evaluations lie beside each other, and their figures may be of different protocols or rows.
    """
    simple = {m.name: m for m in _bundles(workspace, dataset, neural=False)}
    report = Report.read(workspace.reports / dataset.manifest.name / "evaluation.json")
    if report is not None and report.published in simple:
        return simple[report.published]
    if simple:
        return list(simple.values())[-1]
    raise MissingError(
        f"no bundle of a simple baseline on data {dataset.manifest.fingerprint} in {workspace.bundles}; "
        "publish the best one: segue evaluate"
    )


def best_challenger(workspace: Workspace, dataset: Dataset, current: Champion | None) -> BundleManifest | None:
    """The best of those made since the last rollback; None where there is none."""
    since = current.not_before if current else None
    neural = _bundles(workspace, dataset, neural=True)
    return next((m for m in reversed(neural) if since is None or m.created_at > since), None)


def named(workspace: Workspace, dataset: Dataset, name: str) -> BundleManifest:
    """Raises MissingError for a bundle that is not there, InputError for one of another data set."""
    if not (workspace.bundles / name / "manifest.json").is_file():
        raise MissingError(f"--bundle: no bundle {name!r} in {workspace.bundles}")
    manifest = read_manifest(workspace.bundles / name)
    if manifest.data.dataset != dataset.manifest.name:
        raise InputError(
            f"--bundle: {name!r} was made of data set {manifest.data.dataset!r}, not {dataset.manifest.name!r}"
        )
    return manifest


def digest(workspace: Workspace, name: str) -> str:
    """A champion's bundle may be gone; then its name stands for it."""
    path = workspace.bundles / name / "manifest.json"
    return sha256(path) if path.is_file() else f"absent: {name}"


def _bundles(workspace: Workspace, dataset: Dataset, *, neural: bool) -> list[BundleManifest]:
    """The bundles that were trained on exactly these data, the best on validation last, of equals the youngest.

    Those with a ranker (`segue ranker`) hold copies of others' sources, and the gate judges sources.
    """
    metric = f"valid_{PRIMARY[dataset.manifest.task]}"
    found = [read_manifest(path.parent) for path in workspace.bundles.glob("[!.]*/manifest.json")]
    ours = [
        m
        for m in found
        if m.data.fingerprint == dataset.manifest.fingerprint
        and (m.sources.get("main") == "neural") == neural
        and not m.rankers
    ]
    return sorted(ours, key=lambda m: (m.metrics.get(metric, float("-inf")), m.created_at, m.name))

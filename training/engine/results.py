"""What a training run is called, and what is known of it once it is done. Nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.bundle import read_manifest
from recsys.dataset import Dataset
from recsys.files import fingerprint
from recsys.workspace import Workspace
from training.settings import TrainSettings

NOT_PART_OF_A_MODEL = {"seeds", "device", "threads", "checkpoint_minutes", "checkpoints_kept"}
"""Settings that do not make another model; the seed stands in the run's name."""


@dataclass(frozen=True)
class Result:
    """A finished run."""

    seed: int
    bundle: str
    metrics: dict[str, float]
    """valid_<metric>, epochs, best_epoch, loss, seconds: as in the bundle's manifest."""
    found: bool
    """Finished before; nothing was trained now."""


def run_name(dataset: Dataset, settings: TrainSettings, seed: int) -> str:
    """`<dataset>-<model>-<digits>-s<seed>`: the digits change with the data and with every setting that matters."""
    parts = {"data": dataset.manifest.fingerprint, "train": settings.model_dump(exclude=NOT_PART_OF_A_MODEL)}
    return f"{dataset.manifest.name}-{settings.label}-{fingerprint(parts)}-s{seed}"


def finished(workspace: Workspace, dataset: Dataset, settings: TrainSettings, seed: int) -> Result | None:
    """The run as it was published; None where it was not."""
    name = run_name(dataset, settings, seed)
    if not (workspace.bundles / name / "manifest.json").is_file():
        return None
    return Result(seed, name, read_manifest(workspace.bundles / name).metrics, found=True)

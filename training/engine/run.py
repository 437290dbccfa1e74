"""One training run: a seed, from the data set to a published bundle, with its record in MLflow."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from recsys.baselines.popularity import Popularity
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.files import fingerprint
from recsys.ragged import Ragged
from recsys.scoring.neural import Neural
from recsys.splits import Split
from recsys.workspace import Workspace
from training import pretraining
from training.content import Content, content_of
from training.engine import warm_start
from training.engine.build import build_network
from training.engine.checkpoint import Checkpoints, best_weights
from training.engine.distributed import Group
from training.engine.export import export
from training.engine.loop import Engine, item_vectors
from training.engine.progress import Progress
from training.engine.results import NOT_PART_OF_A_MODEL, Result, run_name
from training.engine.validation import Validator
from training.loader.plan import BatchPlan
from training.publish import git_commit, publish
from training.registry import start_run
from training.settings import TrainSettings

Log = Callable[[dict[str, float], int | None], None]


def prepare(
    workspace: Workspace, dataset: Dataset, split: Split, settings: TrainSettings, seed: int, group: Group
) -> tuple[Engine, Validator]:
    """An engine at its start, and what says how good its network is.

    Raises InputError where a part of the split is empty, or holds an item that the data set does not know.
    """
    for name, ids in (("training", split.train.items), ("validation", split.valid.targets)):
        _check_items(dataset, name, ids)
    shuffled = settings.shuffled(dataset.manifest.task)
    plan = BatchPlan(split.train.items, settings.max_length, settings.batch_size, seed, shuffled)
    content = content_of(dataset, settings.artist_rows) if settings.content else None
    if settings.warm_start is None:
        start = pretraining.start(settings, split.train)
    else:
        start = warm_start.from_run(workspace, dataset, settings.warm_start)
    engine = Engine(settings, plan, dataset.train_counts, seed, group, start, content=content)
    return engine, Validator(dataset, split.valid, settings.valid_queries, group)


def _check_items(dataset: Dataset, part: str, items: Ragged) -> None:
    if not len(items.values):
        raise InputError(f"{dataset.folder}: the {part} split is empty; see segue features")
    lowest, highest = int(items.values.min()), int(items.values.max())
    if lowest < 0 or highest >= len(dataset.items):
        stranger = lowest if lowest < 0 else highest
        raise InputError(
            f"{dataset.folder}: the {part} split holds the item {stranger}, and the data set has {len(dataset.items)}; "
            "make it anew: segue features"
        )


def train(
    workspace: Workspace,
    dataset: Dataset,
    split: Split,
    settings: TrainSettings,
    seed: int,
    group: Group,
    on_batch: Callable[[float, float], None] = lambda progress, loss: None,
    on_epoch: Callable[[Progress], None] = lambda progress: None,
) -> Result | None:
    """Train, or go on with a run that was cut short, and publish. The result in rank 0, None in the others.

    Raises DivergedError for a loss that is not finite; MLflow then shows the run as failed, with the reason. Raises
    InputError where another process is at this very run.
    """
    name, logged = run_name(dataset, settings, seed), 0
    params = settings.model_dump(exclude={"seeds"}) | {"seed": seed}
    with (
        group.failing_together(),
        alone(workspace.runs / name, group),
        _record(workspace, dataset, name, params, group) as log,
    ):
        engine, validator = prepare(workspace, dataset, split, settings, seed, group)
        origin = _origin(dataset, settings, seed, engine.content)
        checkpoints = Checkpoints(workspace.runs / name, group, origin, settings.checkpoints_kept)
        if group.leads:
            warm_start.keep_tracks(checkpoints.folder, dataset)
        for progress in engine.fit(checkpoints, validator, on_batch):
            on_epoch(progress)
            for epoch in range(logged, progress.epochs):
                log({"loss": progress.losses[epoch], f"valid_{validator.metric}": progress.valid[epoch]}, epoch + 1)
            logged = progress.epochs
        if not group.leads:
            return None
        metrics = {
            f"valid_{validator.metric}": progress.valid[progress.best],
            "best_epoch": progress.best + 1,
            "epochs": progress.epochs,
            "loss": progress.losses[-1],
            "seconds": round(progress.seconds, 1),
        }
        best = _best(checkpoints.folder, settings, dataset, engine.content)
        publish(
            workspace,
            dataset,
            name=name,
            model=settings.label,
            scorers={"main": best, "popularity": Popularity().fit(split.train)},
            config=params,
            metrics=metrics,
        )
        log({f"best_{key}" if key.startswith("valid") else key: value for key, value in metrics.items()}, None)
        log({f"seconds_{part}": seconds for part, seconds in progress.parts.items()}, None)
    return Result(seed, name, metrics, found=False)


def _origin(dataset: Dataset, settings: TrainSettings, seed: int, content: Content | None) -> dict[str, Any]:
    """What makes one run another than the next; threads and the like do not."""
    described = {
        "data": dataset.manifest.fingerprint,
        "tracks": fingerprint({"tracks": dataset.items["track_id"].to_list()}),
        "content_layout": content and content.layout.model_dump(mode="json"),
        "seed": seed,
    }
    return described | settings.model_dump(mode="json", exclude=NOT_PART_OF_A_MODEL)


def _best(folder: Path, settings: TrainSettings, dataset: Dataset, content: Content | None) -> Neural:
    """The scorer of the best epoch."""
    network = build_network(settings, len(dataset.items), torch.device("cpu"), content)
    network.load_state_dict(best_weights(folder)[0])
    return export(network, item_vectors(network).numpy(), dataset.manifest.audio_scale)


@contextmanager
def alone(folder: Path, group: Group) -> Iterator[None]:
    """Rank 0 holds the run's folder; the lock falls with its process, however that ends."""
    if not group.leads:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another process is at it; wait for it, or stop it") from error
        yield


@contextmanager
def _record(workspace: Workspace, dataset: Dataset, name: str, params: dict[str, Any], group: Group) -> Iterator[Log]:
    """An MLflow run of rank 0; the other processes log nothing. An error becomes the run's tag `error`."""
    if not group.leads:
        yield lambda values, step: None
        return
    with start_run(workspace, dataset, name, params, {"bundle": name, "git_commit": git_commit()}):
        import mlflow

        def log(values: dict[str, float], step: int | None) -> None:
            # MLflow allows no @ in the name of a metric.
            mlflow.log_metrics({key.replace("@", "_at_"): value for key, value in values.items()}, step=step)

        try:
            yield log
        except BaseException as error:
            mlflow.set_tag("error", f"{type(error).__name__}: {error}"[:5000])
            raise

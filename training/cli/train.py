"""`segue train`: a next-track model, a bundle a seed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from recsys.errors import InputError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.dataset import Dataset
    from training.engine.loop import Progress as RunProgress
    from training.engine.results import Result
    from training.settings import TrainSettings

console = Console()


def train(
    model: Annotated[str | None, typer.Argument(help="The network.", show_default="sequential")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set; may be left out where there is only one.")] = None,
    preset: Annotated[str | None, typer.Option(help="Settings that go together; see below.")] = None,
    seeds: Annotated[str | None, typer.Option(help="One run a seed.", show_default="1,2,3")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many passes over the training split.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="replicated (DDP) or sharded (the item table cut by TorchRec).", show_default="replicated"),
    ] = None,
) -> None:
    """Train a next-track transformer on a data set and publish one bundle a seed.

    Early stopping on the data set's own task: its validation queries, ranked over the full catalogue. Curves and
    parameters go to MLflow, checkpoints to [bold]runs/[/]: a run that was killed goes on after its last epoch, and
    one that is finished is found, not trained again. All settings: table [bold]train[/] of segue.toml, or
    SEGUE_TRAIN_<FIELD> in the environment.

    [dim]$[/] segue train --dataset yes
    [dim]$[/] segue train --preset large --seeds 1 --epochs 20
    [dim]$[/] SEGUE_TRAIN_DROPOUT=0.4 segue train

    On several processes, the same command under torchrun (gloo on CPU, nccl on GPUs):

    [dim]$[/] torchrun --nproc_per_node 2 --no-python segue train --mode sharded
    """
    from recsys.dataset import Dataset
    from training.engine.results import finished
    from training.presets import stated
    from training.settings import TrainSettings

    settings = TrainSettings.load(**stated(model, preset, seeds=_numbers(seeds), epochs=epochs, mode=mode))
    workspace = Workspace()
    data = Dataset.open(workspace.dataset_folder(dataset))
    results = [finished(workspace, data, settings, seed) for seed in settings.seeds]
    if missing := [seed for seed, result in zip(settings.seeds, results, strict=True) if result is None]:
        trained = iter(_train(workspace, data, settings, missing))
        results = [result or next(trained) for result in results]
    if os.environ.get("RANK", "0") == "0":
        _show([result for result in results if result is not None], data)


def _train(workspace: Workspace, data: Dataset, settings: TrainSettings, seeds: list[int]) -> list[Result | None]:
    """One result a seed in rank 0, Nones in the other processes."""
    import torch

    from recsys.splits import for_dataset
    from training.engine.distributed import process_group
    from training.engine.run import train

    torch.set_num_threads(settings.threads)
    split = for_dataset(data)
    results: list[Result | None] = []
    with process_group(settings.resolved_device) as group:
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn()
        with Progress(*columns, console=console, disable=not group.leads) as bars:
            if group.leads:
                console.print(
                    f"{settings.label} on {data.manifest.name} ({len(split.train):,} sequences, "
                    f"{len(data.items):,} tracks), {settings.mode}, {group.world} process(es) on {group.device.type}, "
                    f"{torch.get_num_threads()} thread(s) each",
                    highlight=False,
                )
            for seed in seeds:
                bar = bars.add_task(f"seed {seed}", total=1.0, state="")

                def on_batch(progress: float, loss: float, bar: TaskID = bar) -> None:
                    bars.update(bar, completed=progress)

                def on_epoch(progress: RunProgress, bar: TaskID = bar) -> None:
                    bars.update(bar, state=_state(progress))

                results.append(train(workspace, data, split, settings, seed, group, on_batch, on_epoch))
                bars.update(bar, completed=1.0)
    return results


def _state(progress: RunProgress) -> str:
    if not progress.epochs:
        return ""
    return f"epoch {progress.epochs}, loss {progress.losses[-1]:.3f}, valid {progress.valid[-1]:.4f}"


def _show(results: list[Result], data: Dataset) -> None:
    table = Table(title=f"Trained on {data.manifest.name} ({data.manifest.fingerprint})", title_justify="left")
    table.add_column("bundle", overflow="fold")
    figure = next(key for key in results[0].metrics if key.startswith("valid_"))
    for column in ("seed", figure.replace("_", " "), "best epoch", "epochs", "seconds"):
        table.add_column(column, justify="right")
    for result in results:
        numbers = result.metrics
        seconds = "found" if result.found else f"{numbers['seconds']:.0f}"
        epochs = f"{numbers['best_epoch']:.0f}", f"{numbers['epochs']:.0f}"
        table.add_row(result.bundle, str(result.seed), f"{numbers[figure]:.4f}", *epochs, seconds)
    console.print(table)
    if all(result.found for result in results):
        console.print("These runs were finished before, with the same data and settings: nothing was trained.")


def _numbers(seeds: str | None) -> list[int] | None:
    """
    >>> _numbers("1,2")
    [1, 2]
    """
    if seeds is None:
        return None
    try:
        return [int(word) for word in seeds.split(",")]
    except ValueError as error:
        raise InputError(f"--seeds: {seeds!r} is no list of numbers such as 1,2,3") from error

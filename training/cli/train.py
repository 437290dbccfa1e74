"""`segue train`: a next-track model, a bundle a seed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, get_origin

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from recsys.errors import InputError
from recsys.workspace import Workspace
from training.cli.assignments import assignments

if TYPE_CHECKING:
    from recsys.dataset import Dataset
    from training.engine.progress import Progress as RunProgress
    from training.engine.results import Result
    from training.settings import TrainSettings

console = Console()


def train(
    model: Annotated[
        str | None, typer.Argument(help="sequential or two-tower.", show_default="sequential", metavar="[MODEL]")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set; may be left out where there is only one.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Settings that go together, such as hstu-small; see below.", show_default="small")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="One run a seed.", show_default="1,2,3")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many passes over the training split.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="replicated (DDP) or sharded (the item table cut by TorchRec).", show_default="replicated"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, once for each.", metavar="SETTING=VALUE", show_default=False),
    ] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="Show every setting, its value here and what it means; train nothing.")
    ] = False,
) -> None:
    """Train a next-track model on a data set and publish one bundle a seed.

    [bold]sequential[/]: a causal transformer over the history, of SASRec, LiGR, HSTU or BSARec blocks.
    [bold]two-tower[/]: the history pooled, items by id and content, so that cold tracks are ranked too.

    Early stopping on the data set's own task: its validation queries, ranked over the full catalogue. Curves and
    parameters go to MLflow, checkpoints to [bold]runs/[/]: a run that was killed goes on where it was, to the same
    weights bit by bit, and one that is finished is found, not trained again.

    Presets: tiny, small, large (SASRec), ligr-, hstu-, bsarec-, context-, content-small, two-tower-small, and some
    with -large. They stand above segue.toml (table [bold]train[/]) and SEGUE_TRAIN_<SETTING>, below the command line.

    [dim]$[/] segue train --dataset yes
    [dim]$[/] segue train sequential --preset hstu-small --seeds 1
    [dim]$[/] segue train --preset large --set dropout=0.4 --set loss=sampled_softmax
    [dim]$[/] segue train two-tower --settings

    On several processes, the same command under torchrun (gloo on CPU, nccl on GPUs):

    [dim]$[/] torchrun --nproc_per_node 2 --no-python segue train --mode sharded

    docs/training.md goes on from here: retrain, tune, scale out, add a loss.
    """
    from recsys.dataset import Dataset
    from training.engine.results import finished
    from training.presets import stated
    from training.settings import TrainSettings

    words = assignments(set_, "--set", "dropout=0.4")
    given = {"model": model, "seeds": _numbers(seeds), "epochs": epochs, "mode": mode}
    said = {field: value for field, value in given.items() if value is not None}
    if twice := sorted(words.keys() & said.keys()):
        raise InputError(
            f"--set: {twice[0]} is said twice, as {words[twice[0]]!r} here and as {said[twice[0]]!r} beside it"
        )
    said |= _parsed(words)
    chosen = TrainSettings.load(**stated(said.pop("model", None), preset, **said))
    if settings:
        _explain(chosen)
        return
    workspace = Workspace()
    data = Dataset.open(workspace.dataset_folder(dataset))
    results = [finished(workspace, data, chosen, seed) for seed in chosen.seeds]
    if missing := [seed for seed, result in zip(chosen.seeds, results, strict=True) if result is None]:
        trained = iter(_train(workspace, data, chosen, missing))
        results = [result or next(trained) for result in results]
    if os.environ.get("RANK", "0") == "0":
        _show([result for result in results if result is not None], data)


def _train(workspace: Workspace, data: Dataset, settings: TrainSettings, seeds: list[int]) -> list[Result | None]:
    """One result a seed in rank 0, Nones in the other processes."""
    import torch

    from recsys.splits import for_dataset
    from training.engine.distributed import process_group
    from training.engine.run import train
    from training.loader.arrays import mapped

    torch.set_num_threads(settings.threads)
    split = for_dataset(mapped(workspace, data, settings.columns), most=settings.valid_queries)
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


def _parsed(words: dict[str, str]) -> dict[str, str | list[str]]:
    """Lists are written with commas.

    >>> _parsed({"side": "hour, gap", "dim": "32"})
    {'side': ['hour', 'gap'], 'dim': '32'}
    """
    from training.settings import TrainSettings

    fields = TrainSettings.model_fields
    lists = {name for name in words if name in fields and get_origin(fields[name].annotation) is list}
    return {
        name: [word.strip() for word in value.split(",")] if name in lists else value for name, value in words.items()
    }


def _explain(settings: TrainSettings) -> None:
    table = Table(title=f"{settings.label}: in bold, what is not the default", title_justify="left")
    table.add_column("setting", no_wrap=True)
    table.add_column("here", overflow="fold", max_width=18)
    table.add_column("meaning")
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        changed = value != field.get_default(call_default_factory=True)
        meaning = (field.description or "").replace("\n", " ")
        table.add_row(name, Text(str(value), "bold" if changed else ""), meaning)
    console.print(table)

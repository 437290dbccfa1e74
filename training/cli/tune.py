"""`segue tune`: the settings of `segue train` that do best on validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recsys.errors import InputError
from recsys.workspace import Workspace
from training.cli.assignments import assignments

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from training.engine.progress import Progress as RunProgress

console = Console()


def tune(
    model: Annotated[str | None, typer.Argument(help="As of segue train.", show_default="sequential")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set; may be left out where there is only one.")] = None,
    preset: Annotated[str | None, typer.Option(help="Where the search starts; see segue train --help.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of the whole study.", show_default="30")] = None,
    minutes: Annotated[float | None, typer.Option(help="Begin no trial after so many minutes.")] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            help="setting=values, once for each setting: a list or a range. Without any, the default space.",
            metavar="SETTING=VALUES",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Search for the settings of a model that do best on validation (Optuna: TPE, with a median pruner).

    Each trial trains with one seed on the training split and is judged on the validation queries; test rows are never
    looked at. Poor trials are cut short. A study that was stopped goes on where it was: the same command again, with
    more trials if you like. Writes a table, a plot and a segue.toml to [bold]reports/<dataset>/[/].

    [dim]$[/] segue tune --dataset yes --trials 20
    [dim]$[/] segue tune --preset hstu-small --search "learning_rate=0.0005..0.01 log" --search dim=32,64,128
    [dim]$[/] segue --config workspace/reports/yes/tuning-0123456789ab.toml train --dataset yes
    """
    from recsys.dataset import Dataset
    from training.presets import stated
    from training.settings import TrainSettings
    from training.tuning.settings import TuneSettings
    from training.tuning.space import space
    from training.tuning.study import Study

    searched = assignments(search, "--search", "dim=32,64 or dropout=0.1..0.5") or None
    settings = TuneSettings.load(trials=trials, minutes=minutes, space=searched)
    base = TrainSettings.load(**stated(model, preset)).model_dump(exclude_unset=True)
    workspace = Workspace()
    data = Dataset.open(workspace.dataset_folder(dataset))
    _search(Study(workspace, data, base, space(settings.space), settings))


def _search(study: object) -> None:
    import torch

    from recsys.metrics.harness import PRIMARY
    from recsys.splits import for_dataset
    from training.engine.distributed import process_group
    from training.engine.run import alone
    from training.loader.arrays import mapped
    from training.settings import TrainSettings
    from training.tuning import report
    from training.tuning.study import DONE, Study

    assert isinstance(study, Study)
    base = TrainSettings.load(**study.base)
    torch.set_num_threads(base.threads)
    split = for_dataset(mapped(study.workspace, study.dataset, study.columns))
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}")
    with (
        process_group(base.resolved_device) as group,
        alone(study.folder, group),
        Progress(*columns, TimeElapsedColumn(), console=console) as bars,
    ):
        if group.world > 1:
            raise InputError("segue tune runs in one process; torchrun is for segue train")
        found = study.open()
        done = len(found.get_trials(states=DONE))
        bar = bars.add_task("trials", total=max(study.settings.trials, done), completed=done, state="")

        def on_epoch(trial: optuna.Trial, progress: RunProgress) -> None:
            figure = f", {progress.valid[-1]:.4f}" if progress.valid else ""
            bars.update(bar, state=f"trial {trial.number}: epoch {progress.epochs}{figure}{_best(found)}")

        def on_trial(trial: FrozenTrial) -> None:
            bars.advance(bar)

        study.run(found, split, group, on_epoch, on_trial)
    trials = found.get_trials(states=DONE)
    if not report.finished(trials):
        faults = sorted({trial.user_attrs.get("fault", "") for trial in trials})
        raise InputError(f"no trial came to its end ({'; '.join(faults) or 'none was begun'}); widen the space")
    metric = PRIMARY[study.dataset.manifest.task]
    console.print(report.table(study, trials, metric))
    if weights := report.importances(found):
        said = ", ".join(f"{name} {share:.0%}" for name, share in weights.items())
        console.print(f"What mattered (PED-ANOVA): {said}", highlight=False)
    paths = report.write(study, trials, metric, study.workspace.reports / study.dataset.manifest.name)
    console.print("\n".join(map(str, paths)), style="dim", highlight=False, soft_wrap=True)
    console.print(f"Train with the best: segue --config {paths[-1]} train --dataset {study.dataset.manifest.name}")


def _best(found: optuna.Study) -> str:
    from optuna.trial import TrialState

    whole = [t.value or 0.0 for t in found.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    return f" (best {max(whole):.4f})" if whole else ""

"""`segue evaluate`: one table on the same test rows, under the law of evaluation; and the protocols of papers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from recsys.errors import InputError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from training.leave_one_out.members import Report

console = Console()
evaluate = typer.Typer(add_completion=False, rich_markup_mode="rich", invoke_without_command=True)


@evaluate.callback()
def _dataset(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Data set; may be left out where there is only one.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="static: fitted once. refit: on validation too. live: knows all days before. Without time: static.",
            show_default="both",
            metavar="[static|refit|live|both|all]",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A look at 500 queries; publishes nothing.")] = False,
) -> None:
    """Score every simple baseline and every neural bundle of a data set on the same test rows.

    Baselines are tuned and chosen on validation; bundles of one model with different seeds are averaged. The table
    names its data, split and seeds, and gives each gain over the best simple baseline with a paired 95% interval.
    Leaks and copies between training and test are looked for first, and refused.

    Writes [bold]reports/<dataset>/evaluation.json[/] and [bold].png[/], and publishes the best simple baseline as a
    bundle. With the same data and models again, it shows the stored table.

    [dim]$[/] segue evaluate --dataset yes
    [dim]$[/] segue evaluate --dataset triplej --protocol live
    """
    if context.invoked_subcommand is not None:
        if dataset or protocol or quick:
            raise InputError(f"options of `segue evaluate {context.invoked_subcommand}` stand after its name")
        return
    from recsys.dataset import Dataset
    from training.evaluation import evaluate as evaluation
    from training.evaluation import plot
    from training.evaluation.settings import EvaluateSettings
    from training.evaluation.table import show

    workspace = Workspace()
    settings = EvaluateSettings.load(protocol=protocol, quick=quick or None)
    data = Dataset.open(workspace.dataset_folder(dataset))
    report, fresh = evaluation.evaluate(workspace, data, settings)
    path = evaluation.report_path(workspace, data, settings)
    picture = path.with_suffix(".png")
    if fresh or not picture.is_file():
        plot.draw(report, picture)
    show(report, console)
    if report.published:
        console.print(f"Bundle of the best simple baseline: [bold]{report.published}[/]", highlight=False)
    if not fresh:
        console.print(f"Nothing new since {report.evaluated_at}: this is the stored table.", highlight=False)
    console.print(f"{path}\n{picture}", style="dim", highlight=False, soft_wrap=True)


@evaluate.command()
def sequential(
    data: Annotated[Path, typer.Option(help="A user a line, oldest item first: user item item ...")],
    attributes: Annotated[
        Path | None, typer.Option(help='Attributes of items, one JSON object: {"item": \\[attribute, ...], ...}')
    ] = None,
    protocol: Annotated[Literal["leave-one-out"], typer.Option(help="How the file is split.")] = "leave-one-out",
    seeds: Annotated[int | None, typer.Option(help="Runs of whatever is random.", show_default="3")] = None,
) -> None:
    """Next-item accuracy straight from a file, to stand beside a published table.

    Of each user the last item is the test target, the one before it the validation target; every other item of the
    catalogue is ranked. Simple models and networks are tuned on validation, trained on the rest with each seed, judged
    alone and as one system, and the test items are read last. HR and NDCG at 5, 10 and 20, mean and deviation over
    seeds, gain over the best simple baseline with a paired 95% interval; first by ids alone, then with attributes.

    Writes [bold]reports/leave-one-out/<file>/report.json[/] and [bold].txt[/] into the workspace. A run that was
    cut short goes on after its finished parts.

    [dim]$[/] segue evaluate sequential --protocol leave-one-out --data LastFM.txt --seeds 5
    [dim]$[/] segue evaluate sequential --data Beauty.txt --attributes Beauty_item2attributes.json
    """
    from recsys.files import write_bytes
    from training.leave_one_out.evaluate import evaluate
    from training.leave_one_out.report import show
    from training.leave_one_out.settings import LeaveOneOutSettings

    settings = LeaveOneOutSettings.load(seeds=seeds)
    folder = Workspace().reports / "leave-one-out" / data.stem
    report = evaluate(data, attributes, settings, folder, _watch)
    show(report, console)
    text = io.StringIO()
    show(report, Console(file=text, width=120))
    write_bytes(folder / "report.txt", text.getvalue().encode())
    console.print(f"{folder / 'report.json'}\n{folder / 'report.txt'}", style="dim", highlight=False, soft_wrap=True)


@contextmanager
def _watch(name: str) -> Iterator[Report]:
    """A bar for one piece of work, which goes when it is done."""
    from rich.progress import Progress

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(name, total=1.0)
        yield lambda share: bars.update(bar, completed=share)

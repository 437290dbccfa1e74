"""`segue evaluate`: one table on the same test rows, under the law of evaluation."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from recsys.workspace import Workspace

console = Console()


def evaluate(
    dataset: Annotated[str | None, typer.Option(help="Data set; may be left out where there is only one.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="static: fitted once. live: knows all days before the session's. both. Data without time: static.",
            show_default="both",
            metavar="[static|live|both]",
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

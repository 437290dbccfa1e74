"""`segue ranker`: the order of the candidates, learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from recsys.errors import InputError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.metrics.bootstrap import Interval
    from training.rankers.report import RankerReport

console = Console()

SHOWN = ("ndcg@20", "hr@20")
"""Of the report's metrics: two fit a terminal."""


def ranker(
    bundle: Annotated[str, typer.Option(help="Whose candidates are ranked.", show_default=False)],
    surface: Annotated[
        str | None, typer.Option(help="home, playlist or another of the bundle's.", show_default="by the data's task")
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", help="Another bundle of the same data: its sources too.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the new bundle.", show_default="BUNDLE-ranked")] = None,
    seeds: Annotated[str | None, typer.Option(help="One ranker a seed.", show_default="1,2,3")] = None,
    candidates: Annotated[int | None, typer.Option(help="Of each source.", show_default="200")] = None,
    objective: Annotated[str | None, typer.Option(help="lambdarank or binary.", show_default="lambdarank")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write the bundle even where the ranker gains nothing.")
    ] = False,
) -> None:
    """Train a ranker over the candidates of a bundle's sources, and write a new bundle that holds it.

    LightGBM learns from validation queries, which the sources have not seen: a part of their sequences is held back,
    says how many trees there are, and decides. A ranker that is not surely better there than the best order of the
    sources is not published: a result, not a failure, so the exit status is 0. The table shows the test queries.

    Features come from bundle and request alone (recsys/ranking/request_features.py), so the server makes the same.
    Other settings: table [bold]ranker[/] of segue.toml.

    [dim]$[/] segue ranker --bundle yes-sasrec-1a2b3c-s1
    [dim]$[/] segue ranker --bundle yes-sasrec-1a2b3c-s1 --with yes-mix-4d5e6f --name yes-ranked
    """
    from recsys.dataset import Dataset
    from recsys.files import write_json
    from training.rankers.publishing import joined, opened, write_ranked
    from training.rankers.settings import RankerSettings
    from training.rankers.training import train

    settings = RankerSettings.load(seeds=_numbers(seeds), candidates=candidates, objective=objective)
    workspace = Workspace()
    target = workspace.bundles / (name or f"{bundle}-ranked")
    if target.exists():
        raise InputError(f"{target}: a bundle is written once; choose another --name")
    whole = joined(opened(workspace, bundle), [opened(workspace, other) for other in with_ or []])
    data = Dataset.open(workspace.dataset_folder(whole.manifest.data.dataset))
    surface = surface or ("playlist" if data.manifest.task == "continuation" else "home")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def on_progress(what: str, more: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], advance=more)

        trained = train(data, whole, surface, settings, on_progress)
    report = trained.report
    path = workspace.reports / data.manifest.name / f"ranker-{target.name}-{surface}.json"
    write_json(path, report.model_dump(mode="json"))
    _show(report)
    console.print(f"Report: {path}", highlight=False, style="dim", soft_wrap=True)
    if not report.surely_better and not force:
        console.print("It is not surely better, so no bundle was written ([bold]--force[/] writes one).")
        return
    write_ranked(target, whole, surface, trained.ranker, settings)
    console.print(f"Bundle: [bold]{escape(target.name)}[/]", highlight=False)


def _show(report: RankerReport) -> None:
    from training.rankers.report import PRIMARY

    table = Table(
        title=f"Candidates of {', '.join(report.sources)} on {report.dataset} ({report.fingerprint}), test",
        title_justify="left",
        box=None,
        header_style="dim",
    )
    table.add_column("order", overflow="fold")
    for metric in SHOWN:
        table.add_column(metric, justify="right")
        table.add_column(f"gain over {report.reference}", justify="right")
    for row in report.rows:
        gains = {m: "" if row.name == report.reference else _gain(row.gains[m]) for m in SHOWN}
        table.add_row(row.name, *(cell for m in SHOWN for cell in (f"{row.figures[m]:.4f}", gains[m])))
    console.print(table)
    clusters = f"{report.test_queries:,} queries in {report.test_clusters:,} clusters"
    trees = f"seeds {', '.join(map(str, report.seeds))} with {', '.join(map(str, report.trees))} trees"
    for line in (
        report.protocol,
        f"{clusters}; {report.reach:.1%} of the targets are candidates",
        f"{trees}, learned from {report.learned:,} queries",
        f"On the held part of validation: {_gain(report.held)} {PRIMARY} against {report.reference}",
    ):
        console.print(escape(line), style="dim", highlight=False)
    if report.simulated:
        console.print("Made by the simulator: these figures test code, and are never evidence.", style="bold yellow")


def _gain(gain: Interval) -> str:
    return f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"


def _numbers(words: str | None) -> list[int] | None:
    """`1,2,3`"""
    if words is None:
        return None
    try:
        return [int(word) for word in words.split(",")]
    except ValueError as error:
        raise InputError(f"--seeds: {words!r} is no list of whole numbers such as 1,2,3") from error

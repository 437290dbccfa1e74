"""`segue features`: imported tables -> training tables, by Spark."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recsys.workspace import Workspace


def features(
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Source to make a data set of; may be repeated.", show_default="all with events or playlists"
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="auto, global_time, owner_time, playlist_hash or leave_one_out.", show_default="auto, or segue.toml"
        ),
    ] = None,
    master: Annotated[
        str | None, typer.Option(help="Spark master, e.g. local[4] or spark://host:7077.", show_default="local[*]")
    ] = None,
) -> None:
    """Make [bold]training tables[/] of what was imported: clean, sessions, statistics, split, content.

    One data set a source that has events or playlists, in the workspace under [cyan]features/SOURCE[/]; content (audio
    features, tags) is joined from all imports. The same imports and settings again change nothing. When each step began
    (seconds since 1970) stands in [cyan]reports/features-SOURCE.json[/].

    [dim]Example:[/] segue features --source wfmu --protocol owner_time

    Settings: tables [cyan]\\[features][/] and [cyan]\\[spark][/] of segue.toml.
    """
    from features.jobs.plan import FeatureSettings, plans
    from features.spark import SparkSettings

    workspace = Workspace()
    settings = FeatureSettings.load(sources=source or None, protocol=protocol)
    spark_settings = SparkSettings.load(master=master)
    console = Console()
    todo = []
    for plan in plans(workspace, settings):
        if plan.unchanged:
            console.print(f"{plan.name}: unchanged (fingerprint {plan.fingerprint})")
        else:
            todo.append(plan)
    if not todo:
        return

    from features.jobs.build import STEPS, build
    from features.jobs.card import card
    from features.spark import spark_session
    from recsys.files import write_json

    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("starting Spark", total=len(STEPS) * len(todo))
        with spark_session(spark_settings, app="segue features") as spark:
            for plan in todo:
                began = {"preparing": time.time()}

                def step(name: str, source: str = plan.name, began: dict[str, float] = began) -> None:
                    began[name] = time.time()
                    progress.update(bar, description=f"{source}: {name}")
                    progress.advance(bar)

                manifest = build(spark, workspace, plan, settings, step)
                ended = time.time()
                steps = {"fingerprint": plan.fingerprint, "began": began, "ended": ended}
                write_json(workspace.reports / f"features-{plan.name}.json", steps)
                console.print(card(plan.folder, manifest))
                console.print(f"{plan.folder} in {ended - began['preparing']:.0f} s\n")

"""`segue report`: tables, and plots, about what is in the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table

WIDTH = 120
"""Of the tables, where the terminal is narrower: a wrapped line is better than a cropped figure."""

report = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", help="Reports about the imported data."
)


@report.callback()
def _group() -> None:
    """Reports about the imported data."""


@report.command("joins")
def joins_() -> None:
    """How well the imported sources join.

    Which share of the songs, plays and artists of each source has any content (audio features, mood or tags, its own or
    those of another import), and which tracks two sources share, by id, ISRC, or artist and title. Written to
    reports/joins.json as well.

    [bold]Example:[/] segue report joins
    """
    from rich.console import Console

    from features.reports.joins import OFTEN, joins
    from recsys.files import write_json

    workspace = Workspace()
    console = Console()
    console.width = max(console.width, WIDTH)
    with console.status("joining"):
        found = joins(workspace)
    names = {"often_with_content": f"of songs with {OFTEN}+ plays", "source_2": "and"}
    names |= {f"{what}_with_content": "with content" for what in ("songs", "plays", "artists")}
    console.print(_table("Coverage: songs, plays and artists with any content", found.coverage, names))
    console.print(_table("Who gives content", found.content, names))
    console.print(_table("Tracks that two sources share, by method", found.pairs, names))
    path = workspace.reports / "joins.json"
    write_json(path, {name: getattr(found, name).to_dicts() for name in ("coverage", "content", "pairs")})
    console.print(f"[dim]{path}[/]")


@report.command("world")
def world_(
    simulated: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="The simulated source, where there are several.")
    ] = None,
) -> None:
    """How far the simulated world lies from the real sets.

    Popularity, plays per listener, session length, repeats, pauses, playlists and track lengths are measured on every
    import; the law of each is fitted anew, by maximum likelihood. `misfit` is the largest difference of a distribution
    and its own law, `distance` that of a real and the simulated distribution (Kolmogorov-Smirnov, 0 to 1). A star
    marks the set that the law's constants come from. Written to reports/world.json, with plots as reports/world-*.png.
    What a source cannot tell is left out, with the reason in the file.

    [bold]Example:[/] segue simulate --events 1_000_000 && segue import yes data/yes-radio && segue report world
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from features.reports import world
    from recsys.errors import MissingError
    from recsys.files import write_json

    try:
        import scipy  # noqa: F401 - fits the laws

        from features.reports.world_plots import draw
    except ModuleNotFoundError as error:
        raise MissingError(f"{error.name} is not installed; type: pip install 'segue[spark]'") from error
    workspace = Workspace()
    console = Console()
    console.width = max(console.width, WIDTH)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("measuring", total=None)
        found = world.compare(workspace, simulated, lambda step: bar.update(task, description=step))
        bar.update(task, description="drawing")
        plots = draw(found, workspace.reports)
    measured = world.rows(found)
    console.print(_world_table(measured))
    for name, places in found.skips.items():
        console.print(f"{name}: {places['skipped'].sum() / places['heard'].sum():.1%} of the tracks are skipped")
    for missing in world.missing(found):
        console.print(f"[yellow]{missing}[/]")
    console.print("What is simulated is never evidence of quality.")
    path = workspace.reports / "world.json"
    write_json(path, {"measured": measured, "cannot_tell": found.silent, "simulated": found.simulated})
    for written in (path, *plots):
        console.print(f"[dim]{written}[/]")


def _world_table(measured: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(title="Simulated and real, by quantity", title_justify="left")
    for column in ("quantity", "source", "law"):
        table.add_column(column, no_wrap=True)
    for column in ("n", "misfit", "distance"):
        table.add_column(column, justify="right", no_wrap=True)
    last = None
    for row in measured:
        if row["quantity"] != last:
            table.add_section()
        fitted = {name: value for name, value in (row["law"] or {}).items() if isinstance(value, float)}
        source = row["source"] + (" *" if row["teaches"] else "")
        table.add_row(
            "" if row["quantity"] == last else row["quantity"],
            f"[bold]{source}[/]" if row["simulated"] else source,
            ", ".join(f"{name} {value:.3g}" for name, value in fitted.items()) or "-",
            f"{row['n']:,}",
            *("-" if row[key] is None else f"{row[key]:.3f}" for key in ("misfit", "distance")),
        )
        last = row["quantity"]
    return table


def _table(title: str, frame: pl.DataFrame, names: dict[str, str]) -> Table:
    """Integers with separators, fractions as per cent, nothing as a dash."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column, kind in frame.schema.items():
        heading = names.get(column, column.replace("_", " "))
        number = kind.is_numeric()
        table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in frame.iter_rows():
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1%}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)

"""`segue report`: tables about what is in the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

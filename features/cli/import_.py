"""`segue import`: files as their publishers wrote them -> canonical tables in the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.cli.imported import rows_bar, summary
from recsys.errors import InputError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import RenderableType


def import_(
    form: Annotated[str | None, typer.Argument(metavar="FORMAT", help="Who wrote the files; --list shows all.")] = None,
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="The folder, or file, that holds them.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the source.", show_default="the format's")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="For files of your own layout; once a field."),
    ] = None,
    max_quarantined_share: Annotated[
        float | None,
        typer.Option(help="Share of rows, 0 to 1, that may break the schema; above it nothing is imported."),
    ] = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="Show the formats and the files that each expects.")
    ] = False,
) -> None:
    """Import listening events, playlists, tags or audio features into the workspace.

    Rows that break the schema go to the quarantine of the import, with file, line and reason. A track that the
    workspace already knows from another source is joined to it by exact id, ISRC, or artist and title. The same files
    a second time add nothing.

    [bold]Example:[/] segue import yes data/yes-radio
    """
    from rich.console import Console

    from features.importers.base import ImportSettings, Request
    from features.importers.formats import FORMATS
    from features.importers.run import run

    if show_list:
        Console().print(_formats())
        return
    known = FORMATS.get(form or "")
    if form is None or known is None:
        raise InputError(_unknown(form))
    if path is None:
        raise InputError(f"PATH is missing; {form} expects {known.expects}")
    if columns and not known.mapped:
        raise InputError(f"--map: {form} has a layout of its own and takes no mapping")
    importer = known.open(Request(path, source, _mapping(columns or [])))
    settings = ImportSettings.load(max_quarantined_share=max_quarantined_share)
    workspace = Workspace()
    simulated = known.own and not workspace.real_sources()
    with rows_bar(f"import {importer.source}") as show:
        imported = run(
            workspace,
            form,
            importer,
            settings,
            simulated=simulated,
            unit=known.unit,
            after=known.after,
            progress=show,
        )
    if imported.already:
        Console().print(f"{imported.folder.name}: already imported, nothing to add")
    else:
        Console().print(f"[bold]{imported.folder.name}[/]: {imported.rows:,} rows read", highlight=False)
        Console().print(summary(imported))


def _mapping(columns: list[str]) -> dict[str, str]:
    pairs = [column.partition("=") for column in columns]
    if wrong := [field for field, equals, column in pairs if not (field and equals and column)]:
        raise InputError(f"--map {wrong[0]}: must be FIELD=COLUMN")
    return {field: column for field, _, column in pairs}


def _unknown(form: str | None) -> str:
    from difflib import get_close_matches

    from features.importers.formats import FORMATS

    close = get_close_matches(form or "", FORMATS)
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    fault = "FORMAT is missing" if form is None else f"unknown format {form!r}{meant}"
    return f"{fault}\nknown are {', '.join(FORMATS)}\nwhat they hold: segue import --list"


def _formats() -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    from features.importers.formats import GROUPS

    table = Table.grid(padding=(0, 2, 0, 0))
    for group, rows in GROUPS.items():
        table.add_row(f"[bold]{group}[/]")
        for name, row in rows.items():
            table.add_row(f"  {name}", f"{escape(row.holds)}\n[dim]{escape(row.expects)}[/]")
        table.add_row()
    return table

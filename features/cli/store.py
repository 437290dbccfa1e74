"""`segue store`: the statistics of listeners and tracks in Feast."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from recsys.errors import MissingError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from features.store.repository import Repository

store = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", help="Slow statistics in a Feast store."
)


@store.callback()
def _group() -> None:
    """Statistics of listeners and tracks as of any moment, in a Feast store: for training rows that know nothing of
    their future, and for a server that needs the newest values."""


@store.command()
def publish(
    dataset: Annotated[str | None, typer.Option(help="Data set.", show_default="the only one")] = None,
) -> None:
    """Put the statistics of a data set into the store: all of their history offline, the newest values online.

    The store lies in the workspace under [cyan]store/DATASET[/], with a feature_store.yaml for Feast's own commands
    ([cyan]feast -c FOLDER serve[/]). Table [cyan]\\[store][/] of segue.toml names other stores, such as Redis.

    [bold]Example:[/] segue store publish --dataset wfmu
    """
    workspace, console = Workspace(), Console()
    folder = workspace.dataset_folder(dataset)
    with console.status("publishing (Feast takes some seconds to start)"):
        repository = _open(workspace, folder.name)
        published = repository.publish(folder)
    table = Table("view", "rows of history", "keys online", title=f"as of {published.until:%Y-%m-%d}, UTC")
    for column in table.columns[1:]:
        column.justify = "right"
    for view, rows in published.rows.items():
        table.add_row(view, f"{rows:,}", f"{published.keys[view]:,}")
    console.print(table)
    console.print(f"[dim]{repository.folder}[/]")


@store.command()
def show(
    kind: Annotated[Literal["listener", "track"], typer.Argument(help="Whose statistics.")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="A user_id or track_id of the data set.")],
    at: Annotated[
        datetime | None, typer.Option(help="Moment (UTC) as of which to answer.", show_default="the newest")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set.", show_default="the only one")] = None,
) -> None:
    """What the store knows of one listener or track, now or as of a moment.

    [bold]Example:[/] segue store show listener wfmu:JK --at 2020-05-01
    """
    workspace, console = Workspace(), Console()
    name = workspace.dataset_folder(dataset).name
    if not (workspace.store / name / "feature_store.yaml").is_file():
        raise MissingError(f"{name} is not in the store; put it there: segue store publish --dataset {name}")
    view = f"{kind}_statistics"
    with console.status("asking Feast"):
        repository = _open(workspace, name)
        moment = at and at.replace(tzinfo=UTC)
        found = repository.historical(view, [id_], [moment]) if moment else repository.online(view, [id_])
    values = found.row(0, named=True)
    if values["plays"] is None:
        raise MissingError(f"{kind} {id_!r}: nothing is known{f' at {moment}' if moment else ''}")
    table = Table(show_header=False)
    for column, value in values.items():
        table.add_row(column, str(value))
    console.print(table)


def _open(workspace: Workspace, dataset: str) -> Repository:
    try:
        from features.store.repository import Repository
    except ModuleNotFoundError as error:
        raise MissingError(f"{error.name} is not installed; type: pip install 'segue[store]'") from error
    return Repository(workspace.store / dataset)

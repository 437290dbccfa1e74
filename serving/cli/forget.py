"""`segue forget`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

    from serving.forget import Part


def forget(
    user: Annotated[
        str, typer.Option(help="Id of the listener, as the server or as a source has it.", show_default=False)
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased, and erase nothing.")] = False,
) -> None:
    """Erase a listener: state, event log, records of answers, imported tables, data sets, feature store.

    It cannot be undone. The server may run meanwhile; imports and feature jobs wait. Whatever interrupts it, no file is
    left half written, and the same command goes on where it stopped. What it cannot reach is shown at the end, and in
    docs/forgetting.md.

    Example: [bold]segue forget --user anna --dry-run[/]
    """
    from rich.console import Console
    from rich.markup import escape

    from recsys.errors import InputError
    from recsys.workspace import Workspace
    from serving.forget import OUT_OF_REACH, places, rewrite_redis_files

    if not user:
        raise InputError("--user: must not be empty")
    console = Console(highlight=False, soft_wrap=True)
    with places(Workspace()) as found, _interruptible(console, user, dry_run):
        with _files_bar("look" if dry_run else "forget") as progress:
            user_id, others = found.spelled(user)
            parts = found.count(user_id, progress) if dry_run else found.erase(user_id, progress)
        rewritten = dry_run or rewrite_redis_files()
    shown = escape(user_id)
    if not parts:
        console.print(f"nothing is held of [bold]{shown}[/]")
    else:
        console.print(_table(parts))
        console.print(f"[bold]{shown}[/] {'would be erased; nothing was changed' if dry_run else 'is erased'}")
    if others:
        console.print(f"[yellow]left as they are, since they may be other people:[/] {escape(', '.join(others))}")
    if not rewritten:
        console.print("[yellow]Redis does not let its files be written anew: they hold the old values until it does[/]")
    console.print("out of reach:")
    for line in OUT_OF_REACH:
        console.print(f"  [dim]- {escape(line)}[/]")


@contextmanager
def _interruptible(console: Console, user: str, dry_run: bool) -> Iterator[None]:
    """An end before the end says so: who asked must not believe that all is erased."""
    from recsys.errors import SegueError

    try:
        yield
    except (SegueError, OSError, KeyboardInterrupt):
        if not dry_run:
            from rich.markup import escape

            console.print(
                f"[bold red]not all is erased[/]; every file is whole. Run it again: segue forget --user {escape(user)}"
            )
        raise


@contextmanager
def _files_bar(words: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    shown = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files")
    with Progress(*shown, transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _table(parts: list[Part]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("where", "what", "rows")
    table.columns[2].justify = "right"
    for part in parts:
        table.add_row(escape(part.where), escape(part.what), f"{part.rows:,}")
    return table

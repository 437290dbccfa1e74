"""What the commands that import show: a bar with rows while they work, a table at their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from features.importers.run import Imported


@contextmanager
def rows_bar(words: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many rows there are so far."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    shown = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} rows"), TimeElapsedColumn()
    with Progress(*shown, transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda rows: progress.update(task, completed=rows)


def summary(imported: Imported) -> Table:
    """Rows by table, tracks by how they were joined, quarantined rows by reason."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "rows", "")
    table.columns[1].justify = "right"
    for name, rows in sorted(imported.counts.items()):
        table.add_row(name, f"{rows:,}", "")
    table.add_section()
    for method, tracks in sorted(imported.joined.items()):
        table.add_row("tracks new" if method == "new" else f"tracks joined by {method}", f"{tracks:,}", "")
    table.add_section()
    for r in imported.reasons:
        table.add_row(f"quarantined: {escape(r.reason)}", f"{r.rows:,}", escape(f"first at {r.file}:{r.line}"))
    if not imported.reasons:
        table.add_row("quarantined", "0", "")
    return table

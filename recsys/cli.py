"""The `segue` command. Each room registers its commands by an entry point in the group `segue.commands`.

The module that an entry point names must be light (it is imported for `segue --help`): torch, Spark and the like are
imported inside the command.
"""

from __future__ import annotations

import errno
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from recsys.errors import SegueError

# The order of the work, which is the order of `segue --help`.
ORDER = (
    "demo", "doctor", "simulate", "import", "features", "store", "report", "train", "tune", "evaluate", "ranker",
    "promote", "rollback", "serve", "ask", "experiments", "explain", "pull-log", "forget",
)  # fmt: skip


class LazyGroup(TyperGroup):
    """Commands from entry points, loaded when they are named."""

    def list_commands(self, ctx: Any) -> list[str]:
        names = {entry.name for entry in entry_points(group="segue.commands")}
        return [n for n in ORDER if n in names] + sorted(names - set(ORDER))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        for entry in entry_points(group="segue.commands", name=cmd_name):
            target = entry.load()
            if not isinstance(target, typer.Typer):
                app = typer.Typer(add_completion=False, rich_markup_mode="rich")
                app.command(name=cmd_name)(target)
                target = app
            command = typer.main.get_command(target)
            command.name = cmd_name
            return _flowing(command)
        return None


def _flowing(command: Any) -> Any:
    """With help whose paragraphs flow to the terminal's width, where Typer keeps a docstring's line ends; those before
    `[dim]$[/] a command` stay."""
    command.help = re.sub(r"(?<!\n)\n(?!\n|\[dim\]\$)", " ", command.help or "")
    for part in getattr(command, "commands", {}).values():
        _flowing(part)
    return command


MENDABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR,
}  # fmt: skip
"""A disk that is full, a file or folder that may not be read or written, or that is the other of the two."""

app = typer.Typer(
    cls=LazyGroup, no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
)


@app.callback()
def root(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(envvar="SEGUE_WORKSPACE", help="Folder for all that Segue makes.", show_default="./workspace"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(envvar="SEGUE_CONFIG", help="Settings file.", show_default="./segue.toml"),
    ] = None,
) -> None:
    """Segue: music recommendation, from listening logs to gRPC answers.

    The way of the data: import -> features -> train -> evaluate -> promote -> serve -> ask.
    """
    import os

    if workspace is not None:
        os.environ["SEGUE_WORKSPACE"] = str(workspace)
    if config is not None:
        source = context.get_parameter_source("config")
        if source is not None and source.name == "COMMANDLINE" and not config.is_file():
            raise typer.BadParameter(f"{config} is no file", param_hint="--config")
        os.environ["SEGUE_CONFIG"] = str(config)


def main() -> None:
    """Run, and show what a user can mend as one line instead of a traceback: a SegueError, a full or closed disk."""
    try:
        app()
    except (SegueError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in MENDABLE:
            raise
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {_escaped(str(error))}", highlight=False)
        sys.exit(1)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    main()

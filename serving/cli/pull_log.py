"""`segue pull-log`."""

from __future__ import annotations


def pull_log() -> None:
    """Copy what is new in Kafka's topics into the workspace, for segue import segue-log.

    For servers that log to Kafka (kind = "kafka" in [bold]\\[log][/] of segue.toml); an embedded log needs no copying.
    Each event is copied once, however often it was sent, and none of a listener who was forgotten.

    Example: [bold]segue pull-log[/], then [bold]segue import segue-log workspace[/]
    """
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from recsys.errors import InputError
    from recsys.eventlog_schema import log_file
    from recsys.workspace import Workspace
    from serving.eventlog import LogSettings, open_log
    from serving.eventlog.pulled import PulledLog

    settings, workspace = LogSettings.load(), Workspace()
    if settings.kind != "kafka":
        raise InputError('log.kind: is "embedded", which needs no copying; import it: segue import segue-log WORKSPACE')
    source = open_log(settings, workspace)
    target = PulledLog(log_file(workspace), settings.timeout_s)
    shown = TextColumn("pull-log"), TextColumn("{task.completed:,} rows"), TimeElapsedColumn()
    try:
        with Progress(*shown, transient=True) as progress:
            task = progress.add_task("", total=None)
            new = target.pull(source, lambda rows: progress.update(task, completed=rows))
    finally:
        target.close()
        source.close()
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{new['events']:,} events and {new['records']:,} answers are new in {log_file(workspace)}")
    console.print(f"[dim]next:[/] [bold]segue import segue-log {workspace.root}[/]")

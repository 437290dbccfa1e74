"""`segue serve --workers N`: what is done once, before and around the workers."""

from __future__ import annotations

import os
import secrets
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from recsys.errors import MissingError
from recsys.workspace import Workspace
from serving.eventlog import open_log
from serving.eventlog.settings import LogSettings
from serving.inspection.metrics import FOLDER
from serving.inspection.metrics_page import MetricsSettings, exposed, of_all_workers, shared_folder, worker_died
from serving.processes.recovery import catch_up
from serving.processes.workers import Supervisor, reserved_port, until
from serving.security.settings import SecuritySettings
from serving.settings import ServeSettings
from serving.store.opening import open_store
from serving.store.settings import StateSettings

SLACK_S = 5.0
"""Beyond the time that a worker may take to drain."""


def supervise(
    settings: ServeSettings,
    workspace: Workspace,
    bundle: Path | None,
    ended: threading.Event,
    announce: Callable[[str], None],
) -> None:
    """Keep the workers alive until ``ended``; ``announce`` is told the address once all answer.

    Raises SegueError as one process alone would, as far as it can be known before workers start.
    """
    security = SecuritySettings.load()
    security.check_exposure(settings.host)
    if bundle is None and workspace.champion() is None:
        raise MissingError(f"{workspace.root} has no champion; make one: segue demo, or segue promote")
    _catch_up(workspace)
    with ExitStack() as cleanup:
        port = cleanup.enter_context(reserved_port(settings.host, settings.port))
        folder = cleanup.enter_context(shared_folder())
        cleanup.enter_context(exposed(MetricsSettings.load(), of_all_workers(folder)))
        command = [sys.executable, "-m", "recsys.cli", "serve", "--host", settings.host, "--port", str(port)]
        command += ["--workers", str(settings.workers)]
        command += [] if bundle is None else ["--bundle", str(bundle)]
        threads = max(1, (os.cpu_count() or 1) // settings.workers)
        environment = {
            "OMP_NUM_THREADS": str(threads),
            "SEGUE_SECURITY_LOG_SALT": security.log_salt or secrets.token_hex(32),
            **os.environ,
            FOLDER: str(folder),
        }
        supervisor = Supervisor(
            [*command, "--lifeline"],
            settings.workers,
            environment=environment,
            grace_s=settings.lame_duck_s + settings.drain_s + SLACK_S,
            died=lambda pid: worker_died(folder, pid),
        )
        try:
            supervisor.start(ended)
            if not ended.is_set():
                address = f"{settings.host}:{port}"
                console = Console(soft_wrap=True, highlight=False)
                console.print(f"[bold]{settings.workers}[/] workers, listening on [bold]{address}[/]")
                announce(address)
                until(ended)
                console.print("draining: health says NOT_SERVING, running requests end")
        finally:
            supervisor.stop()


def _catch_up(workspace: Workspace) -> None:
    store = open_store(StateSettings.load(), workspace)
    try:
        events = open_log(LogSettings.load(), workspace)
        try:
            catch_up(store, events)
        finally:
            events.close()
    finally:
        store.close()

"""The page that Prometheus reads: of one process, or of all workers of a server together.

Workers answer on one port, so that none of them can be scraped alone: the supervisor gives them a `shared_folder`,
where `metrics` keeps their values, and serves the sum. A worker that died keeps its counts; its gauges go.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from pydantic import Field

from recsys.errors import InputError
from recsys.settings import Settings

log = structlog.get_logger("segue.metrics")

PREFIX = "segue-metrics-"
YOUNG_S = 60.0
"""So old must a folder be that nobody holds: another server may just be making it."""


class MetricsSettings(Settings, table="metrics"):
    """Where Prometheus finds the server's figures."""

    host: str = "127.0.0.1"
    """Address to listen on. The page has no authentication: keep it private."""
    port: int | None = Field(default=None, ge=0, le=65535)
    """Of http://host:port/metrics, for all workers together. 0: any free port; the log names it. Not set: no page."""
    window_s: float = Field(default=3600.0, gt=0)
    """Seconds over which coverage and concentration are told: of this window and the one before."""


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Where the workers keep their figures: in memory, where the machine has a place for that. It goes at the end, and
    at the next start where this process is killed."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    place = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for old in place.glob(f"{PREFIX}*"):
        with suppress(OSError), _locked(old):
            if time.time() - old.stat().st_mtime > YOUNG_S:
                shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as name, _locked(Path(name)):
        yield Path(name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises OSError where another process, which is alive, has it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def of_all_workers(folder: Path) -> CollectorRegistry:
    """The sum of what the workers wrote to ``folder``."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


def worker_died(folder: Path, pid: int) -> None:
    """Forget the gauges of a worker: nothing is in flight there any more."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


@contextmanager
def exposed(settings: MetricsSettings, registry: CollectorRegistry) -> Iterator[int | None]:
    """Serve http://host:port/metrics from a thread. Yields the port; None where the settings name none.

    Raises InputError where the address cannot be taken.
    """
    if settings.port is None:
        yield None
        return
    try:
        server, thread = start_http_server(settings.port, settings.host, registry)
    except OSError as error:
        raise InputError(f"metrics: cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    log.info("metrics", page=f"http://{settings.host}:{server.server_port}/metrics")
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A real server on a free port, and a real channel to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog

from serving.client import Client
from serving.inspection.metrics import FOLDER
from serving.listeners.listeners import KnownListeners
from serving.models.model import Model
from serving.server import Server
from serving.settings import ServeSettings


@pytest.fixture(scope="session", autouse=True)
def _short_tracebacks() -> None:
    """structlog's own default prints the locals of every frame, which takes seconds where they hold a model."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])


def pytest_runtest_setup() -> None:
    """Feast, once imported by another test of the process, names a folder in which all would share their figures."""
    os.environ.pop(FOLDER, None)


@contextmanager
def run_server(model: Model, **settings: float) -> Iterator[str]:
    """Yields the address; drains at the end."""
    listeners = KnownListeners({"anna": ["t0", "t2", "gone"]})
    models = SimpleNamespace(get=lambda name="": model)
    server = Server(models, listeners, ServeSettings.load(port=0, lame_duck_s=0, **settings))
    address = f"localhost:{server.start()}"
    try:
        yield address
    finally:
        server.drain()


@pytest.fixture(scope="session")
def serving() -> Callable[..., object]:
    return run_server


@pytest.fixture(scope="session")
def model(table_bundle: Path) -> Model:
    return Model.load(table_bundle)


@pytest.fixture(scope="session")
def address(model: Model) -> Iterator[str]:
    with run_server(model) as found:
        yield found


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[Client]:
    with Client(address) as found:
        yield found

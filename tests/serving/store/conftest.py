"""Both kinds of store, each test with an empty one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis_server import RedisServer

from recsys.workspace import Workspace
from serving.store.base import Store
from serving.store.opening import open_store
from serving.store.settings import StateSettings

Opening = Callable[..., Store]
"""Another handle on the test's store, as another worker has one; arguments are settings."""


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["embedded", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opening]:
    url = "embedded"
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.client().flushall()
        url = server.url
    with ExitStack() as cleanup:

        def opening(**settings: float) -> Store:
            store = open_store(StateSettings(url=url, timeout_s=5, **settings), Workspace(tmp_path))
            cleanup.callback(store.close)
            return store

        yield opening

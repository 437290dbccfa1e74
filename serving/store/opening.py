"""The store that the settings name."""

from __future__ import annotations

from recsys.errors import InputError, MissingError
from recsys.workspace import Workspace
from serving.store.base import Store
from serving.store.embedded import EmbeddedStore
from serving.store.settings import EMBEDDED, StateSettings


def open_store(settings: StateSettings, workspace: Workspace) -> Store:
    """The workspace's own files, or Redis, which need not answer yet.

    Raises InputError for a URL that says no address, MissingError where the client of Redis is not installed,
    StoreUnavailableError where the files cannot be opened.
    """
    if settings.url == EMBEDDED:
        return EmbeddedStore(workspace.root / "state", settings)
    try:
        from serving.store.redis import RedisStore
    except ModuleNotFoundError as error:
        raise MissingError(
            "state.url names Redis, whose client is not installed: pip install 'segue[redis]'"
        ) from error
    try:
        return RedisStore(settings)
    except ValueError as error:
        raise InputError(f"state.url: {error}") from error

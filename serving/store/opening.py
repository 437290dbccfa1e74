"""The store that the settings name."""

from __future__ import annotations

from recsys.errors import MissingError
from recsys.workspace import Workspace
from serving.store.base import Store
from serving.store.embedded import EmbeddedStore
from serving.store.settings import EMBEDDED, StateSettings


def open_store(settings: StateSettings, workspace: Workspace) -> Store:
    """The workspace's own files, or Redis, which need not answer yet.

    Raises MissingError where Redis is asked for and its client is not installed, StoreUnavailableError where the files
    cannot be opened.
    """
    if settings.url == EMBEDDED:
        return EmbeddedStore(workspace.root / "state", settings)
    try:
        from serving.store.redis import RedisStore
    except ModuleNotFoundError as error:
        raise MissingError(
            f"state.url is {settings.url}, and {error.name} is not installed: pip install redis"
        ) from error
    return RedisStore(settings)

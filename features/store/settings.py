"""Where the feature store keeps its registry and its values."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from recsys.settings import Settings


class StoreSettings(Settings, table="store"):
    """Table `[store]` of segue.toml.

    >>> StoreSettings.load(offline_store={"type": "dask"})
    Traceback (most recent call last):
    recsys.errors.InputError: store.offline_store: take duckdb, or spark on a cluster; Feast's dask drops ...
    """

    project: str = Field(default="segue", pattern=r"^[a-z][a-z0-9_]*$")
    """Feast's project: the namespace of the registry and of the online keys."""
    registry: str | None = None
    """A path or URL that Feast knows; by default a file beside the values, in the workspace."""
    offline_store: dict[str, Any] = Field(default={"type": "duckdb"})
    """Feast's offline store: `duckdb` in one process; or `spark`, in the session of table `[spark]`, all of whose
    executors read the workspace."""
    online_store: dict[str, Any] | None = None
    """Feast's online store, e.g. `{type = "redis", connection_string = "host:6379"}`; by default SQLite, in the
    workspace."""

    @field_validator("offline_store")
    @classmethod
    def _keeps_its_rows(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("type") not in ("duckdb", "spark"):
            raise ValueError("take duckdb, or spark on a cluster; Feast's dask drops entity rows without a word")
        return value

    @field_validator("online_store")
    @classmethod
    def _has_a_type(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and not isinstance(value.get("type"), str):
            raise ValueError('name its type, e.g. {type = "redis", connection_string = "host:6379"}')
        return value

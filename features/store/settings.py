"""Where the feature store keeps its registry and its values."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from recsys.settings import Settings


class StoreSettings(Settings, table="store"):
    """Table `[store]` of segue.toml.

    >>> StoreSettings.load(offline_store={"type": "dask"})
    Traceback (most recent call last):
    recsys.errors.InputError: store.offline_store: ... dask drops entity rows without a word; take duckdb, ...
    """

    project: str = Field(default="segue", pattern=r"^[a-z][a-z0-9_]*$")
    """Feast's project: the namespace of the registry and of the online keys."""
    registry: str | None = None
    """A path or URL that Feast knows; by default a file beside the values, in the workspace."""
    offline_store: dict[str, Any] = Field(default={"type": "duckdb"})
    """Feast's offline store: `duckdb` in one process, `spark` on a cluster."""
    online_store: dict[str, Any] | None = None
    """Feast's online store, e.g. `{type = "redis", connection_string = "host:6379"}`; by default SQLite, in the
    workspace."""

    @field_validator("offline_store")
    @classmethod
    def _keeps_its_rows(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("type") in (None, "file", "dask"):
            kind = value.get("type") or "a store without a type"
            raise ValueError(f"{kind} drops entity rows without a word; take duckdb, or spark on a cluster")
        return value

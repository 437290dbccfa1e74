"""The simulated world as a source: no files, its settings are `[simulation]` of segue.toml (recsys.simulation.world).

One source holds both playlists and listening events, as a streaming service does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl

from features.importers.base import Batch, Request
from recsys.simulation.world import WorldSettings, simulate

_OWN_IDS = ("event_id", "user_id", "session_id", "playlist_id")


@dataclass(frozen=True)
class Simulated:
    """Format `simulated`. Equal settings give an equal import."""

    source: str
    settings: WorldSettings
    files: tuple[Path, ...] = ()
    version: ClassVar[int] = 1

    @classmethod
    def open(cls, request: Request) -> Self:
        return cls(request.source or "simulated", WorldSettings.load())

    @property
    def namespace(self) -> str:
        return self.source

    @property
    def options(self) -> Mapping[str, Any]:
        return self.settings.model_dump(mode="json")

    def batches(self) -> Iterator[Batch]:
        for table, rows in simulate(self.settings).tables():
            named = [
                pl.concat_str(pl.lit(f"{self.source}:"), column).alias(column)
                for column in _OWN_IDS
                if column in rows.columns
            ]
            # Artists are known by their names in every source: the sink gives them their ids.
            yield Batch(table, rows.drop("artist_id", strict=False).with_columns(named))

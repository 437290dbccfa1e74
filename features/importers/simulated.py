"""The simulated world as a source: no files, its settings are `[simulation]` of segue.toml (recsys.simulation.world).

One source holds playlists, listening events and content, as a streaming service does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from features.importers.base import Batch
from recsys.simulation.settings import WorldSettings
from recsys.simulation.world import World

_OWN_IDS = ("event_id", "user_id", "session_id", "playlist_id")


@dataclass(frozen=True)
class Simulated:
    """What `segue simulate` imports. Equal settings give an equal import."""

    source: str
    settings: WorldSettings
    files: tuple[Path, ...] = ()
    version: ClassVar[int] = 2

    @property
    def namespace(self) -> str:
        return self.source

    @property
    def options(self) -> Mapping[str, Any]:
        return self.settings.model_dump(mode="json")

    def batches(self) -> Iterator[Batch]:
        """Raises InputError where the settings give no world."""
        for table, rows in World.draw(self.settings).tables():
            named = [
                pl.concat_str(pl.lit(f"{self.source}:"), column).alias(column)
                for column in _OWN_IDS
                if column in rows.columns
            ]
            # Artists are known by their names in every source: the sink gives them their ids.
            yield Batch(table, rows.drop("artist_id", strict=False).with_columns(named))

"""What the server knows of listeners: their latest tracks, as track ids, so that it outlives any bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

import polars as pl

from recsys.errors import InputError
from serving.store.base import Listener, Plays


class Listeners(Protocol):
    """Who listened to what lately."""

    def listener(self, user_id: str) -> Listener:
        """NOBODY for an unknown one. Raises StoreUnavailableError where it cannot be told."""
        ...


class KnownListeners:
    """In memory, from listening that is over."""

    def __init__(self, recent: dict[str, list[str]]) -> None:
        self._recent = recent

    def __len__(self) -> int:
        return len(self._recent)

    def listener(self, user_id: str) -> Listener:
        tracks = tuple(self._recent.get(user_id, ()))
        return Listener(Plays(tracks, (-1.0,) * len(tracks), ("",) * len(tracks), (-1,) * len(tracks)))

    @classmethod
    def of_dataset(cls, folder: Path, length: int) -> Self:
        """The last ``length`` tracks of every listener, DJ, station or playlist of a data set.

        Raises InputError where its tables cannot be read.
        """
        try:
            recent = _recent(folder, length)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{folder}: its items and sequences cannot be read: {error}") from error
        return cls(dict(zip(recent["owner_id"].to_list(), recent["track_id"].to_list(), strict=True)))


def _recent(folder: Path, length: int) -> pl.DataFrame:
    items = pl.scan_parquet(folder / "items.parquet", glob=False).select(pl.col("index").alias("items"), "track_id")
    return (
        pl.scan_parquet(folder / "sequences.parquet", glob=False)  # sorted by time
        .select("owner_id", "items")
        .explode("items", empty_as_null=False)
        .group_by("owner_id", maintain_order=True)
        .tail(length)
        .join(items, on="items", maintain_order="left")
        .group_by("owner_id", maintain_order=True)
        .agg("track_id")
        .collect()
    )

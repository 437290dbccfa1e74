"""Where the tables of a workspace hold a listener."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from recsys.files import read_json
from recsys.forgetting.traces import OnlineValues, ParquetRows, Trace, answer
from recsys.workspace import Workspace

LISTENERS = {"events": "user_id", "interactions": "user_id", "impressions": "user_id", "playlists": "owner_id"}
"""Canonical tables, and the column that names the listener."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is to be forgotten.

    playlists: the ids of the listener's playlists, which bear no name of a listener where their tracks stand.
    """

    user_id: str
    playlists: frozenset[str]

    @classmethod
    def of(cls, workspace: Workspace, user_id: str) -> Listener:
        own = pl.col("playlist_id").filter(pl.col("owner_id") == user_id)
        files = workspace.table_files("playlists")
        return cls(user_id, frozenset(chain.from_iterable(answer(path, own) for path in files)))

    @property
    def bare(self) -> str:
        """The id as its source has it.

        >>> Listener("lastfm-1k:user_7", frozenset()).bare
        'user_7'
        """
        return self.user_id.partition(":")[2] or self.user_id


def spellings(workspace: Workspace, user_id: str) -> list[str]:
    """Of ``user_id`` and ``<source>:<user_id>`` of each source, those that a canonical table holds."""
    manifests = [read_json(folder / "manifest.json") for folder in workspace.import_folders()]
    spaces = {m[name] for m in manifests for name in ("source", "namespace")}
    wanted = [user_id, *(f"{space}:{user_id}" for space in sorted(spaces))]
    found: set[str] = set()
    for table, column in LISTENERS.items():
        ours = pl.col(column).filter(pl.col(column).is_in(wanted)).unique()
        for path in workspace.table_files(table):
            found.update(answer(path, ours))
    return [spelling for spelling in wanted if spelling in found]


def traces_in_import(folder: Path, who: Listener) -> Iterator[Trace]:
    """The playlists themselves last: they say which tracks of playlists have to go."""
    yield from _rows(folder / "quarantine", _says("row", who))
    for table in ("events", "interactions", "impressions"):
        yield from _rows(folder / table, pl.col(LISTENERS[table]) == who.user_id)
    if who.playlists:
        yield from _rows(folder / "playlist_tracks", pl.col("playlist_id").is_in(list(who.playlists)))
        yield from _rows(folder / "playlists", pl.col("owner_id") == who.user_id)


def traces_in_dataset(folder: Path, who: Listener) -> Iterator[Trace]:
    owners = [who.user_id, *who.playlists]
    yield ParquetRows(folder / "sequences.parquet", pl.col("owner_id").is_in(owners))
    yield ParquetRows(folder / "listener_statistics.parquet", pl.col("user_id") == who.user_id)


def traces_in_store(folder: Path, who: Listener) -> Iterator[Trace]:
    """In the feature store of a data set, where there is one."""
    if (history := folder / "listener_statistics.parquet").is_file():
        yield ParquetRows(history, pl.col("user_id") == who.user_id)
    if (online := folder / "online.db").is_file():
        yield OnlineValues(online, who.user_id)


def _rows(table: Path, gone: pl.Expr) -> Iterator[Trace]:
    return (ParquetRows(path, gone) for path in sorted(table.glob("*.parquet")))


def _says(column: str, who: Listener) -> pl.Expr:
    """The text names the listener, as a word of its own."""
    words = "|".join(re.escape(word) for word in {who.user_id, who.bare})
    return pl.col(column).str.contains(rf"(?:^|[^\w-])(?:{words})(?:$|[^\w-])")

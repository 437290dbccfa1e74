"""What the server knows of listeners: what they did lately, in track ids, so that it outlives any bundle."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from recsys.errors import InputError
from recsys.files import new_folder, read_json, write_json
from recsys.workspace import Workspace
from serving.listeners.table import ROWS, ListenerTable
from serving.store.base import Listener, ListenerStore, Plays

MADE_OF = "made_of.json"


class Listeners(Protocol):
    """Who listened to what lately."""

    def listener(self, user_id: str) -> Listener:
        """NOBODY for an unknown one. Raises StoreUnavailableError where it cannot be told."""
        ...

    def known(self, user_id: str) -> Listener:
        """What can be told without the store: plays that are over. NOBODY for an unknown one."""
        ...


class StoredListeners:
    """The store's listeners; before what it has of one's plays come those that the data set ``known`` has from earlier.

    length: how many plays are told at most.
    """

    def __init__(self, store: ListenerStore, known: Listeners, length: int) -> None:
        self._store = store
        self._over = known
        self._length = length

    def listener(self, user_id: str) -> Listener:
        stored = self._store.get(user_id)
        heard = stored.plays
        if len(heard) < self._length:
            heard = _earlier(self.known(user_id).plays, heard) + heard
        return replace(stored, plays=heard[-self._length :])

    def known(self, user_id: str) -> Listener:
        return self._over.known(user_id)


def _earlier(known: Plays, stored: Plays) -> Plays:
    """A data set may be made of the very events that are in the store."""
    return known[: sum(ts < stored.ts[0] for ts in known.ts)] if stored else known


class KnownListeners:
    """Listening that is over: the last tracks of each listener, oldest first, in memory."""

    def __init__(self, recent: Mapping[str, Sequence[str]]) -> None:
        self._table = ListenerTable.of(recent)

    def __len__(self) -> int:
        return len(self._table)

    def known(self, user_id: str) -> Listener:
        return Listener(self._table.plays(user_id))

    listener = known


class DatasetListeners:
    """The last ``length`` plays of every listener, DJ, station or playlist of a data set.

    They stand in a file of the workspace that is made once and mapped by all workers; `forget_known` replaces it.
    """

    def __init__(self, workspace: Workspace, dataset: str, length: int) -> None:
        """Raises InputError where the data set cannot be read."""
        folder = workspace.features / dataset
        self._folder = _known(workspace) / dataset
        try:
            made_of = _made_of(folder, length)
            with _alone(workspace):
                if not (self._folder / ROWS).exists() or read_json(self._folder / MADE_OF) != made_of:
                    _write(self._folder, ListenerTable.of_dataset(folder, length), made_of)
                self._table = self._opened()
        except (OSError, pl.exceptions.PolarsError, pa.ArrowException) as error:
            raise InputError(f"{folder}: its items and sequences cannot be read: {error}") from error

    def __len__(self) -> int:
        return len(self._table[1])

    def known(self, user_id: str) -> Listener:
        inode, table = self._table
        try:
            if (self._folder / ROWS).stat().st_ino != inode:
                self._table = _, table = self._opened()
        except FileNotFoundError:
            pass  # for the moment in which it is replaced
        return Listener(table.plays(user_id))

    listener = known

    def _opened(self) -> tuple[int, ListenerTable]:
        """The file's inode first: it cannot become that of another file while this one is mapped."""
        return (self._folder / ROWS).stat().st_ino, ListenerTable.open(self._folder)


def known_listeners(workspace: Workspace, dataset: str, length: int) -> KnownListeners | DatasetListeners:
    """Those of the data set; nobody where it is not there (any more)."""
    there = (workspace.features / dataset / "manifest.json").is_file()
    return DatasetListeners(workspace, dataset, length) if there else KnownListeners({})


def forget_known(workspace: Workspace, user_id: str) -> int:
    """Erase a listener from the files that `DatasetListeners` made; how many plays. Running workers see it at once."""
    erased = 0
    with _alone(workspace):
        for made_of in sorted(_known(workspace).glob(f"*/{MADE_OF}")):
            table = ListenerTable.open(made_of.parent)
            if plays := len(table.plays(user_id)):
                _write(made_of.parent, table.without(user_id), read_json(made_of))
                erased += plays
    return erased


def _known(workspace: Workspace) -> Path:
    return workspace.root / "state" / "known"


def _made_of(folder: Path, length: int) -> dict[str, Any]:
    files = {name: (folder / name).stat() for name in ("manifest.json", "items.parquet", "sequences.parquet")}
    return {"length": length, **{name: [found.st_size, found.st_mtime_ns] for name, found in files.items()}}


def _write(folder: Path, table: ListenerTable, made_of: dict[str, Any]) -> None:
    with new_folder(folder, replace=True) as work:
        table.save(work)
        write_json(work / MADE_OF, made_of)


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """One process at a time makes such files."""
    _known(workspace).mkdir(parents=True, exist_ok=True)
    with (_known(workspace) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

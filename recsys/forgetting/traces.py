"""One file and what it holds of a listener."""

from __future__ import annotations

import os
import sqlite3
import struct
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import InputError


class Trace(Protocol):
    """Raises InputError, naming the file, where it cannot be read."""

    @property
    def path(self) -> Path: ...

    def count(self) -> int:
        """Rows of the listener."""
        ...

    def erase(self) -> int:
        """How many there were. The file is whole at any moment."""
        ...


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """Rows of a table, ``gone`` says which; where it says null, the row stays."""

    path: Path
    gone: pl.Expr

    def count(self) -> int:
        return int(answer(self.path, self.gone.sum()).item())

    def erase(self) -> int:
        found = self.count()
        if not found:
            return 0
        handle, name = tempfile.mkstemp(prefix=_prefix(self.path), dir=self.path.parent)
        half = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                self._write_rest(file)
                file.flush()
                os.fsync(file.fileno())
            half.chmod(self.path.stat().st_mode)
            half.replace(self.path)
        except BaseException:
            half.unlink(missing_ok=True)
            raise
        return found

    def _write_rest(self, file: BinaryIO) -> None:
        columns = self.gone.meta.root_names()
        with pq.ParquetFile(self.path) as source, pq.ParquetWriter(file, source.schema_arrow, compression="zstd") as to:
            for group in range(source.num_row_groups):
                rows: pa.Table = source.read_row_group(group)
                named = pl.from_arrow(rows.select(columns))
                assert isinstance(named, pl.DataFrame)
                to.write_table(rows.filter(named.select(~self.gone.fill_null(False)).to_series().to_arrow()))


@dataclass(frozen=True, slots=True)
class OnlineValues:
    """Values in the SQLite file of a feature store (Feast), found by the end of their key: the length and the id."""

    path: Path
    user_id: str

    def count(self) -> int:
        return self._run("SELECT count(*) FROM {} WHERE {}")

    def erase(self) -> int:
        erased = self._run("DELETE FROM {} WHERE {}")
        try:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise InputError(f"{self.path}: {error}") from error
        return erased

    def _run(self, statement: str) -> int:
        text = self.user_id.encode()
        key = struct.pack("<I", len(text)) + text
        try:
            with closing(sqlite3.connect(self.path)) as connection, connection:
                tables = connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%listener_statistics'"
                )
                found = 0
                for (table,) in tables.fetchall():
                    cursor = connection.execute(
                        statement.format(f'"{table}"', "substr(entity_key, -?) = ?"), (len(key), key)
                    )
                    row = cursor.fetchone()
                    found += cursor.rowcount if row is None else row[0]
                return found
        except sqlite3.Error as error:
            raise InputError(f"{self.path}: {error}") from error


def answer(path: Path, question: pl.Expr) -> pl.Series:
    """What ``question`` makes of the rows of a Parquet file. Raises InputError, naming it, where it cannot be read."""
    try:
        return pl.scan_parquet(path, glob=False).select(question).collect().to_series()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: cannot be read, so nobody can tell whom it holds: {error}") from error


def remove_halves(folder: Path) -> None:
    """What a rewriting that was killed left behind in ``folder``."""
    for path in folder.glob("*.parquet"):
        for half in folder.glob(f"{_prefix(path)}*"):
            half.unlink()


def _prefix(path: Path) -> str:
    return f".{path.name}.forget."

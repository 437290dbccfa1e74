"""SQLite files in batches, all with the provenance columns of a Batch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import polars as pl

from features.importers.base import PROVENANCE
from features.importers.reading import BATCH_ROWS
from recsys.errors import InputError


def read_sqlite(
    path: Path, query: str, columns: Sequence[str], *, batch_rows: int = BATCH_ROWS
) -> Iterator[pl.DataFrame]:
    """What ``query`` gives, as ``columns`` of text, a blank value as null; `_line` is the number of the row, from 1.

    Raises InputError where the file is no SQLite database or has not the tables and columns that the query names.
    """
    before = 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            cursor = connection.execute(query)
            while chunk := cursor.fetchmany(batch_rows):
                values = dict(zip(columns, zip(*chunk, strict=True), strict=True))
                rows = pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String), strict=False)
                yield rows.select(
                    *(pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)).alias(name) for name in columns),
                    _file=pl.lit(path.name),
                    _line=pl.int_range(before + 1, before + pl.len() + 1),
                    _row=pl.concat_str(pl.col(columns).fill_null(""), separator="|"),
                    _reason=pl.lit(None, PROVENANCE["_reason"]),
                )
                before += len(rows)
    except sqlite3.Error as error:
        raise InputError(f"{path}: cannot be read as the publisher's SQLite file: {error}") from error

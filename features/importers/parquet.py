"""Parquet files in batches, all with the provenance columns of a Batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq

from features.importers.reading import BATCH_ROWS
from recsys.errors import InputError

_TEXT = (pl.String, pl.Categorical, pl.Enum)


def read_parquet(
    path: Path, columns: Sequence[str] | Mapping[str, pl.DataType], *, batch_rows: int = BATCH_ROWS
) -> Iterator[pl.DataFrame]:
    """``columns`` as they are typed, bytes as text, with `_file`, `_line` (the number of the row, from 1), `_reason`.

    Where ``columns`` says their types they are cast, and a value that does not fit becomes null. Raises InputError
    where a column is of another kind: text for a number.

    Without `_row`: to write out every row for the few that are bad would take longer than all the rest. Raises
    InputError where ``path`` is no Parquet file, or has no such column.
    """
    before = 0
    try:
        with pq.ParquetFile(path) as file:
            if missing := [name for name in columns if name not in file.schema_arrow.names]:
                there = ", ".join(file.schema_arrow.names)
                raise InputError(f"{path}: no column {', '.join(missing)}; it has {there}")
            for batch in file.iter_batches(batch_rows, columns=list(columns)):
                rows = pl.DataFrame(batch).with_columns(cs.binary().cast(pl.String, strict=False))
                if isinstance(columns, Mapping):
                    rows = _cast(path, rows, columns)
                number = pl.int_range(before + 1, before + len(rows) + 1)
                yield rows.with_columns(_file=pl.lit(path.name), _line=number, _reason=pl.lit(None, pl.String))
                before += len(rows)
    except (pa.ArrowInvalid, pl.exceptions.ComputeError, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet after row {before:,}: {error}") from error


def _cast(path: Path, rows: pl.DataFrame, kinds: Mapping[str, pl.DataType]) -> pl.DataFrame:
    for name, kind in kinds.items():
        given = rows.schema[name]
        if isinstance(given, pl.List) != isinstance(kind, pl.List) or _family(given) != _family(kind):
            raise InputError(f"{path}: column {name} is {given}; it must be {kind}")
    return rows.cast(dict(kinds), strict=False)


def _family(kind: pl.DataType) -> str:
    """Of its values, or those in its lists."""
    kind = kind.inner if isinstance(kind, pl.List) else kind
    return "whole" if kind.is_integer() else "real" if kind.is_float() else "text" if kind in _TEXT else str(kind)

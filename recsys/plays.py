"""The plays of sequences: which items, and beside each what the source tells of it, as models read it.

time     int64, s since 1970 UTC, when it was played
context  int16, index into the manifest's contexts
skips    int8, how many tracks were skipped since the play before, at most 127

-1 stands for what is not told. A column of which nothing is told is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.errors import InputError
from recsys.ragged import Int64, Ragged

Column = npt.NDArray[Any]


def plays(table: pl.DataFrame, columns: Iterable[str] = ()) -> Ragged:
    """The items of any rows of `sequences.parquet`, with those of ``columns`` beside them that the rows tell of.

    table: `items`, and what `STORED` names for the columns, as far as the file has it. Raises InputError where a list
    does not fit the items of its row.

    >>> table = pl.DataFrame({"items": [[7, 8], [9]], "context": [[0, 1], None], "skips_at": [[1, 1, 2], []]})
    >>> found = plays(table, ["time", "context", "skips"])
    >>> {name: column.tolist() for name, column in found.beside.items()}
    {'context': [0, 1, -1], 'skips': [0, 2, 0]}
    """
    lengths = table["items"].list.len().to_numpy().astype(np.int64)
    told = {name: STORED[name] for name in columns if STORED[name] in table.columns}
    told = {name: stored for name, stored in told.items() if table[stored].null_count() < len(table)}
    beside = {name: _MADE[name](table[stored], lengths) for name, stored in told.items()}
    return Ragged.from_lengths(table["items"].explode(empty_as_null=False).to_numpy(), lengths, beside)


STORED = {"time": "ts", "context": "context", "skips": "skips_at"}
"""The columns of recsys.schema.SEQUENCES from which they are made."""


def _time(ts: pl.Series, lengths: Int64) -> Column:
    seconds = pl.DataFrame({"ts": ts}).select(pl.col("ts").list.eval(pl.element().dt.epoch("s"))).to_series()
    return _each(seconds, lengths).astype(np.int64)


def _context(context: pl.Series, lengths: Int64) -> Column:
    codes = _each(context, lengths)
    return np.where(codes <= np.iinfo(np.int16).max, codes, -1).astype(np.int16)


def _skips(before: pl.Series, lengths: Int64) -> Column:
    """before: of each skip, the number of items that came before it; those after the last item belong to none."""
    row = np.repeat(np.arange(len(lengths)), before.list.len().fill_null(0).to_numpy())
    place = before.drop_nulls().explode(empty_as_null=False).to_numpy()
    if bool(((place < 0) | (place > lengths[row])).any()):
        raise _unfit(str(before.name))
    next_item = ((np.cumsum(lengths) - lengths)[row] + place)[place < lengths[row]]
    counts = np.minimum(np.bincount(next_item, minlength=int(lengths.sum())), np.iinfo(np.int8).max)
    return np.where(np.repeat(before.is_not_null().to_numpy(), lengths), counts, -1).astype(np.int8)


def _each(lists: pl.Series, lengths: Int64) -> Int64:
    """One entry an item from lists of one entry an item; -1 for a null, and for all of a row without a list."""
    told = lists.is_not_null().to_numpy()
    if not np.array_equal(lists.drop_nulls().list.len().to_numpy(), lengths[told]):
        raise _unfit(str(lists.name))
    values = np.full(int(lengths.sum()), -1, dtype=np.int64)
    values[np.repeat(told, lengths)] = lists.drop_nulls().explode(empty_as_null=False).fill_null(-1).to_numpy()
    return values


def _unfit(column: str) -> InputError:
    return InputError(f"sequences.parquet: {column} does not fit the items; make the data set anew: segue features")


_MADE: dict[str, Callable[[pl.Series, Int64], Column]] = {"time": _time, "context": _context, "skips": _skips}

"""Text files in batches, every row with the file and the physical line on which it starts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

import polars as pl

from features.importers.base import PROVENANCE
from recsys.errors import InputError

BATCH_ROWS = 50_000


def read_delimited(
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    separator: str = ",",
    quoted: bool = True,
    header: bool = True,
    encoding: str = "utf-8-sig",
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pl.DataFrame]:
    """Batches of text columns named ``columns`` (None: as the header says), plus `_file`, `_line`, `_row`, `_reason`.

    An empty field is null. A row with another number of fields than there are columns carries that as its reason, and
    a byte that ``encoding`` does not know becomes U+FFFD. With ``quoted`` a field may hold separators and line ends
    inside double quotes. Empty lines are no rows. Raises InputError where the header is another one or a quote is
    never closed.
    """
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        rows = _rows(file, path.name, separator, quoted)
        if header:
            first = next(rows, None)
            found = first[0] if first else []
            if columns is None:
                columns = found
            if list(columns) != found:
                raise InputError(
                    f"{path}: the first line must be {separator.join(columns)!r}, not {separator.join(found)!r}"
                )
        elif columns is None:
            raise ValueError("columns must be named where the file has no header")
        width = len(columns)
        while chunk := list(islice(rows, batch_rows)):
            yield _frame(chunk, list(columns), width, path.name)


def read_lines(
    path: Path, *, encoding: str = "utf-8-sig", skip: int = 0, batch_rows: int = BATCH_ROWS
) -> Iterator[pl.DataFrame]:
    """Batches of whole lines: `_file`, `_line`, `_row` (without the line end), `_reason` (null).

    ``skip`` lines are passed over; line numbers count them.
    """
    with path.open(encoding=encoding, errors="replace") as file:
        numbered = islice(enumerate(file, start=1), skip, None)
        while chunk := list(islice(numbered, batch_rows)):
            numbers, lines = zip(*chunk, strict=True)
            yield pl.DataFrame(
                {"_file": path.name, "_line": numbers, "_row": lines, "_reason": None}, schema_overrides=PROVENANCE
            ).with_columns(pl.col("_row").str.strip_chars_end("\r\n"))


def _rows(file: TextIO, name: str, separator: str, quoted: bool) -> Iterator[tuple[list[str], int, str]]:
    """(fields, first physical line, text) of each row."""
    text: list[str] = []

    def tee() -> Iterator[str]:
        for line in file:
            text.append(line)
            yield line

    reader = csv.reader(
        tee(), delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=False
    )
    start = 1
    try:
        for fields in reader:
            if fields:
                yield fields, start, "".join(text).rstrip("\r\n")
            start = reader.line_num + 1
            text.clear()
    except csv.Error as error:
        raise InputError(f"{name}:{start}: {error}; a quote that is opened here may never be closed") from error


def _frame(chunk: list[tuple[list[str], int, str]], columns: list[str], width: int, file: str) -> pl.DataFrame:
    fields, lines, texts = zip(*chunk, strict=True)
    table = pl.DataFrame(
        {"fields": fields, "_line": lines, "_row": texts}, schema_overrides={"fields": pl.List(pl.String)}
    )
    found = pl.col("fields").list.len()
    wrong = pl.format(f"{{}} fields instead of {width}", found)
    values = [
        pl.col("fields").list.get(i, null_on_oob=True).replace("", None).alias(column)
        for i, column in enumerate(columns)
    ]
    return table.select(
        *values,
        _file=pl.lit(file),
        _line=pl.col("_line").cast(pl.Int64),
        _row="_row",
        _reason=pl.when(found != width).then(wrong),
    )


def flagged(rows: pl.DataFrame, **reasons: pl.Expr) -> pl.DataFrame:
    """``rows`` with a reason where an expression is true; the first reason stays.

    The keyword is the reason, with `_` for a space: ``flagged(rows, malformed_date=pl.col("day").is_null())``.
    """
    named = [pl.when(fault).then(pl.lit(name.replace("_", " "))) for name, fault in reasons.items()]
    return rows.with_columns(pl.coalesce(pl.col("_reason"), *named).alias("_reason"))


def good(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that carry no reason against them."""
    return rows.filter(pl.col("_reason").is_null())

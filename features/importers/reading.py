"""Files in batches, every row with the file and the physical line on which it starts.

A file that ends in .gz, .xz or .zst is read as it stands; nothing is unpacked to disk. Both readers of tables in text
give text columns, a blank field as null, and `_file`, `_line`, `_row`, `_reason`. A row with the wrong
number of fields carries that as its reason; empty lines are no rows; a byte that the encoding does not know becomes
U+FFFD. Both raise InputError where the first line is not the header that the publisher writes; where there is no such
header, where a name stands in it twice.
"""

from __future__ import annotations

import csv
import gzip
import lzma
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, TextIO, cast

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq

from features.importers.base import PROVENANCE
from recsys.errors import InputError

BATCH_ROWS = 50_000
BLOCK_BYTES = 4 << 20
_ENTITIES = {
    "&#x27;": "'", "&#39;": "'", "&quot;": '"', "&lt;": "<", "&gt;": ">", "&#x2F;": "/", "&#x26;": "&", "&amp;": "&",
}  # fmt: skip


def read_delimited(
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    separator: str = ",",
    header_lines: int = 1,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pl.DataFrame]:
    """Rows whose fields may stand in double quotes and then hold separators and line ends (RFC 4180).

    ``columns`` None: as the header says; where it has several lines a name is their parts with dots: `album.title`.
    Raises InputError where a quote is never closed.
    """
    with opened(path) as raw, TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = _records(file, path, separator)
        header = [fields for fields, _, _ in islice(rows, header_lines)]
        names = [".".join(filter(None, parts)) for parts in zip_longest(*header, fillvalue="")]
        columns = _header(path, names, columns, separator)
        names = [f"_{i}" for i in range(len(columns))]
        while chunk := list(islice(rows, batch_rows)):
            fields, lines, texts = zip(*chunk, strict=True)
            values = dict(zip(names, zip_longest(*fields), strict=False))
            frame = pl.DataFrame(
                {**values, "_width": list(map(len, fields)), "_file": path.name, "_line": lines, "_row": texts},
                schema_overrides={**dict.fromkeys(values, pl.String), **PROVENANCE},
            )
            absent = [pl.lit(None, dtype=pl.String).alias(name) for name in names if name not in values]
            yield _named(frame.with_columns(absent), columns, [pl.col(name) for name in names], pl.col("_width"))


def read_plain(
    path: Path,
    columns: Sequence[str] | None,
    *,
    separator: str = "\t",
    header: bool = True,
    encoding: str = "utf-8-sig",
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pl.DataFrame]:
    """Rows of one line each, in which a quote is a character like any other.

    ``columns`` None: as the first line says.
    """
    if header or columns is None:
        first = next(read_lines(path, encoding=encoding, batch_rows=1), None)
        columns = _header(path, first["_row"][0].split(separator) if first is not None else [], columns, separator)
    for lines in read_lines(path, encoding=encoding, skip=int(header), batch_rows=batch_rows):
        rows = lines.with_columns(fields=pl.col("_row").str.split(separator))
        values = [pl.col("fields").list.get(i, null_on_oob=True) for i in range(len(columns))]
        yield _named(rows, columns, values, pl.col("fields").list.len())


def read_lines(
    path: Path, *, encoding: str = "utf-8-sig", skip: int = 0, batch_rows: int = BATCH_ROWS
) -> Iterator[pl.DataFrame]:
    """Whole lines: `_file`, `_line` (the skipped ones count), `_row` (without the line end), `_reason` (null)."""
    with opened(path) as file:
        yield from lines_of(file, path.name, encoding=encoding, skip=skip, batch_rows=batch_rows)


def lines_of(
    file: IO[bytes], name: str, *, encoding: str = "utf-8-sig", skip: int = 0, batch_rows: int = BATCH_ROWS
) -> Iterator[pl.DataFrame]:
    """As `read_lines`, of an open file that is called ``name``. Memory: a block of 4 MiB and a batch."""
    lines = pl.DataFrame(schema={"_line": pl.Int64, "_row": pl.String})
    before = 0
    for block in _whole_lines(file):
        text = block.decode(encoding if before == 0 else encoding.removesuffix("-sig"), errors="replace")
        row = pl.Series("_row", [text.removesuffix("\n")]).str.split("\n").explode()
        number = pl.int_range(before + 1, before + len(row) + 1, eager=True).alias("_line")
        before += len(row)
        lines = pl.concat([lines, pl.DataFrame([number, row]).filter(pl.col("_line") > skip)])
        full = len(lines) // batch_rows * batch_rows
        yield from (_with_name(batch, name) for batch in lines[:full].iter_slices(batch_rows))
        lines = lines[full:]
    if len(lines):
        yield _with_name(lines, name)


def read_parquet(path: Path, columns: Sequence[str], *, batch_rows: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
    """``columns`` as they are typed, bytes as text, with `_file`, `_line` (the number of the row, from 1), `_reason`.

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
                number = pl.int_range(before + 1, before + len(rows) + 1)
                yield rows.with_columns(_file=pl.lit(path.name), _line=number, _reason=pl.lit(None, pl.String))
                before += len(rows)
    except (pa.ArrowInvalid, pl.exceptions.ComputeError, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet after row {before:,}: {error}") from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where its name says that it is compressed.

    Raises InputError where it cannot be opened, or is cut off or damaged further on.
    """
    try:
        with _open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: cannot be read to its end: {error}") from error


def _open(path: Path) -> IO[bytes]:
    match path.suffix.lower():
        case ".gz":
            return cast(IO[bytes], gzip.open(path))
        case ".xz":
            return cast(IO[bytes], lzma.open(path))
        case ".zst":
            return cast(IO[bytes], pa.input_stream(str(path)))
        case _:
            return path.open("rb")


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := file.read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
    if rest:
        yield rest


def _with_name(lines: pl.DataFrame, name: str) -> pl.DataFrame:
    return lines.select(
        _file=pl.lit(name),
        _line="_line",
        _row=pl.col("_row").str.strip_chars_end("\r\n"),
        _reason=pl.lit(None, pl.String),
    ).filter(pl.col("_row") != "")


def flagged(rows: pl.DataFrame, reasons: Mapping[str, pl.Expr | pl.Series]) -> pl.DataFrame:
    """``rows`` with a reason where its expression is true; the first reason stays."""
    named = [
        pl.when(pl.lit(fault) if isinstance(fault, pl.Series) else fault).then(pl.lit(reason))
        for reason, fault in reasons.items()
    ]
    return rows.with_columns(pl.coalesce(pl.col("_reason"), *named).alias("_reason"))


def good(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that carry no reason against them."""
    return rows.filter(pl.col("_reason").is_null())


def without_entities(text: pl.Expr) -> pl.Expr:
    """HTML entities back to the characters they stand for.

    >>> pl.select(without_entities(pl.lit("Wisin &amp; Yandel"))).item()
    'Wisin & Yandel'
    """
    return text.str.replace_many(list(_ENTITIES), list(_ENTITIES.values()))


class Seen:
    """Which rows of a stream carry a key for the first time; 8 bytes of memory a key.

    >>> seen = Seen("a")
    >>> seen.first(pl.DataFrame({"a": [1, 1, 2]})).to_list(), seen.first(pl.DataFrame({"a": [2, 3]})).to_list()
    ([True, False, True], [False, True])
    """

    def __init__(self, *columns: str) -> None:
        self._columns = columns
        self._keys = pl.Series(dtype=pl.UInt64)

    def first(self, rows: pl.DataFrame) -> pl.Series:
        """(rows,) true where no row before, of this batch or an earlier one, has the key."""
        keys = rows.select(pl.struct(self._columns).hash()).to_series()
        new = keys.is_first_distinct() & ~keys.is_in(self._keys.implode())
        self._keys = pl.concat([self._keys, keys.filter(new)])
        return new


def _records(file: TextIO, path: Path, separator: str) -> Iterator[tuple[list[str], int, str]]:
    """(fields, first physical line, text) of each row."""
    text: list[str] = []

    def noted() -> Iterator[str]:
        for line in file:
            text.append(line)
            yield line
        if text:  # The reader wants more: it would pass off all that follows the quote as one field.
            raise InputError(f"{path}:{start}: a quote that opens here is never closed")

    reader = csv.reader(noted(), delimiter=separator)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield fields, start, "".join(text).rstrip("\r\n")
            start = reader.line_num + 1
            text.clear()
    except csv.Error as error:
        raise InputError(f"{path}:{start}: {error}; a quote that opens here may never be closed") from error


def _header(path: Path, found: list[str], expected: Sequence[str] | None, separator: str) -> list[str]:
    if expected is not None and list(expected) != found:
        raise InputError(
            f"{path}:1: the first line must be {separator.join(expected)!r}, not {separator.join(found)[:200]!r}"
        )
    if expected is not None:
        return found
    names = [name.strip() or f"column {number}" for number, name in enumerate(found, start=1)]
    if wrong := [name for name in names if names.count(name) > 1 or name in PROVENANCE]:
        own = ", ".join(PROVENANCE)
        raise InputError(f"{path}:1: column {wrong[0]!r}: each column needs a name of its own, and none may be {own}")
    return names


def _named(rows: pl.DataFrame, columns: Sequence[str], values: list[pl.Expr], width: pl.Expr) -> pl.DataFrame:
    """Column i is ``values[i]``; ``width`` is the number of fields that the row has."""
    return rows.select(
        *(
            pl.when(value.str.strip_chars() != "").then(value).alias(column)
            for value, column in zip(values, columns, strict=True)
        ),
        *("_file", "_line", "_row"),
        _reason=pl.when(width != len(columns)).then(pl.format("{} fields, not {}", width, pl.lit(len(columns)))),
    )

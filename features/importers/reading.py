"""Files in batches, every row with the file and the physical line on which it starts.

A file that ends in .gz, .xz or .zst is read as it stands; nothing is unpacked to disk. Both readers of tables in text
give text columns, a blank field as null, and `_file`, `_line`, `_row`, `_reason`. A row with the wrong
number of fields carries that as its reason; empty lines are no rows; a byte that the encoding does not know becomes
U+FFFD. Both raise InputError where the first line is not the header that the publisher writes; where there is no such
header, where a name stands in it twice.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, zip_longest
from pathlib import Path
from typing import IO, cast

import polars as pl
import pyarrow as pa

from features.importers.base import PROVENANCE
from features.importers.records import NotTextError, records, whole_lines
from recsys.errors import InputError

BATCH_ROWS = 50_000
_ENTITIES = {
    "&#x27;": "'", "&#39;": "'", "&quot;": '"', "&lt;": "<", "&gt;": ">", "&#x2F;": "/", "&#x26;": "&", "&amp;": "&",
}  # fmt: skip


def read_delimited(
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    separator: str = ",",
    header_lines: int = 1,
    needed: Sequence[str] = (),
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pl.DataFrame]:
    """Rows whose fields may stand in double quotes and then hold separators and line ends (RFC 4180).

    ``columns`` None: as the header says, of which ``needed`` must be part; where it has several lines a name is their
    parts with dots: `album.title`. Raises InputError where a quote is never closed.
    """
    with opened(path) as file:
        frames = records(file, path, separator)
        first = next(frames, None)
        while first is not None and len(first) < header_lines and (more := next(frames, None)) is not None:
            first = pl.concat([first, more])
        header = first["fields"][:header_lines].to_list() if first is not None else []
        names = [".".join(filter(None, parts)) for parts in zip_longest(*header, fillvalue="")]
        columns = _header(path, names, columns, separator, needed)
        rest = chain([first[header_lines:]], frames) if first is not None else frames
        for rows in _batches(rest, batch_rows):
            yield _named(rows.with_columns(_file=pl.lit(path.name)), columns)


def read_plain(
    path: Path,
    columns: Sequence[str] | None,
    *,
    separator: str = "\t",
    header: bool = True,
    needed: Sequence[str] = (),
    encoding: str = "utf-8-sig",
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pl.DataFrame]:
    """Rows of one line each, in which a quote is a character like any other.

    ``columns`` None: as the first line says, of which ``needed`` must be part.
    """
    skip = 0
    if header or columns is None:
        line, skip = first_line(path, encoding)
        columns = _header(path, line.split(separator), columns, separator, needed)
    for lines in read_lines(path, encoding=encoding, skip=skip, batch_rows=batch_rows):
        yield _named(lines.with_columns(fields=pl.col("_row").str.split(separator)), columns)


def first_line(path: Path, encoding: str = "utf-8-sig") -> tuple[str, int]:
    """The first line that is not empty, and its number; ("", 0) where there is none."""
    lines = next(read_lines(path, encoding=encoding, batch_rows=1), None)
    return (lines["_row"][0], lines["_line"][0]) if lines is not None else ("", 0)


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

    def numbered() -> Iterator[pl.DataFrame]:
        before = 0
        for text in whole_lines(file, encoding):
            row = pl.Series("_row", [text.removesuffix("\n")]).str.split("\n").explode()
            number = pl.int_range(before + 1, before + len(row) + 1, eager=True).alias("_line")
            before += len(row)
            lines = pl.DataFrame([number, row]).with_columns(pl.col("_row").str.strip_chars_end("\r"))
            yield lines.filter(pl.col("_line") > skip, pl.col("_row") != "")

    for lines in _batches(numbered(), batch_rows):
        yield lines.select(_file=pl.lit(name), _line="_line", _row="_row", _reason=pl.lit(None, pl.String))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where its name says that it is compressed.

    Raises InputError where it cannot be opened, is cut off or damaged further on, or is no text where such is read.
    """
    try:
        with _open(path) as file:
            yield file
    except (OSError, EOFError, NotTextError, zlib.error, lzma.LZMAError) as error:
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


def _batches(frames: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """The same rows, ``size`` to a frame, fewer in the last."""
    held: list[pl.DataFrame] = []
    for frame in frames:
        rows = pl.concat([*held, frame])
        full = len(rows) // size * size
        yield from rows[:full].iter_slices(size)
        held = [rows[full:]]
    yield from (rows for rows in held if len(rows))


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


def gathered(frames: Iterable[pl.DataFrame], columns: Sequence[str]) -> pl.DataFrame:
    """The good rows of all ``frames`` as one, with ``columns`` of text only; without rows where there is no frame."""
    none = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat([none, *(good(rows).select(columns) for rows in frames)])


def shown(line: str) -> str:
    """The beginning of a line, in quotes, for a message.

    >>> shown("a" * 999)[-9:]
    "aaaaa'..."
    """
    return repr(line) if len(repr(line)) <= 200 else f"{line[:80]!r}..."


def _header(
    path: Path, found: list[str], expected: Sequence[str] | None, separator: str, needed: Sequence[str]
) -> list[str]:
    if expected is not None and list(expected) != found:
        raise InputError(
            f"{path}:1: the first line must be {separator.join(expected)!r}, not {shown(separator.join(found))}"
        )
    if expected is not None:
        return found
    if missing := [name for name in needed if name not in found]:
        raise InputError(f"{path}:1: no column {', '.join(missing)}; the header is {shown(', '.join(found))}")
    names = [name.strip() or f"column {number}" for number, name in enumerate(found, start=1)]
    if wrong := [name for name in names if names.count(name) > 1 or name in PROVENANCE]:
        own = ", ".join(PROVENANCE)
        raise InputError(f"{path}:1: column {wrong[0]!r}: each column needs a name of its own, and none may be {own}")
    return names


def _named(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Column i is the i-th of `fields`, null where blank; more or fewer fields than columns are the reason of a row."""
    values = [pl.col("fields").list.get(i, null_on_oob=True) for i in range(len(columns))]
    width = pl.col("fields").list.len()
    return rows.select(
        *(
            pl.when(value.str.strip_chars() != "").then(value).alias(column)
            for value, column in zip(values, columns, strict=True)
        ),
        *("_file", "_line", "_row"),
        _reason=pl.when(width != len(columns)).then(pl.format("{} fields, not {}", width, pl.lit(len(columns)))),
    )

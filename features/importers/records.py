"""Bytes to lines, and lines to records of comma-separated values, in blocks of a few MiB."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import IO, Any

import polars as pl

from recsys.errors import InputError

BLOCK_BYTES = 4 << 20
LONGEST_LINE_BYTES = 64 << 20
_RECORDS: dict[str, pl.DataType] = {"_line": pl.Int64(), "_row": pl.String(), "fields": pl.List(pl.String)}


class NotTextError(Exception):
    """What was opened is no text in lines. `reading.opened` says of which file."""


def whole_lines(file: IO[bytes], encoding: str = "utf-8-sig") -> Iterator[str]:
    """The text in blocks that end where a line does; a byte that the encoding does not know becomes U+FFFD.

    Raises NotTextError where it begins as UTF-16 does, or a line does not end within 64 MiB.
    """
    rest = b""
    while block := file.read(BLOCK_BYTES):
        if not rest and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise NotTextError("it is UTF-16; save it as UTF-8")
        end = block.rfind(b"\n") + 1
        if end:
            yield (rest + block[:end]).decode(encoding, errors="replace")
            encoding = encoding.removesuffix("-sig")
            rest = block[end:]
        else:
            rest += block
            if len(rest) > LONGEST_LINE_BYTES:
                raise NotTextError(f"a line has more than {LONGEST_LINE_BYTES >> 20} MiB, so this is no text in lines")
    if rest:
        yield rest.decode(encoding, errors="replace")


def records(file: IO[bytes], path: Path, separator: str) -> Iterator[pl.DataFrame]:
    """`_line` on which each record starts, `_row` (its text), `fields`; empty lines are none (RFC 4180, UTF-8).

    A block without a quote is split as a whole, which is some five times as fast as the reader of the standard library,
    which takes the others. Raises InputError, naming ``path``, where a quote is never closed.
    """
    line, rest = 1, ""
    for block in whole_lines(file):
        text = rest + block
        if '"' in text or text.count("\r") != text.count("\r\n"):
            frame, line, rest = _quoted(text, path, line, separator)
        else:
            frame = _plain(text, line, separator)
            line += text.count("\n")
        yield frame
    if rest:  # The reader would pass off all that follows the quote as one field.
        raise InputError(f"{path}:{line}: a quote that opens here is never closed")


def _plain(text: str, line: int, separator: str) -> pl.DataFrame:
    row = pl.Series("_row", [text.removesuffix("\n")]).str.split("\n").explode()
    number = pl.int_range(line, line + len(row), eager=True).alias("_line")
    rows = pl.DataFrame([number, row]).with_columns(pl.col("_row").str.strip_chars_end("\r"))
    return rows.filter(pl.col("_row") != "").with_columns(fields=pl.col("_row").str.split(separator))


def _quoted(text: str, path: Path, line: int, separator: str) -> tuple[pl.DataFrame, int, str]:
    """(the records that are complete, the line after them, the text from there on: a record whose quote is open)."""
    taken: list[str] = []
    is_open = False

    def noted() -> Iterator[str]:
        nonlocal is_open
        for physical in StringIO(text, newline=""):
            taken.append(physical)
            yield physical
        is_open = bool(taken)  # The reader wants more to end the record.

    reader = csv.reader(noted(), delimiter=separator)
    found: dict[str, list[Any]] = {name: [] for name in _RECORDS}
    start = line
    try:
        for fields in reader:
            if is_open:
                break
            if fields:
                found["_line"].append(start)
                found["_row"].append("".join(taken).rstrip("\r\n"))
                found["fields"].append(fields)
            start = line + reader.line_num
            taken.clear()
    except csv.Error as error:
        raise InputError(f"{path}:{start}: {error}; a quote that opens here may never be closed") from error
    return pl.DataFrame(found, schema=_RECORDS), start, "".join(taken)

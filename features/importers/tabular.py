"""CSV, TSV, JSON lines and Parquet in batches, all with the provenance columns of a Batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.importers.base import COMPRESSED, PROVENANCE, bare_name
from features.importers.parquet import read_parquet
from features.importers.reading import BATCH_ROWS, flagged, read_delimited, read_lines
from recsys.errors import InputError


def data_files(path: Path, form: str) -> tuple[Path, ...]:
    """``path`` itself, or the files of that folder that can be read. Raises InputError where there are none."""
    inside = path.iterdir() if path.is_dir() else [path]
    files = tuple(sorted(f for f in inside if f.is_file() and not f.name.startswith(".") and ending(f) in READERS))
    if not files:
        ends = f"{', '.join(READERS)}; text also with {', '.join(filter(None, COMPRESSED))}"
        raise InputError(f"{path}: {form} expects a file, or a folder of files, that ends in {ends}")
    return files


def ending(path: Path) -> str:
    """In lower case, without what says that the file is compressed."""
    return Path(bare_name(path)).suffix.lower()


def _csv(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    return map(_utf8, read_delimited(path))


def _tsv(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    return map(_utf8, read_delimited(path, separator="\t"))


def _json_lines(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """``wanted`` as text, without those that no line so far has. A line that is no object carries the reason."""
    found: set[str] = set()
    for number, lines in enumerate(read_lines(path)):
        lines = lines.filter(pl.col("_row").str.strip_chars() != "")
        text = pl.col("_row").str
        values = [text.json_path_match(_json_path(name)).alias(name) for name in wanted]
        broken = text.json_path_match("$").is_null() | ~text.strip_chars_start().str.starts_with("{")
        rows = lines.with_columns(*values, pl.when(broken).then(pl.lit("no JSON object")).alias("_reason"))
        if number == 0 and len(rows) and rows["_reason"].is_not_null().all():
            raise InputError(f"{path}: no line is a JSON object; JSON lines hold one object a line: {{...}}")
        found |= {name for name in wanted if rows[name].is_not_null().any()}
        yield _utf8(rows.drop(set(wanted) - found))


def _utf8(rows: pl.DataFrame) -> pl.DataFrame:
    """A row with a byte that is none carries the reason: a wrong name would join nothing, and nobody would know."""
    return flagged(rows, {"not UTF-8": pl.col("_row").str.contains("\ufffd", literal=True)})


def _json_path(name: str) -> str:
    return f"$.{name}" if "." in name else f"$['{name}']"


def _parquet(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    for rows in read_parquet(path, _checked_columns(path, wanted), batch_rows=BATCH_ROWS):
        yield rows.with_columns(_row=pl.struct(pl.exclude(PROVENANCE)).struct.json_encode())


def _checked_columns(path: Path, wanted: Sequence[str]) -> list[str]:
    """The wanted columns that are there. Raises InputError where there is none, or one holds what no field can."""
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from error
    columns = [name for name in schema.names if name in wanted]
    if not columns:
        raise InputError(f"{path}: no column is a field; name them: --map FIELD=COLUMN ({', '.join(schema.names)})")
    for name, kind in pl.DataFrame(schema.empty_table().select(columns)).schema.items():
        if kind != pl.List(pl.String) and (kind.is_nested() or isinstance(kind, pl.Duration | pl.Time)):
            raise InputError(f"{path}: column {name} is {kind}; it must be text, a number, a date, a time or a list")
    return columns


READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[pl.DataFrame]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
"""How each ending, in lower case, is read: (file, wanted columns) -> batches. A reader may give other columns too."""

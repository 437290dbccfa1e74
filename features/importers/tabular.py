"""CSV, TSV, JSON lines and Parquet in batches, all with the provenance columns of a Batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from features.importers.reading import BATCH_ROWS, read_delimited, read_lines
from recsys.errors import InputError


def data_files(path: Path, form: str) -> tuple[Path, ...]:
    """``path`` itself, or the files of that folder that can be read. Raises InputError where there are none."""
    files = tuple(sorted(f for f in path.iterdir() if f.suffix in READERS)) if path.is_dir() else (path,)
    if not files or not path.exists() or files[0].suffix not in READERS:
        raise InputError(f"{path}: {form} expects a file, or a folder of files, that ends in {', '.join(READERS)}")
    return files


def _csv(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    return read_delimited(path)


def _tsv(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    return read_delimited(path, separator="\t")


def _json_lines(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """``wanted`` as text, without those that no line of the batch has. A line that is no object carries the reason."""
    for lines in read_lines(path):
        lines = lines.filter(pl.col("_row").str.strip_chars() != "")
        text = pl.col("_row").str
        values = [text.json_path_match(_json_path(name)).alias(name) for name in wanted]
        broken = text.json_path_match("$").is_null() | ~text.strip_chars_start().str.starts_with("{")
        rows = lines.with_columns(*values, pl.when(broken).then(pl.lit("no JSON object")).alias("_reason"))
        yield rows.drop(name for name in wanted if rows[name].is_null().all())


def _json_path(name: str) -> str:
    return f"$.{name}" if "." in name else f"$['{name}']"


def _parquet(path: Path, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The wanted columns as they are typed; `_line` is the number of the row, from 1."""
    file = pq.ParquetFile(path)
    columns = [name for name in file.schema_arrow.names if name in wanted]
    before = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=columns):
        rows = pl.DataFrame(batch)
        yield rows.with_columns(
            _file=pl.lit(path.name),
            _line=pl.int_range(before + 1, before + len(rows) + 1),
            _row=pl.struct(pl.all()).struct.json_encode(),
            _reason=pl.lit(None, pl.String),
        )
        before += len(rows)


READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[pl.DataFrame]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
"""How each ending is read: (file, wanted columns) -> batches. A reader may give other columns too."""

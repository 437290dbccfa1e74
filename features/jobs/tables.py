"""Between Spark's folders of part files and the single Parquet files of a data set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from recsys import schema
from recsys.workspace import Workspace

ROW_GROUP = 65_536


def read(spark: SparkSession, workspace: Workspace, table: str, sources: list[str] | None = None) -> DataFrame:
    """A canonical table over all imports (or those of ``sources``); empty where no import has it."""
    columns = from_arrow_schema(schema.TABLES[table])
    files = [location(file) for file in workspace.table_files(table, sources)]
    return spark.read.schema(columns).parquet(*files) if files else spark.createDataFrame([], columns)


def location(path: Path) -> str:
    """``path`` as Spark reads it: not percent-encoded, as Path.as_uri() writes a space, and without patterns."""
    return "file://" + re.sub(r"[\[\]{}*?\\]", r"\\\g<0>", str(path.absolute()))


def rows(files: Iterable[Path]) -> int:
    """Rows of Parquet files, from their footers."""
    return sum(pq.read_metadata(file).num_rows for file in files)


@dataclass(frozen=True)
class Staging:
    """A folder in which each step leaves its result for the next."""

    spark: SparkSession
    folder: Path

    @property
    def partitions(self) -> int:
        """Of a shuffle."""
        return int(self.spark.conf.get("spark.sql.shuffle.partitions"))

    def keep(self, name: str, frame: DataFrame) -> DataFrame:
        """Run ``frame`` and come back as what was written."""
        frame.write.parquet(f"file://{self.folder / name}")
        return self.spark.read.schema(frame.schema).parquet(location(self.folder / name))

    def share(self, name: str, table: pl.DataFrame) -> DataFrame:
        """A table of this process as a frame of Spark, by way of a file."""
        table.write_parquet(self.folder / f"{name}.parquet")
        return self.spark.read.parquet(location(self.folder / f"{name}.parquet"))

    def parts(self, name: str) -> list[Path]:
        """In the order of the rows, where the frame was sorted."""
        return sorted((self.folder / name).glob("*.parquet"))

    def rows(self, name: str) -> int:
        return rows(self.parts(name))

    def batches(self, name: str) -> Iterator[pa.Table]:
        for part in self.parts(name):
            for batch in pq.ParquetFile(part).iter_batches(ROW_GROUP):
                yield pa.Table.from_batches([batch])


def write(path: Path, table: str, batches: Iterable[pa.Table]) -> int:
    """One file with the exact schema of a training table; the bytes depend on the rows alone, not on their batches.

    Returns the rows. Raises ValueError where a column is missing, of another type, or null where it must not be.
    """
    target = schema.TRAINING_TABLES[table]
    with pq.ParquetWriter(path, target, compression="zstd") as writer:
        total = 0
        for group in _row_groups(target, batches):
            writer.write_table(group, row_group_size=ROW_GROUP)
            total += len(group)
    return total


def _row_groups(target: pa.Schema, batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting = target.empty_table()
    for batch in batches:
        waiting = pa.concat_tables([waiting, batch.select(target.names).cast(target)])
        while len(waiting) >= ROW_GROUP:
            yield waiting.slice(0, ROW_GROUP).combine_chunks()
            waiting = waiting.slice(ROW_GROUP)
    if len(waiting):
        yield waiting.combine_chunks()

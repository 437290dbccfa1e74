"""A real Spark session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from features.spark import SparkSettings, spark_session
from recsys import schema

QUICK = {
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
"""Compiling, Spark's and Java's, costs more than it saves on a few hundred rows."""


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    settings = SparkSettings(master="local[2]", driver_memory="1g", shuffle_partitions=2, conf=QUICK)
    with spark_session(settings, app="tests") as session:
        yield session


@pytest.fixture(scope="session")
def frame(spark: SparkSession) -> Callable[..., DataFrame]:
    """frame(table, rows): a canonical table of Spark; columns that a row lacks are null."""

    def make(table: str, rows: list[dict[str, object]]) -> DataFrame:
        columns = from_arrow_schema(schema.TABLES[table])
        for field in columns.fields:
            field.nullable = True
        return spark.createDataFrame([{name: row.get(name) for name in columns.names} for row in rows], columns)

    return make

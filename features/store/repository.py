"""The two feature views, and how a data set's statistics get into them and out again.

The statistics are change logs (features.jobs.statistics): the newest row at or before a moment is what was known then.
So Feast's point-in-time join gives training rows without a leak, and the online store, which holds the newest row of
each key, gives what a server would have read at the end of the data. `days_since_last` ages between two rows; the store
keeps `last_played` in its place, from which a reader counts the days.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import ibis
import polars as pl
import pyarrow as pa
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_source import DataSource
from feast.types import FeastType, Float32, Int64, UnixTimestamp

from features.spark import spark_session
from features.store.faults import Wall, check_settings
from features.store.settings import StoreSettings
from recsys import schema
from recsys.errors import InputError, MissingError
from recsys.files import write_bytes

KEYS = {"listener_statistics": "user_id", "track_statistics": "track_id"}
"""Feature view -> the id that it is read by. The views have the names of the tables."""
TIMESTAMP = "day"
_TYPES: dict[pa.DataType, FeastType] = {pa.int64(): Int64, pa.float32(): Float32}


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication put into the store."""

    rows: dict[str, int]
    """Rows of history by view."""
    keys: dict[str, int]
    """Keys in the online store by view."""
    until: datetime
    """The day after the newest play (UTC): the online values are as of its start. The logs go on for four weeks, in
    which that play leaves the windows."""


class Repository:
    """The feature store of one data set, in ``folder`` (`feature_store.yaml` is there for Feast's own command too).

    All methods raise InputError that names the setting, or the folder, where a store cannot be read or written.
    """

    def __init__(self, folder: Path, settings: StoreSettings | None = None) -> None:
        chosen = settings or StoreSettings.load()
        check_settings(chosen)
        self.folder = folder.absolute()
        self._wall = Wall(self.folder, chosen)
        self._on_spark = chosen.offline_store["type"] == "spark"
        self.config = RepoConfig(
            project=chosen.project,
            provider="local",
            registry=chosen.registry or str(self.folder / "registry.db"),
            offline_store=chosen.offline_store,
            online_store=chosen.online_store or {"type": "sqlite", "path": str(self.folder / "online.db")},
            entity_key_serialization_version=3,
        )
        self.store = FeatureStore(config=self.config)

    def publish(self, dataset: Path) -> Published:
        """Copy the statistics of the data set in ``dataset``, register their views, fill the online store.

        A second time is harmless: the same values are written again. Raises MissingError where a table is not there,
        InputError where it cannot be read or holds no plays.
        """
        counts, days = {}, []
        for view in KEYS:
            if not (dataset / f"{view}.parquet").is_file():
                raise MissingError(f"{dataset}/{view}.parquet is not there; make the data set: segue features")
            counts[view], last = _copy(dataset / f"{view}.parquet", self._file(view))
            days.append(last)
        newest = max((day for day in days if day is not None), default=None)
        if newest is None:
            raise InputError(f"{dataset}: no dated plays, so there are no statistics to publish")
        with self._wall.around("registry"):
            self.store.registry.commit()  # shows that it may be written, before anything else is
        with self._engine(), self._wall.around("online_store"), redirect_stdout(StringIO()):  # Feast prints, in colour
            self.store.apply([part for view in KEYS for part in self._definition(view)])
            # An end is exclusive to the second, and that day must be in.
            self.store.materialize(datetime(1970, 1, 1, tzinfo=UTC), newest + timedelta(seconds=1))
        self._write_config()
        keys = {
            view: pl.scan_parquet(self._file(view), glob=False).select(pl.col(key).n_unique())
            for view, key in KEYS.items()
        }
        found = pl.collect_all(list(keys.values()))
        return Published(counts, {view: frame.item() for view, frame in zip(keys, found, strict=True)}, newest)

    def online(self, view: str, ids: Sequence[str]) -> pl.DataFrame:
        """The newest values of ``ids``, in their order; nulls for an id that the store does not know.

        Raises MissingError where nothing was published.
        """
        rows = [{KEYS[view]: id_} for id_ in ids]
        self._open_registry()
        with self._wall.around("online_store"):
            found = self.store.get_online_features(features=self._names(view), entity_rows=rows).to_arrow()
        return _frame(found, view)

    def historical(self, view: str, ids: Sequence[str], moments: Sequence[datetime]) -> pl.DataFrame:
        """The values that ``ids[i]`` had at ``moments[i]`` (UTC), in their order; nulls where nothing was known yet.

        Raises MissingError where nothing was published.
        """
        asked = pl.DataFrame({KEYS[view]: ids, "event_timestamp": moments}).with_row_index("row")
        asked = asked.with_columns(
            pl.col("event_timestamp").cast(pl.Datetime("us", "UTC")), pl.col("row").cast(pl.Int64)
        )
        self._open_registry()
        with self._engine(), self._wall.around("offline_store"):
            job = self.store.get_historical_features(entity_df=asked.to_pandas(), features=self._names(view))
            found = pl.from_arrow(job.to_arrow())
        assert isinstance(found, pl.DataFrame)
        return _frame(found.sort("row").to_arrow(), view)

    def _open_registry(self) -> None:
        with self._wall.around("registry"):
            self.store.registry  # noqa: B018 - Feast opens it where it is first named

    def _engine(self) -> AbstractContextManager[object]:
        return spark_session() if self._on_spark else _duckdb()

    def _file(self, view: str) -> Path:
        return self.folder / f"{view}.parquet"

    def _names(self, view: str) -> list[str]:
        return [f"{view}:{name}" for name in _features(view)]

    def _definition(self, view: str) -> tuple[Entity, DataSource, FeatureView]:
        key = KEYS[view]
        entity = Entity(name=key.removesuffix("_id"), join_keys=[key], value_type=ValueType.STRING)
        source = self._source(name=f"{view}_source", path=str(self._file(view)), timestamp_field=TIMESTAMP)
        fields = [Field(name=name, dtype=kind) for name, kind in _features(view).items()]
        description = schema.describe(schema.TRAINING_TABLES[view])
        return (
            entity,
            source,
            FeatureView(
                name=view, entities=[entity], ttl=timedelta(0), schema=fields, source=source, description=description
            ),
        )

    def _source(self, **described: str) -> DataSource:
        if not self._on_spark:
            return FileSource(**described)
        from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

        return SparkSource(**described, file_format="parquet")

    def _write_config(self) -> None:
        described: dict[str, Any] = self.config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        write_bytes(self.folder / "feature_store.yaml", yaml.safe_dump(described).encode())


def _features(view: str) -> dict[str, FeastType]:
    """Name -> type of a view's features, from the table's schema."""
    own = [field for field in schema.TRAINING_TABLES[view] if field.name not in (TIMESTAMP, KEYS[view])]
    kept = {field.name: _TYPES[field.type] for field in own if field.name != "days_since_last"}
    return {**kept, "last_played": UnixTimestamp}


def _copy(source: Path, target: Path) -> tuple[int, datetime | None]:
    """Rows, and the day after the newest play. A copy, so that a data set made anew changes nothing midway."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_suffix(".half")
    day = pl.col(TIMESTAMP)
    last_played = day.dt.offset_by(pl.format("-{}d", "days_since_last")).cast(pl.Datetime("us", "UTC"))
    table = pl.scan_parquet(source, glob=False).with_columns(last_played=last_played).drop("days_since_last")
    try:
        table.with_columns(day.cast(pl.Datetime("us", "UTC"))).sink_parquet(half, compression="zstd")
        half.replace(target)
    except pl.exceptions.PolarsError as error:
        said = str(error).partition("\n")[0]
        raise InputError(
            f"{source}: no table of statistics ({said}); make the data set anew: segue features"
        ) from error
    finally:
        half.unlink(missing_ok=True)
    played = pl.col("last_played").max() + pl.duration(days=1)
    rows, until = pl.scan_parquet(target, glob=False).select(pl.len(), played.alias("until")).collect().row(0)
    return rows, until


def _frame(table: pa.Table, view: str) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    moment = pl.col("last_played").cast(pl.Datetime("us", "UTC"))
    whole = [name for name, kind in _features(view).items() if kind == Int64]  # Spark's come by way of pandas
    return frame.select(KEYS[view], *_features(view)).with_columns(moment, pl.col(whole).cast(pl.Int64))


@contextmanager
def _duckdb() -> Iterator[None]:
    """Feast queries through ibis' global connection, which is closed here: left open it prints a page of leaks at exit.
    Feast also calls it by names that pyarrow has deprecated, once a query."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            yield
        finally:
            if ibis.options.default_backend is not None:
                ibis.options.default_backend.disconnect()
                ibis.options.default_backend = None

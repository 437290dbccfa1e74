"""Change logs whose figures are random: what they are is all the same to the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from features.store.repository import KEYS
from recsys import schema

FIRST = datetime(2025, 1, 1, tzinfo=UTC)
LAST = FIRST + timedelta(days=39)
"""Of the last plays."""


def write_statistics(folder: Path, rows: int = 4_000, keys: int = 300) -> Path:
    """Logs of listeners and tracks over 60 days, in a data set's folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for view, key in KEYS.items():
        table = pl.DataFrame({"day": rng.integers(0, 60, rows), key: rng.integers(0, keys, rows)})
        table = table.unique().sort("day", key)
        table = table.with_columns(
            day=pl.lit(FIRST.date()) + pl.duration(days="day"), **{key: pl.format("{}:{}", pl.lit(key[:4]), key)}
        )
        columns = [name for name in schema.TRAINING_TABLES[view].names if name not in table.columns]
        figures = {name: rng.integers(0, 50, len(table)) for name in columns}
        wide = table.with_columns(**{name: pl.Series(values) for name, values in figures.items()})
        since = pl.col("day") - pl.lit(LAST.date())
        wide = wide.with_columns(days_since_last=pl.max_horizontal(1, "days_since_last", since.dt.total_days()))
        arrow = wide.select(schema.TRAINING_TABLES[view].names).to_arrow().cast(schema.TRAINING_TABLES[view])
        pl.from_arrow(arrow).write_parquet(folder / f"{view}.parquet")
    return folder

"""Columns of Parquet whose types are known: other widths are taken, other kinds refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.importers.parquet import read_parquet
from recsys.errors import InputError

KINDS = {"id": pl.UInt32(), "vector": pl.List(pl.Float32), "word": pl.String()}
ROW = {"id": 7, "vector": [0.5], "word": "play"}


def read(path: Path, **columns: Any) -> pl.DataFrame:
    pl.DataFrame({name: [value] for name, value in (ROW | columns).items()}).write_parquet(path)
    return pl.concat(read_parquet(path, KINDS))


def test_other_widths_are_cast_and_what_does_not_fit_is_null(tmp_path: Path) -> None:
    rows = read(tmp_path / "t.parquet", id=-7, word=pl.Series(["play"], dtype=pl.Categorical)[0])
    assert rows.schema["id"] == pl.UInt32
    assert rows.select("id", "vector", "word").row(0) == (None, [0.5], "play")


@pytest.mark.parametrize(
    ("column", "value"), [("id", "seven"), ("id", 7.0), ("id", [7]), ("id", None), ("vector", 0.5), ("vector", ["a"])]
)
def test_another_kind_is_refused(tmp_path: Path, column: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"t\.parquet: column {column} is .*; it must be "):
        read(tmp_path / "t.parquet", **{column: value})

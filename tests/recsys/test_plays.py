"""What is told of plays stands beside the right ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys.errors import InputError
from recsys.plays import STORED, plays

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
SCHEMA = {
    "items": pl.List(pl.Int32),
    "ts": pl.List(pl.Datetime("us", "UTC")),
    "context": pl.List(pl.Int32),
    "skips_at": pl.List(pl.Int32),
}


def table(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema={name: SCHEMA[name] for name in columns})


def test_times_are_seconds_and_unknown_where_null() -> None:
    ts = [[NOON, NOON + timedelta(seconds=90, microseconds=7)], None, [None, NOON]]
    found = plays(table(items=[[1, 2], [3], [4, 5]], ts=ts), ["time"])
    noon = int(NOON.timestamp())
    assert found.beside["time"].tolist() == [noon, noon + 90, -1, -1, noon]
    assert found.beside["time"].dtype == np.int64
    assert found[2].tolist() == [4, 5]


def test_skips_count_for_the_play_that_follows_them() -> None:
    # Before the first item, between items, after the last; then a row that tells nothing, and one without skips.
    skips_at = [[0, 1, 1, 2], None, []]
    found = plays(table(items=[[1, 2], [3], [4]], skips_at=skips_at), ["skips"])
    assert found.beside["skips"].tolist() == [1, 2, -1, 0]
    assert found.beside["skips"].dtype == np.int8
    many = plays(table(items=[[1]], skips_at=[[0] * 300]), ["skips"])
    assert many.beside["skips"].tolist() == [127]


def test_a_context_beyond_int16_is_unknown() -> None:
    found = plays(table(items=[[1, 2]], context=[[5, 40_000]]), ["context"])
    assert found.beside["context"].tolist() == [5, -1]


def test_what_nobody_tells_is_left_out() -> None:
    found = plays(table(items=[[1], [2]], ts=[None, None]), STORED)
    assert found.values.tolist() == [1, 2]
    assert not found.beside
    assert not plays(table(items=[[1]], ts=[[NOON]])).beside


@pytest.mark.parametrize(
    ("column", "stored", "values"),
    [("time", "ts", [[NOON]]), ("context", "context", [[0, 1, 2]]), ("skips", "skips_at", [[3]])],
)
def test_lists_that_do_not_fit_are_refused(column: str, stored: str, values: list[object]) -> None:
    with pytest.raises(InputError, match=f"{stored} does not fit the items"):
        plays(table(items=[[1, 2]], **{stored: values}), [column])

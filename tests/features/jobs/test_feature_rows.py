"""Numbers become indices, contexts their places, skips columns of their own: by hand, without Spark."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from features.jobs.rows import Codes, encoded
from recsys import schema

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
ITEMS = pl.DataFrame({"index": [0, 1, 2], "track": [4, 1, 2], "train_count": [9, 5, 0]})
PLAY = pa.struct(
    [("ts", schema.TS), ("track", pa.int32()), ("skip", pa.bool_()), ("like", pa.bool_()), ("context", pa.int64())]
)


def listened(*plays: tuple[int, bool, int | None]) -> list[dict[str, object]]:
    return [{"ts": NOON, "track": t, "skip": skip, "like": False, "context": c} for t, skip, c in plays]


@pytest.fixture
def batch() -> pa.Table:
    rows = [
        listened((0, True, 8), (4, True, 8), (1, False, 8), (2, True, 8), (1, True, 8), (2, False, None), (4, True, 8)),
        listened((4, False, -5)),
        listened((1, False, 77), (4, True, 8), (4, False, -5)),
    ]
    return pa.table(
        {
            "sequence_id": ["a", "b", "c"],
            "owner_id": ["u", "u", "v"],
            "split": ["train", "train", "test"],
            "start_ts": pa.array([NOON, NOON, None], schema.TS),
            "listened": pa.array(rows, pa.list_(PLAY)),
        }
    )


def test_items_contexts_and_skips(batch: pa.Table) -> None:
    codes = Codes.of(5, ITEMS, pl.DataFrame({"hash": [8, -5]}), skips=True)
    (table,) = encoded([batch], codes)
    found = table.select(schema.SEQUENCES.names).cast(schema.SEQUENCES).to_pydict()
    assert found["items"] == [[1, 2], [0], [1, 0]]
    assert found["context"] == [[0, -1], [1], [-1, 1]]
    assert found["skips"] == [[0, 1, 0], [], [0]], "track 0 is no item, and training never plays track 2"
    assert found["skips_at"] == [[0, 1, 2], [], [1]]
    assert found["ts"] == [[NOON, NOON], [NOON], None]


def test_what_the_source_does_not_tell_is_null(batch: pa.Table) -> None:
    none = pl.DataFrame({"hash": []}, schema={"hash": pl.Int64})
    (table,) = encoded([batch.slice(1, 2)], Codes.of(5, ITEMS, none, skips=False))
    assert table["items"].to_pylist() == [[0], [1, 0]]
    assert all(table[name].null_count == 2 for name in ("context", "skips", "skips_at"))
    assert np.array_equal(table.column_names, schema.SEQUENCES.names)

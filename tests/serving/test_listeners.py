"""What the server knows of listeners from a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys.errors import InputError
from serving.listeners import KnownListeners


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    items = pl.DataFrame({"index": [0, 1, 2], "track_id": ["a", "b", "c"]}, schema_overrides={"index": pl.Int32})
    items.write_parquet(tmp_path / "items.parquet")
    sequences = pl.DataFrame(
        {"owner_id": ["anna", "ben", "anna"], "items": [[0, 1], [1], [2]]},
        schema_overrides={"items": pl.List(pl.Int32)},
    )
    sequences.write_parquet(tmp_path / "sequences.parquet")
    return tmp_path


def test_the_latest_tracks_of_each_listener_oldest_first(dataset: Path) -> None:
    known = KnownListeners.of_dataset(dataset, length=2)
    assert [known.listener(user).plays.track_ids for user in ("anna", "ben", "zoe")] == [("b", "c"), ("b",), ()]


@pytest.mark.parametrize("name", ["items.parquet", "sequences.parquet"])
@pytest.mark.parametrize("damage", [lambda path: path.write_text("x"), Path.unlink])
def test_a_damaged_data_set_is_refused(dataset: Path, name: str, damage: Callable[[Path], object]) -> None:
    damage(dataset / name)
    with pytest.raises(InputError, match=str(dataset)):
        KnownListeners.of_dataset(dataset, length=2)

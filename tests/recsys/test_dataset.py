"""A data set folder is read as written, and a broken one is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from recsys import schema
from recsys.dataset import Dataset, DatasetManifest
from recsys.errors import InputError, MissingError
from recsys.files import write_json

MANIFEST = DatasetManifest(
    name="tiny",
    fingerprint="0" * 12,
    sources=["tiny"],
    simulated=False,
    task="next",
    protocol="global_time",
    dated=True,
    boundaries={},
    counts={},
    audio_features=[],
    tags=[],
    text_encoder="none",
    config={},
)


def frame(table: str, rows: dict[str, list[object]]) -> pl.DataFrame:
    arrow = schema.TRAINING_TABLES[table]
    full = {name: rows.get(name, [None] * len(next(iter(rows.values())))) for name in arrow.names}
    made = pl.from_arrow(arrow.empty_table())
    assert isinstance(made, pl.DataFrame)
    return pl.DataFrame(full, schema=made.schema)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    items = {
        "index": [0, 1, 2],
        "track_id": ["a", "b", "c"],
        "title": ["A", "B", "C"],
        "artist_id": ["x", "y", "x"],
        "artist_name": ["X", "Y", "X"],
        "train_count": [2, 1, 0],
    }
    sequences = {
        "sequence_id": ["s1", "s2", "s3"],
        "owner_id": ["u", "v", "u"],
        "split": ["train", "train", "test"],
        "start_ts": [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
        "items": [[0, 1], [0], [2, 0]],
    }
    frame("items", items).write_parquet(tmp_path / "items.parquet")  # type: ignore[arg-type]
    frame("sequences", sequences).write_parquet(tmp_path / "sequences.parquet")  # type: ignore[arg-type]
    write_json(tmp_path / "manifest.json", MANIFEST.model_dump())
    return tmp_path


def test_open(folder: Path) -> None:
    data = Dataset.open(folder)
    train = data.part("train")
    assert train.items.values.tolist() == [0, 1, 0]
    assert train.starts is not None
    assert str(train.starts[0]) == "2024-01-01T00:00:00.000000"
    assert data.part("train", "test").owners.tolist() == [0, 1, 0]
    assert data.cold.tolist() == [False, False, True]
    assert data.artists.tolist() == [0, 1, 0]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="segue features"):
        Dataset.open(tmp_path / "nowhere")


def test_another_format(folder: Path) -> None:
    write_json(folder / "manifest.json", {**MANIFEST.model_dump(), "format_version": 99})
    with pytest.raises(InputError, match="format_version is 99"):
        Dataset.open(folder)


def test_an_index_outside_the_vocabulary(folder: Path) -> None:
    pl.read_parquet(folder / "items.parquet").head(2).write_parquet(folder / "items.parquet")
    with pytest.raises(InputError, match=r"sequences\.parquet: an item index outside 0\.\.1"):
        Dataset.open(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"format_version": 1}'])
def test_a_damaged_manifest_is_named(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json: "):
        Dataset.open(folder)


@pytest.mark.parametrize("table", ["items", "sequences"])
def test_a_table_that_is_absent_or_damaged_is_refused(folder: Path, table: str) -> None:
    for spoil in (lambda path: path.write_text("no parquet"), lambda path: path.unlink()):
        spoil(folder / f"{table}.parquet")
        with pytest.raises(InputError, match=r"absent or damaged .* segue features"):
            Dataset.open(folder)

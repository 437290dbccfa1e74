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


def rewrite(folder: Path, **columns: list[object]) -> Dataset:
    """The data set with other columns of its sequences."""
    table = pl.read_parquet(folder / "sequences.parquet")
    made = [pl.Series(name, values, table.schema[name]) for name, values in columns.items()]
    table.with_columns(made).write_parquet(folder / "sequences.parquet")
    write_json(folder / "manifest.json", {**MANIFEST.model_dump(), "contexts": ["car", "home"]})
    return Dataset.open(folder)


def test_contexts_and_skips_are_there_where_the_source_tells(folder: Path) -> None:
    data = Dataset.open(folder)
    assert (data.contexts(), data.skips()) == (None, None)
    told = {"context": [[0, -1], [1], [1, 0]], "skips": [[2], [], [1, 1]], "skips_at": [[2], [], [0, 1]]}
    data = rewrite(folder, **told)  # type: ignore[arg-type]
    contexts, skips = data.contexts(), data.skips()
    assert contexts is not None
    assert skips is not None
    assert [contexts[row].tolist() for row in range(3)] == told["context"]
    assert [skips.items[row].tolist() for row in range(3)] == told["skips"]
    assert [skips.before[row].tolist() for row in range(3)] == told["skips_at"]


def test_a_data_set_from_before_there_were_contexts_is_read(folder: Path) -> None:
    old = pl.read_parquet(folder / "sequences.parquet").drop("context", "skips", "skips_at")
    old.write_parquet(folder / "sequences.parquet")
    manifest = MANIFEST.model_dump()
    del manifest["contexts"]
    write_json(folder / "manifest.json", manifest)
    data = Dataset.open(folder)
    assert (data.contexts(), data.skips(), len(data.sequences)) == (None, None, 3)


def test_columns_that_are_damaged_are_named(folder: Path) -> None:
    data = rewrite(folder, context=[[0, 1], [1], [1, 0]], skips=[[], [], []], skips_at=[[], [], []])
    whole = (folder / "sequences.parquet").read_bytes()
    tail = int.from_bytes(whole[-8:-4], "little") + 8  # the footer, its length and PAR1
    (folder / "sequences.parquet").write_bytes(whole[:4] + bytes(len(whole) - tail - 4) + whole[-tail:])
    for read in (data.contexts, data.skips, lambda: data.with_beside(["context"])):
        with pytest.raises(InputError, match=r"sequences\.parquet: damaged"):
            read()


def test_what_is_told_of_plays_goes_along_into_the_parts(folder: Path) -> None:
    data = rewrite(folder, context=[[0, -1], [1], [1, 0]])
    assert not data.sequences.items.beside
    told = data.with_beside(["context", "time"])
    assert {name: column.tolist() for name, column in told.part("test").items.beside.items()} == {"context": [1, 0]}
    assert told.known("train").items.beside["context"].tolist() == [0, -1, 1]
    assert data.with_beside([]) is data


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("context", [[0], [1], [1, 0]], "context has not one entry an item"),
        ("context", [[0, 2], [1], [1, 0]], "context holds an index outside"),
        ("skips", [[3], [], []], "skips holds an index outside"),
        ("skips", [[0, 1], [], []], "skips_at has not one entry a skip"),
        ("skips_at", [[3], [], []], "skips_at holds an index outside"),
    ],
)
def test_contexts_and_skips_that_do_not_fit_are_refused(
    folder: Path, column: str, values: list[object], said: str
) -> None:
    fits = {"context": [[0, 1], [1], [1, 0]], "skips": [[2], [], []], "skips_at": [[1], [], []]}
    data = rewrite(folder, **{**fits, column: values})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=said):
        data.contexts()
        data.skips()

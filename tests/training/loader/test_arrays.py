"""Training rows in a memory map are the data set's own, are found again, and are made anew when they are not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.files import read_json, write_json
from recsys.ragged import Ragged
from recsys.splits import for_dataset
from recsys.workspace import Workspace
from training.loader import arrays
from training.loader.arrays import mapped
from training.loader.plan import BatchPlan

COLUMNS = ["time", "context", "skips"]


@pytest.fixture
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    """Rows of many lengths, with contexts, skips and times, a part of them untold."""
    made = make_dataset()
    rng = np.random.default_rng(0)
    table = pl.read_parquet(made.folder / "sequences.parquet")
    table = table.with_columns(pl.int_range(pl.len()).alias("n")).with_columns(
        pl.col("items").list.head(pl.col("n") % 4 + 1), pl.col("ts").list.head(pl.col("n") % 4 + 1)
    )
    table = table.with_columns(
        ts=pl.when(pl.col("n") % 5 > 0).then("ts"),
        context=pl.when(pl.col("n") >= 7).then(pl.col("items").list.eval(pl.element() % 2)),
        skips=pl.Series(
            [[int(i) for i in rng.integers(0, 6, n % 3)] for n in range(len(table))], dtype=table.schema["skips"]
        ),
        skips_at=pl.Series([[1] * (n % 3) for n in range(len(table))], dtype=table.schema["skips_at"]),
    )
    table.drop("n").write_parquet(made.folder / "sequences.parquet")
    manifest = read_json(made.folder / "manifest.json")
    write_json(made.folder / "manifest.json", manifest | {"contexts": ["home", "away"]})
    return Dataset.open(made.folder)


def rows(workspace: Workspace, dataset: Dataset, columns: list[str] = COLUMNS) -> Ragged:
    return mapped(workspace, dataset, columns).part("train").items


def assert_same(found: Ragged, expected: Ragged) -> None:
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    assert found.beside.keys() == expected.beside.keys()
    for name, column in found.beside.items():
        np.testing.assert_array_equal(column, expected.beside[name])
        assert column.dtype == expected.beside[name].dtype


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_mapped_rows_are_those_in_memory(
    tiny_workspace: Workspace, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(arrays, "PIECE", piece)
    expected = for_dataset(dataset.with_beside(COLUMNS)).train.items
    assert set(expected.beside) == set(COLUMNS)
    found = rows(tiny_workspace, dataset)
    assert_same(found, expected)
    for column in (found.values, found.offsets, *found.beside.values()):
        assert isinstance(column.base, np.memmap)
    for mine, theirs in zip(BatchPlan(found, 2, 5, 1).batches(3), BatchPlan(expected, 2, 5, 1).batches(3), strict=True):
        assert (mine.history == theirs.history).all()
        assert (mine.side.time == theirs.side.time).all()


def test_only_columns_that_are_asked_for_and_told_stand_beside(
    tiny_workspace: Workspace, make_dataset: Callable[..., Dataset]
) -> None:
    plain = make_dataset()
    assert set(rows(tiny_workspace, plain).beside) == {"time"}
    assert not rows(tiny_workspace, plain, []).beside


def test_they_are_found_again(tiny_workspace: Workspace, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rows(tiny_workspace, dataset)
    monkeypatch.setattr(arrays, "_write", lambda *_: pytest.fail("made twice"))
    assert_same(rows(tiny_workspace, dataset), first)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


SPOILS: dict[str, Callable[[Path], Any]] = {
    "one bit": _flip,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("name", ["train/items.npy", "train/offsets.npy", "valid/time.npy", "manifest.json"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_damaged_ones_are_made_anew(tiny_workspace: Workspace, dataset: Dataset, name: str, spoil: str) -> None:
    whole = rows(tiny_workspace, dataset)
    expected = Ragged(whole.values.copy(), whole.offsets.copy(), {n: c.copy() for n, c in whole.beside.items()})
    SPOILS[spoil](tiny_workspace.arrays / dataset.manifest.name / name)
    assert_same(rows(tiny_workspace, dataset), expected)


@pytest.mark.parametrize("foreign", ["[]", "{}", '{"version": 1}', "no json"])
def test_a_folder_of_something_else_is_replaced(tiny_workspace: Workspace, dataset: Dataset, foreign: str) -> None:
    folder = tiny_workspace.arrays / dataset.manifest.name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(foreign)
    assert_same(rows(tiny_workspace, dataset), for_dataset(dataset.with_beside(COLUMNS)).train.items)


def test_another_data_set_of_the_same_name_gets_its_own(
    tiny_workspace: Workspace, make_dataset: Callable[..., Dataset], dataset: Dataset
) -> None:
    before = rows(tiny_workspace, dataset)
    kept = before.values.copy()
    again = make_dataset(fingerprint="ba9876543210")
    assert_same(rows(tiny_workspace, again), for_dataset(again.with_beside(COLUMNS)).train.items)
    np.testing.assert_array_equal(before.values, kept)  # a run that is under way keeps what it opened

    # The same fingerprint, but the file is another.
    table = pl.read_parquet(again.folder / "sequences.parquet").with_columns(pl.col("items").list.reverse())
    table.write_parquet(again.folder / "sequences.parquet")
    changed = Dataset.open(again.folder)
    assert_same(rows(tiny_workspace, changed), for_dataset(changed.with_beside(COLUMNS)).train.items)


@pytest.mark.parametrize("spoil", ["cut short", "pages of zeros"])
def test_sequences_that_are_damaged_are_named(tiny_workspace: Workspace, dataset: Dataset, spoil: str) -> None:
    path = dataset.folder / "sequences.parquet"
    whole = path.read_bytes()
    tail = int.from_bytes(whole[-8:-4], "little") + 8  # the footer, its length and PAR1
    pages = whole[4:-tail]
    path.write_bytes(whole[:-9] if spoil == "cut short" else whole[:4] + bytes(len(pages)) + whole[-tail:])
    with pytest.raises(InputError, match=r"sequences\.parquet: damaged"):
        mapped(tiny_workspace, dataset, COLUMNS)
    assert not (tiny_workspace.arrays / dataset.manifest.name).exists()


def test_leave_one_out_stays_in_memory(tiny_workspace: Workspace, dataset: Dataset) -> None:
    manifest = dataset.manifest.model_copy(update={"protocol": "leave_one_out"})
    cut = mapped(tiny_workspace, replace(dataset, manifest=manifest), COLUMNS)
    assert set(cut.part("train", "valid").items.beside) == set(COLUMNS)
    assert not tiny_workspace.arrays.exists()


def test_splits_of_mapped_parts_are_those_in_memory(tiny_workspace: Workspace, dataset: Dataset) -> None:
    found, expected = for_dataset(mapped(tiny_workspace, dataset, COLUMNS)), for_dataset(dataset.with_beside(COLUMNS))
    for mine, theirs in ((found.valid, expected.valid), (found.test, expected.test)):
        assert_same(mine.histories, theirs.histories)
        np.testing.assert_array_equal(mine.clusters, theirs.clusters)
        np.testing.assert_array_equal(mine.days, theirs.days)
    np.testing.assert_array_equal(found.train.owners, expected.train.owners)
    np.testing.assert_array_equal(found.train.starts, expected.train.starts)
    assert found.dropped == expected.dropped


def test_those_that_ask_at_once_get_the_same(tiny_workspace: Workspace, dataset: Dataset) -> None:
    with ThreadPoolExecutor(3) as asking:
        found = list(asking.map(lambda _: rows(tiny_workspace, dataset), range(6)))
    for each in found:
        assert_same(each, for_dataset(dataset.with_beside(COLUMNS)).train.items)
    assert sorted(path.name for path in tiny_workspace.arrays.iterdir()) == [".tiny.lock", "tiny"]

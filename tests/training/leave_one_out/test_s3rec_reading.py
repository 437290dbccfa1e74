"""S3-Rec's files are read whole, or the line at fault is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.errors import InputError, MissingError
from training.leave_one_out.reading import read, read_attributes


def test_a_file_gives_its_sequences(tmp_path: Path) -> None:
    path = tmp_path / "small.txt"
    path.write_bytes(b"7 30 10 20 10 50\r\n9  20\t40\n")
    data = read(path)
    assert data.name == "small"
    items = data.sequences.items
    assert [[data.ids[int(i)] for i in items[row]] for row in (0, 1)] == [["30", "10", "20", "10", "50"], ["20", "40"]]
    assert data.sequences.n_items == 5


def test_indices_do_not_follow_the_numbers_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "small.txt"
    path.write_text("1 " + " ".join(map(str, range(100, 200))) + "\n")
    steps = np.diff(read(path).sequences.items.values)
    assert abs(float(np.mean(steps == 1))) < 0.1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"1 2 3 4 5\n\n2 3 4\n", "bad.txt:2: a line must be a user and one item"),
        (b"1 2 3 4 5\n2\n", "bad.txt:2: a line must be a user and one item"),
        (b"1 2 3 4 5\n2 3\n1 9\n", "bad.txt:3: user 1 had a line before"),
        (b"1 2 3 4 5\n\xff 3\n", "bad.txt:2: not UTF-8"),
        (b"1 2 3 4\n2 3\n", "no user has 4 different items"),
        (b"1 2 2 2 2 2\n", "no user has 4 different items"),
        (b"", "no user has 4 different items"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: bytes, fault: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(text)
    with pytest.raises(InputError, match=fault):
        read(path)


def test_a_missing_file_says_what_it_must_hold(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="user item item"):
        read(tmp_path / "none.txt")
    with pytest.raises(MissingError, match="one JSON object"):
        read_attributes(tmp_path / "none.json", pl.Series(["1"]))


def test_attributes_weigh_by_rarity_and_have_length_one(tmp_path: Path) -> None:
    path = tmp_path / "attributes.json"
    path.write_text('{"a": [1, 2], "b": ["2"], "z": [3], "c": []}')
    table = read_attributes(path, pl.Series(["c", "b", "a"])).table.toarray()
    assert table.shape == (3, 2)
    # Attribute 1 has one holder of three items, attribute 2 has two.
    rare, common = np.log(3 / 1), np.log(3 / 2)
    np.testing.assert_allclose(table[2], np.array([rare, common]) / np.hypot(rare, common), rtol=1e-6)
    np.testing.assert_allclose(table[:2], [[0, 0], [0, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[1]", "must be one object"),
        ('{"a": 3}', "item 'a': must be a list"),
        ('{"a": [[1]]}', "item 'a': must be a list"),
        ('{"a": [1,\n}', "not valid JSON.*line 2"),
        ("[" * 100_000, "not valid JSON.*recursion"),
        ('{"z": [1]}', "attributes of other data"),
        ('{"a": ["\\ud800"]}', r"half of a character, '.ud800'"),
    ],
)
def test_bad_attributes_are_named(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "attributes.json"
    path.write_text(text)
    with pytest.raises(InputError, match=fault):
        read_attributes(path, pl.Series(["a"]))


def test_the_published_files_are_read(real_data: Path) -> None:
    data = read(real_data / "s3rec" / "LastFM.txt")
    assert (len(data.sequences), data.sequences.n_items, len(data.sequences.items.values)) == (1090, 3646, 52551)
    attributes = read_attributes(real_data / "s3rec" / "LastFM_item2attributes.json", data.ids)
    assert attributes.table.shape == (3646, 388)

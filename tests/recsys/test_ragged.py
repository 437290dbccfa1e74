"""Ragged arrays behave as the lists they stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.ragged import Ragged

rows = st.lists(st.lists(st.integers(0, 1000), max_size=8), max_size=8)


def lists(ragged: Ragged) -> list[list[int]]:
    return [ragged[i].tolist() for i in range(len(ragged))]


@given(rows)
def test_round_trip(data: list[list[int]]) -> None:
    assert lists(Ragged.of(data)) == data


@given(rows, st.data())
def test_take(data: list[list[int]], draw: st.DataObject) -> None:
    chosen = draw.draw(st.lists(st.integers(0, len(data) - 1), max_size=10)) if data else []
    assert lists(Ragged.of(data).take(np.array(chosen, dtype=np.int64))) == [data[i] for i in chosen]


@given(rows, st.integers(0, 10))
def test_ends(data: list[list[int]], n: int) -> None:
    ragged = Ragged.of(data)
    assert lists(ragged.first(n)) == [row[:n] for row in data]
    assert lists(ragged.last(n)) == [row[len(row) - min(n, len(row)) :] for row in data]


@given(rows, st.integers(1, 6))
def test_padded_sets_the_newest_to_the_right(data: list[list[int]], length: int) -> None:
    expected = [([-1] * length + row)[-length:] for row in data]
    assert Ragged.of(data).padded(length).tolist() == expected


@given(rows)
def test_where_keeps_rows(data: list[list[int]]) -> None:
    ragged = Ragged.of(data)
    assert lists(ragged.where(ragged.values % 2 == 0)) == [[v for v in row if v % 2 == 0] for row in data]


@pytest.mark.parametrize("offsets", [[1, 2], [0, 2, 1, 3], [0, 2], []])
def test_refuses_bad_offsets(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        Ragged(np.arange(3, dtype=np.int32), np.array(offsets, dtype=np.int64))


@given(rows, st.data())
def test_what_stands_beside_the_values_goes_along(data: list[list[int]], draw: st.DataObject) -> None:
    bare = Ragged.of(data)
    ragged = replace(bare, beside={"tenfold": bare.values * 10})
    chosen = draw.draw(st.lists(st.integers(0, len(data) - 1), max_size=6)) if data else []
    for made in (ragged.take(chosen), ragged.where(bare.values % 2 == 0), ragged.last(2), ragged.first(1)):
        assert (made.beside["tenfold"] == made.values * 10).all()


def test_refuses_what_does_not_stand_beside_each_value() -> None:
    with pytest.raises(ValueError, match="hour has 1 entries beside 2 values"):
        Ragged.from_lengths([1, 2], [2], {"hour": np.zeros(1)})

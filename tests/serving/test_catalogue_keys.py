"""Strings found by hash: as a dictionary would, whatever collides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.catalogue import keys as module
from serving.catalogue.keys import Keys, Strings, hashed

texts = st.lists(st.text(max_size=12) | st.sampled_from(["", "a", "aa", "ä", "\x00", "\x00\x00"]), max_size=30)


@given(texts, texts)
def test_rows_are_those_of_a_dictionary(held: list[str], asked: list[str]) -> None:
    keys = Keys.of(pl.Series(held, dtype=pl.String))
    for text in [*held, *asked]:
        rows = [row for row, one in enumerate(held) if one == text]
        assert keys.all(text.encode()) == rows
    wanted = [text.encode() for text in [*asked, *held]]
    assert keys.first(wanted).tolist() == [held.index(t) if t in held else -1 for t in [*asked, *held]]


@given(texts, texts)
def test_collisions_are_no_matter(held: list[str], asked: list[str]) -> None:
    """Every string has one of two hashes."""

    def poor(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return (lengths % 2).astype(np.uint64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "hashed", poor)
        test_rows_are_those_of_a_dictionary.hypothesis.inner_test(held, asked)


@given(texts)
def test_files_hold_the_same(held: list[str]) -> None:
    import tempfile

    keys = Keys.of(pl.Series(held, dtype=pl.String))
    with tempfile.TemporaryDirectory() as folder:
        keys.save(Path(folder), "k")
        loaded = Keys.load(Path(folder), "k")
        assert loaded.first([text.encode() for text in held]).tolist() == [held.index(text) for text in held]
        assert [loaded.strings[row].decode() for row in range(len(held))] == held


def test_hashes_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    strings = Strings.of(pl.Series([f"track {i}" * (i % 7) for i in range(100)]))
    whole = strings.hashes()
    monkeypatch.setattr(module, "_CHUNK", 7)
    assert strings.hashes().tolist() == whole.tolist()


def test_hashes_are_the_same_on_every_machine() -> None:
    """Else a folder that one machine prepared could not be read by another."""
    assert hashed(np.frombuffer(b"segue", np.uint8), np.array([0, 5])).tolist() == [0, 13464480158553598768]


def test_many_ids_do_not_collide() -> None:
    ids = pl.select(pl.format("t{}", pl.int_range(200_000))).to_series()
    assert len(np.unique(Strings.of(ids).hashes())) == 200_000

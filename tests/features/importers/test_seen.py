"""Counting by sorted hashes against a plain dictionary."""

from __future__ import annotations

from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from features.importers.seen import Seen

KEYS = st.lists(st.sampled_from(["", "a", "b", "c", "d", None]))


@given(st.lists(KEYS, max_size=5))
def test_every_row_is_told_how_often_its_key_came_before(batches: list[list[str | None]]) -> None:
    seen, plain = Seen("key"), Counter[str | None]()
    for batch in batches:
        expected = []
        for key in batch:
            expected.append(plain[key])
            plain[key] += 1
        found = seen.before(pl.DataFrame({"key": batch}, schema={"key": pl.String}))
        assert found.to_list() == expected


def test_a_key_of_two_columns_is_both_together() -> None:
    rows = pl.DataFrame({"a": ["x", "x", "xy"], "b": ["yz", "z", "z"]})
    assert Seen("a", "b").first(rows).to_list() == [True, True, True]
    assert Seen("a").first(rows).to_list() == [True, False, True]

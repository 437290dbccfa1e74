from __future__ import annotations

import json

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from features.importers import json_lines
from features.importers.json_lines import json_fields

FIELDS = {"name": "track.name", "deep": "track.info.n", "top": "n"}
VALUES = st.one_of(st.none(), st.integers(-5, 5), st.text('ab é"\\\n', max_size=4))
ODD = st.one_of(VALUES, st.lists(st.integers(0, 3), max_size=2), st.fixed_dictionaries({"x": VALUES}))


def lines_of(values: st.SearchStrategy[object]) -> st.SearchStrategy[list[str]]:
    info = st.one_of(st.none(), st.fixed_dictionaries({}, optional={"n": values}))
    track = st.fixed_dictionaries({}, optional={"name": values, "info": info, "other": st.lists(values, max_size=2)})
    listen = st.fixed_dictionaries({}, optional={"track": track, "n": values})
    return st.lists(listen.map(json.dumps), min_size=1, max_size=8)


@given(lines_of(VALUES))
def test_parsing_once_finds_what_searching_finds(lines: list[str]) -> None:
    series = pl.Series(lines)
    assert json_lines._parsed(series, FIELDS).equals(json_lines._searched(series, FIELDS))


@given(lines_of(ODD), st.lists(st.sampled_from(["", "{", "[1]", "7", '{"n": 1} x', "{}, {}"]), max_size=3))
def test_an_odd_line_spoils_no_other(lines: list[str], broken: list[str]) -> None:
    together = json_fields(pl.Series([*lines, *broken]), FIELDS).rows()
    assert together == [json_fields(pl.Series([line]), FIELDS).row(0) for line in [*lines, *broken]]
    assert together[len(lines) :] == [(None, None, None)] * len(broken)


def test_a_batch_is_halved_around_its_odd_lines() -> None:
    lines = [json.dumps({"n": n if n != 3_000 else [n]}) for n in range(5_000)]
    read = json_fields(pl.Series(lines), {"n": "n"})["n"]
    assert read.to_list() == [str(n) if n != 3_000 else "[3000]" for n in range(5_000)]

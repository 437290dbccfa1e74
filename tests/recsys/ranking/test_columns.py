"""Columns of a catalogue: made from its table, changed track by track, saved and mapped."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.ranking.columns import ARRAYS, UNKNOWN, UNKNOWN_DAY, ItemColumns
from recsys.ranking.words import Words

SCHEMA = {
    "artist_id": pl.String, "name_key": pl.String, "album_title": pl.String, "release_date": pl.Date,
    "explicit": pl.Boolean, "markets": pl.List(pl.String), "licence": pl.String, "tags": pl.List(pl.String),
}  # fmt: skip
FEW = st.sampled_from(["a", "b", "c", "å"])
TRACK = st.fixed_dictionaries(
    {
        "artist_id": FEW,
        "name_key": FEW,
        "album_title": st.none() | FEW,
        "release_date": st.none() | st.dates(date(1950, 1, 1), date(2030, 1, 1)),
        "explicit": st.none() | st.booleans(),
        "markets": st.none() | st.lists(st.sampled_from(["SE", "DE", "US"]), max_size=3),
        "licence": st.none() | FEW,
        "tags": st.none() | st.lists(FEW, max_size=3),
    }
)


def table(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def readable(columns: ItemColumns) -> dict[str, object]:
    """What the columns say in words, whatever the numbers are."""
    said: dict[str, object] = {name: getattr(columns, name).tolist() for name in ("explicit", "released")}
    for name in ("artists", "songs", "albums", "markets", "licences"):
        words = [*columns.words[name], None]
        said[name] = [words[code] for code in getattr(columns, name).tolist()]
    for name, inverted in columns.by.items():
        groups = {word: sorted(inverted.under(np.array([i])).tolist()) for i, word in enumerate(columns.words[name])}
        said[f"by {name}"] = {word: items for word, items in groups.items() if items}
    return said


def test_a_table_in_columns() -> None:
    rows: list[dict[str, object]] = [
        {"artist_id": "x", "name_key": "x one", "album_title": "A", "release_date": date(1970, 1, 3), "explicit": True,
         "markets": ["SE", "DE", "SE"], "licence": "cc0", "tags": ["jazz", "pop", "jazz"]},
        {"artist_id": "w", "name_key": "w two", "album_title": "A", "markets": []},
        {"artist_id": "x", "name_key": "x one", "explicit": False, "tags": ["pop"]},
    ]  # fmt: skip
    columns = ItemColumns.of(table(rows))
    assert columns.artists.tolist() == [1, 0, 1]
    assert columns.explicit.tolist() == [1, UNKNOWN, 0]
    assert columns.songs.tolist() == [1, 0, 1]
    assert columns.albums.tolist() == [1, 0, UNKNOWN], "albums of one title by two artists are two"
    assert columns.released.tolist() == [2, UNKNOWN_DAY, UNKNOWN_DAY]
    assert [list(columns.words["markets"])[code] for code in columns.markets[:2]] == ["DE SE", ""]
    assert columns.markets[2] == UNKNOWN, "everywhere"
    assert columns.licences.tolist() == [0, UNKNOWN, UNKNOWN]
    assert columns.by["tags"].under(columns.words["tags"].numbers(["pop"])).tolist() == [0, 2]
    assert sorted(columns.versions(np.array([2], np.int32)).tolist()) == [0, 2]


def test_what_is_left_out_is_unknown() -> None:
    columns = ItemColumns(np.array([0, 0], np.int32), np.array([1, 0], np.int8), np.array([0, 1], np.int32))
    assert columns.albums.tolist() == columns.markets.tolist() == columns.licences.tolist() == [UNKNOWN, UNKNOWN]
    assert columns.released.tolist() == [UNKNOWN_DAY, UNKNOWN_DAY]
    assert columns.by["artists"].under(np.array([0])).tolist() == [0, 1]


@settings(deadline=None)
@given(st.lists(TRACK, max_size=6), st.lists(st.lists(st.tuples(st.integers(0, 5), TRACK), max_size=4), max_size=3))
def test_changes_tell_what_a_new_table_would(
    rows: list[dict[str, object]], changes: list[list[tuple[int, dict[str, object]]]]
) -> None:
    columns = ItemColumns.of(table(rows))
    for change in changes:
        told: dict[int, dict[str, object]] = {}
        for place, row in change:
            # What lies past the end goes to the end: tracks follow one another without a gap.
            told[min(place, len(rows) + sum(i >= len(rows) for i in told))] = row
        columns = columns.changed(np.array([*told], dtype=np.int32), table([*told.values()]))
        rows = [told.get(i, row) for i, row in enumerate(rows)] + [told[i] for i in sorted(told) if i >= len(rows)]
    assert readable(columns) == readable(ItemColumns.of(table(rows)))


@settings(max_examples=25, deadline=None)
@given(st.lists(TRACK, max_size=6))
def test_saved_columns_are_mapped_and_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("columns")
    columns = ItemColumns.of(table(rows))
    columns.save(folder)
    loaded = ItemColumns.load(folder)
    assert readable(loaded) == readable(columns)
    assert all(isinstance(getattr(loaded, name), np.memmap) for name in ARRAYS)


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    one = table([{"artist_id": "x", "name_key": "x"}])
    columns = ItemColumns.of(one)
    for items in ([2], [0, 0]):
        with pytest.raises(ValueError, match="distinct and go on from 1"):
            columns.changed(np.array(items, np.int32), pl.concat([one] * len(items)))
    with pytest.raises(ValueError, match="saved before they change"):
        columns.changed(np.array([0], np.int32), one).save(tmp_path)
    with pytest.raises(ValueError, match="saved before others come"):
        Words().grown(["a"]).save(tmp_path / "words")

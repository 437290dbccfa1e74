from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.importers.base import Batch, ImportSettings
from features.importers.resolver import Ids, Resolver
from features.importers.run import run
from recsys.errors import InputError
from recsys.workspace import Workspace

TRACK = {"track_id": pl.String, "name_key": pl.String, "isrc": pl.String}
_STRINGS = {"source_id": pl.String, "track_id": pl.String}
KEYS = st.sampled_from(["a|x", "a|y", "b|x", "c|z"])
ROWS = st.lists(st.tuples(st.sampled_from("123456"), KEYS, st.sampled_from([None, "I1", "I2"])), max_size=12)


def _catalogue(rows: list[tuple[str, str, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TRACK, orient="row").unique("track_id", maintain_order=True)


def _resolver(known: pl.DataFrame, open_: pl.DataFrame) -> Resolver:
    return Resolver("mine", "mine", known, open_)


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema={"source_id": pl.String, "track_id": pl.String, "aliased": pl.Boolean})


@given(theirs=ROWS, mine=ROWS, cut=st.integers(0, 12))
def test_aliases_are_total_and_one_to_one(
    theirs: list[tuple[str, str, str | None]], mine: list[tuple[str, str, str | None]], cut: int
) -> None:
    catalogue = _catalogue(theirs).with_columns(pl.concat_str(pl.lit("other:"), "track_id").alias("track_id"))
    resolver = _resolver(_empty(), catalogue)
    rows = pl.DataFrame(mine, schema=TRACK, orient="row")

    parts = [resolver.add(part) for part in (rows[:cut], rows[cut:])]

    new = pl.concat([part[0] for part in parts])
    aliases = pl.concat([part[1] for part in parts])
    assert sorted(aliases["source_id"]) == sorted(set(rows["track_id"])), "each id has one alias, none is lost"
    assert aliases["track_id"].n_unique() == len(aliases), "two ids of a source are never one track"
    assert set(aliases["track_id"]) <= set(new["track_id"]) | set(catalogue["track_id"])
    assert set(aliases.filter(pl.col("method") == "new")["track_id"]) == set(new["track_id"])
    matched = aliases.filter(pl.col("method") != "new").join(catalogue, on="track_id", suffix="_theirs")
    mine_rows = _catalogue(mine).rename({"track_id": "source_id"})
    both = matched.join(mine_rows, on="source_id", suffix="_mine")
    assert both.filter(pl.col("method") == "name").select((pl.col("name_key") == pl.col("name_key_mine")).all()).item()
    assert both.filter(pl.col("method") == "isrc").select((pl.col("isrc") == pl.col("isrc_mine")).all()).item()
    assert resolver.canonical(rows["track_id"]).null_count() == 0


def test_isrc_goes_before_name_and_ambiguity_lowers_confidence() -> None:
    catalogue = _catalogue([("o:1", "a|x", None), ("o:2", "b|y", "I1"), ("o:3", "c|z", None), ("o:4", "c|z", None)])
    resolver = _resolver(_empty(), catalogue)
    new, aliases = resolver.add(
        _catalogue([("1", "a|x", "I1"), ("2", "a|x", None), ("3", "c|z", None), ("4", "d|d", None)])
    )

    rows = aliases.sort("source_id").select("source_id", "track_id", "method", pl.col("confidence").round(2)).rows()
    assert [row[:3] for row in rows] == [
        ("1", "o:2", "isrc"),
        ("2", "o:1", "name"),
        ("3", "o:3", "name"),
        ("4", "mine:4", "new"),
    ]
    assert [round(row[3], 2) for row in rows] == [0.98, 0.9, 0.7, 1.0]
    assert new["track_id"].to_list() == ["mine:4"]


@given(batches=st.lists(st.lists(st.text("abc", max_size=3), max_size=8), max_size=5), odds=st.integers(1, 5))
def test_ids_are_found_among_any_number_of_equal_hashes(batches: list[list[str]], odds: int) -> None:
    def poor(series: pl.Series) -> pl.Series:
        return (series.str.len_bytes() % odds).cast(pl.UInt64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pl.Series, "hash", poor)
        ids, expected = Ids(), dict[str, str]()
        for batch in batches:
            fresh = [name for name in dict.fromkeys(batch) if name not in expected]
            expected |= {name: f"t:{name}" for name in fresh}
            ids.add(
                pl.DataFrame({"source_id": fresh, "track_id": [f"t:{n}" for n in fresh]}, _STRINGS).with_columns(
                    aliased=True
                )
            )
            asked = ["a", "b", "", "cab", "bcd", *batch]
            assert ids.tracks(ids.find(pl.Series(asked))).to_list() == [expected.get(name) for name in asked]


class _Source:
    """An importer of tracks that are given as (id, artist, title)."""

    version = 1
    options: dict[str, str]
    files: tuple[Path, ...] = ()

    def __init__(self, source: str, tracks: list[tuple[str, str, str]], namespace: str | None = None) -> None:
        self.source = source
        self.namespace = namespace or source
        self.tracks = tracks
        self.options = {"tracks": str(tracks)}

    def batches(self) -> Iterator[Batch]:
        rows = pl.DataFrame(self.tracks, schema=["track_id", "artist_name", "title"], orient="row")
        yield Batch("tracks", rows)
        yield Batch("playlist_tracks", rows.select("track_id", playlist_id=pl.lit(self.source)), read=0)


def _import(*sources: _Source) -> Workspace:
    for source in sources:
        run(Workspace(), "made", source, ImportSettings())
    return Workspace()


A = _Source("a", [("1", "The Beatles", "Help!"), ("2", "Can", "Vitamin C"), ("3", "Can", "Vitamin C (Live)")])
B = _Source("b", [("x", "Beatles", "Help"), ("y", "Wire", "Lowdown"), ("z", "CAN", "Vitamin C")])


def test_names_join_two_sources_and_each_keeps_its_catalogue(workspace: Path) -> None:
    aliases = _import(A, B).table("track_aliases").collect()
    of_b = dict(aliases.filter(pl.col("source") == "b").select("source_id", "track_id").iter_rows())
    assert of_b == {"x": "a:1", "y": "b:y", "z": "a:2"}
    assert Workspace().table("tracks").collect().height == 4
    playlists = Workspace().table("playlist_tracks").collect()
    assert sorted(playlists.filter(pl.col("playlist_id") == "b")["track_id"]) == ["a:1", "a:2", "b:y"]


def test_the_order_of_imports_changes_ids_but_not_what_is_joined(workspace: Path, tmp_path: Path) -> None:
    def joined(sources: tuple[_Source, _Source]) -> set[frozenset[tuple[str, str]]]:
        aliases = Workspace(tmp_path / sources[0].source)
        for source in sources:
            run(aliases, "made", source, ImportSettings())
        rows = aliases.table("track_aliases").collect()
        groups = rows.group_by("track_id").agg(pl.struct("source", "source_id").alias("ids"))
        return {frozenset((i["source"], i["source_id"]) for i in ids) for ids in groups["ids"]}

    forwards, backwards = joined((A, B)), joined((B, A))
    assert sorted(i for group in forwards for i in group) == sorted(i for group in backwards for i in group)
    assert len(forwards) == len(backwards) == 4


def test_sources_of_one_namespace_share_ids_and_never_join_by_name(workspace: Path) -> None:
    first = _Source("s1", [("7", "Can", "Vitamin C")], namespace="spotify")
    second = _Source("s2", [("8", "Can", "Vitamin C"), ("7", "Can", "Vitamin C")], namespace="spotify")
    rows = _import(first, second).table("track_aliases").collect().sort("source", "source_id")
    assert rows.select("source", "source_id", "track_id", "method").rows() == [
        ("s1", "7", "spotify:7", "new"),
        ("s2", "7", "spotify:7", "id"),
        ("s2", "8", "spotify:8", "new"),
    ]


def test_a_name_match_is_known_to_the_next_source_of_the_namespace(workspace: Path) -> None:
    other = _Source("yes", [("1", "Can", "Vitamin C")])
    first = _Source("s1", [("7", "Can", "Vitamin C")], namespace="spotify")
    second = _Source("s2", [("8", "Can", "Vitamin C"), ("7", "Can", "Vitamin C")], namespace="spotify")
    rows = _import(other, first, second).table("track_aliases").collect().sort("source", "source_id")
    assert rows.select("source", "source_id", "track_id").rows() == [
        ("s1", "7", "yes:1"),
        ("s2", "7", "yes:1"),
        ("s2", "8", "spotify:8"),
        ("yes", "1", "yes:1"),
    ]


def test_a_source_name_is_a_folder_name_and_keeps_its_namespace(workspace: Path) -> None:
    with pytest.raises(InputError, match="--source: must be letters"):
        _import(_Source("../a", A.tracks))
    with pytest.raises(InputError, match="--source: a already names"):
        _import(A, _Source("a", B.tracks, namespace="spotify"))
    assert len(Workspace().import_folders()) == 1

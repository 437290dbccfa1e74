"""The Million Playlist Dataset: slices in the exact layout as published, some of them dirty, through real Spark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.formats.mpd_job import cut
from features.importers.run import Imported, run
from features.spark import SparkSettings, spark_session
from recsys.errors import InputError
from recsys.workspace import Workspace

Json = dict[str, Any]


def track(number: int, position: int, **changes: Any) -> Json:
    return {
        "pos": position,
        "artist_name": f"Artist {number // 3}",
        "track_uri": f"spotify:track:{number:022d}",
        "artist_uri": f"spotify:artist:{number // 3:022d}",
        "track_name": f"Song {number}",
        "album_uri": f"spotify:album:{number // 2:022d}",
        "duration_ms": 180_000 + number,
        "album_name": f"Album {number // 2}",
        **changes,
    }


def playlist(pid: int, numbers: list[int], **changes: Any) -> Json:
    tracks = [track(number, position) for position, number in enumerate(numbers)]
    return {
        "name": f"list {pid}",
        "collaborative": "false",
        "pid": pid,
        "modified_at": 1_493_424_000,
        "num_tracks": len(tracks),
        "num_albums": 1,
        "num_followers": pid,
        "tracks": tracks,
        "num_edits": 1,
        "duration_ms": 1,
        "num_artists": 1,
        **changes,
    }


def write_slice(folder: Path, first: int, playlists: list[Json]) -> Path:
    info = {"generated_on": "2017-12-03 08:41:42.057563", "slice": f"{first}-{first + 999}", "version": "v1"}
    path = folder / f"mpd.slice.{first}-{first + 999}.json"
    path.write_text(json.dumps({"info": info, "playlists": playlists}, indent=4))
    return path


@pytest.fixture(scope="module", autouse=True)
def spark() -> Iterator[None]:
    """One small session for all tests here; the importer finds it running."""
    with spark_session(SparkSettings(master="local[2]", driver_memory="1g", shuffle_partitions=2)):
        yield


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    folder = tmp_path / "mpd"
    folder.mkdir()
    return folder


def bring(workspace: Workspace, path: Path, form: str = "mpd", share: float = 1.0) -> Imported:
    return run(workspace, form, FORMATS[form].open(Request(path)), ImportSettings(max_quarantined_share=share))


def test_clean_slices_become_the_four_tables_once(workspace: Workspace, slices: Path, tmp_path: Path) -> None:
    write_slice(slices, 0, [playlist(0, [1, 2, 3]), playlist(1, [2, 2], description="twice", name="é")])
    write_slice(slices, 1000, [playlist(1000, [3, 9])])
    imported = bring(workspace, slices)
    assert imported.quarantined == 0
    assert imported.counts == {"tracks": 4, "track_aliases": 4, "playlists": 3, "playlist_tracks": 7}

    lists = workspace.table("playlists").sort("playlist_id").collect()
    assert lists["playlist_id"].to_list() == ["mpd:0", "mpd:1", "mpd:1000"]
    assert lists["description"].to_list() == [None, "twice", None]
    assert lists["name"][1] == "é"
    assert lists["followers"].to_list() == [0, 1, 1000]
    assert lists["modified_at"][0].isoformat() == "2017-04-29T00:00:00+00:00"
    entries = workspace.table("playlist_tracks").filter(pl.col("playlist_id") == "mpd:0").sort("position").collect()
    assert entries["track_id"].to_list() == [f"spotify:{n:022d}" for n in (1, 2, 3)]
    tracks = workspace.table("tracks").sort("track_id").collect()
    assert tracks.row(0, named=True) == {
        **dict.fromkeys(tracks.columns),
        "track_id": f"spotify:{1:022d}",
        "title": "Song 1",
        "artist_id": "artist:artist 0",
        "artist_name": "Artist 0",
        "album_id": f"{0:022d}",
        "album_title": "Album 0",
        "duration_ms": 180_001,
        "name_key": "artist 0|song 1",
    }
    copy = shutil.copytree(slices, tmp_path / "copy", copy_function=shutil.copyfile)
    assert bring(workspace, copy).already


def test_dirty_slices_lose_only_what_is_broken_and_say_where(workspace: Workspace, slices: Path) -> None:
    bad_track = playlist(2, [5, 6, 7])
    del bad_track["tracks"][1]["track_uri"]
    bad_track["tracks"][2]["track_uri"] = "spotify:local:7"
    no_tracks = playlist(3, [])
    never_any = playlist(4, [1])
    del never_any["tracks"]
    write_slice(slices, 0, [playlist(0, [1, 2]), bad_track, no_tracks, never_any, playlist(5, [1], modified_at="May")])
    again = write_slice(slices, 1000, [playlist(1000, [8]), playlist(0, [9])])
    cut_off = write_slice(slices, 2000, [playlist(2000, [4]), playlist(2001, [5])])
    text = cut_off.read_text()
    cut_off.write_text(text[: text.index('"pid": 2001')])
    (slices / "mpd.slice.3000-3999.json").write_text("not JSON")

    imported = bring(workspace, slices)
    found = workspace.table("playlist_tracks").select("playlist_id", "track_id").collect()
    assert sorted(found["playlist_id"].to_list()) == ["mpd:0", "mpd:0", "mpd:1000", "mpd:2", "mpd:2000"]
    assert f"spotify:{9:022d}" not in workspace.table("tracks").collect()["track_id"].to_list()

    bad = pl.read_parquet(imported.folder / "quarantine" / "*.parquet").sort("file", "line", "reason")
    first = (slices / "mpd.slice.0-999.json").read_text()
    line = {pid: first[: first.index(f'"name": "list {pid}"')].count("\n") for pid in (2, 3, 4)}
    assert bad.filter(pl.col("file") == "mpd.slice.0-999.json").select("line", "reason").rows() == [
        (line[2], "tracks[1]: no track_uri of the form spotify:track:ID"),
        (line[2], "tracks[2]: no track_uri of the form spotify:track:ID"),
        (line[3], "a playlist without tracks"),
        (line[4], "a playlist without tracks"),
        (bad["line"][4], "a field of the wrong type"),
    ]
    others = dict(bad.filter(pl.col("file") != "mpd.slice.0-999.json").select("file", "reason").rows())
    assert others[again.name] == "pid 0 stands already at mpd.slice.0-999.json:8"
    assert others[cut_off.name].startswith("broken JSON, the rest of the file is lost: Expecting")
    assert others["mpd.slice.3000-3999.json"] == (
        "broken JSON, the rest of the file is lost: Expecting '{' at line 1, column 1"
    )
    assert bad.filter(pl.col("reason").str.starts_with("tracks[2]"))["row"][0].startswith('{"track_uri":"spotify:lo')


def test_the_challenge_set_is_a_source_of_its_own(workspace: Workspace, slices: Path) -> None:
    title_only = {"name": "gym", "num_holdouts": 10, "pid": 1_000_000, "num_tracks": 10, "tracks": [], "num_samples": 0}
    nameless = {"num_holdouts": 5, "pid": 1_000_001, "num_tracks": 6, "tracks": [track(3, 0)], "num_samples": 1}
    challenge = {"date": "2018-01-16 08:47:28.198015", "version": "v1", "playlists": [title_only, nameless]}
    (slices / "challenge_set.json").write_text(json.dumps({**challenge, "name": "MPD Challenge"}, indent=4))
    write_slice(slices, 0, [playlist(0, [3])])
    bring(workspace, slices)
    imported = bring(workspace, slices, "mpd-challenge")
    assert imported.quarantined == 0
    assert imported.joined == {"id": 1}
    lists = workspace.table("playlists", ["mpd-challenge"]).sort("playlist_id").collect()
    assert lists["playlist_id"].to_list() == ["mpd-challenge:1000000", "mpd-challenge:1000001"]
    assert lists["name"].to_list() == ["gym", None]


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mpd expects a folder with mpd\.slice"):
        FORMATS["mpd"].open(Request(tmp_path))
    with pytest.raises(InputError, match=r"mpd-challenge expects challenge_set\.json"):
        FORMATS["mpd-challenge"].open(Request(tmp_path))


def test_cutting_agrees_with_parsing_whatever_stands_around_the_list() -> None:
    document = {"playlists": [{"name": 'a "quoted]"', "tracks": [1, [2]]}, {}, {"é": None}], "info": {"playlists": [7]}}
    for indent in (None, 4):
        pieces = list(cut(json.dumps(document, indent=indent)))
        assert [json.loads(text) for _, text, _ in pieces] == document["playlists"]
        assert [fault for *_, fault in pieces] == [None] * 3
    assert [line for line, *_ in cut(json.dumps(document, indent=4))] == [3, 12, 13]
    assert list(cut('{"playlists": []}')) == []
    assert next(cut('{"other": 1}'))[2] == (
        "broken JSON, the rest of the file is lost: No 'playlists' in the object at line 1, column 13"
    )

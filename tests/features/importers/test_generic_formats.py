"""Files of one's own layout: every reader, the mapping, the coercions, and what goes to quarantine."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import Imported, run
from features.importers.values import INSTANT, typed
from recsys.errors import InputError
from recsys.workspace import Workspace

SONGS = [
    {"song": "s1", "name": "Blue River", "band": "The Tides", "len": "215000"},
    {"song": "s2", "name": "Paper, Moon", "band": "Ines Quill", "len": "180000.0"},
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def bring(workspace: Workspace, form: str, path: Path, source: str = "shop", **columns: str) -> Imported:
    importer = FORMATS[form].open(Request(path, source, columns))
    return run(workspace, form, importer, ImportSettings(max_quarantined_share=1.0))


def reasons(imported: Imported) -> dict[str, tuple[int, int]]:
    """reason -> (rows, first line)"""
    return {r.reason: (r.rows, r.line) for r in imported.reasons}


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    frame = pl.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_ending_gives_the_same_tracks(workspace: Workspace, tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"songs{ending}", SONGS)
    imported = bring(workspace, "tracks", path, track_id="song", title="name", artist_name="band", duration_ms="len")
    assert (imported.rows, imported.quarantined) == (2, 0)
    tracks = workspace.table("tracks").sort("track_id").collect()
    assert tracks["track_id"].to_list() == ["shop:s1", "shop:s2"]
    assert tracks["title"].to_list() == ["Blue River", "Paper, Moon"]
    assert tracks["artist_id"].to_list() == ["artist:tides", "artist:ines quill"]
    assert tracks["duration_ms"].to_list() == [215_000, 180_000]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_a_compressed_file_is_read_as_it_stands(workspace: Workspace, tmp_path: Path, ending: str) -> None:
    plain = write(tmp_path / f"songs{ending}", SONGS)
    packed = tmp_path / "packed" / f"songs{ending}.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    bring(workspace, "tracks", packed.parent, track_id="song", title="name", artist_name="band")
    assert workspace.table("tracks").sort("track_id").collect()["title"].to_list() == ["Blue River", "Paper, Moon"]


def test_events_name_the_tracks_of_another_file_and_bad_rows_are_quarantined(
    workspace: Workspace, tmp_path: Path
) -> None:
    bring(workspace, "tracks", write(tmp_path / "songs.csv", SONGS), track_id="song", title="name", artist_name="band")
    path = tmp_path / "plays.csv"
    path.write_text(
        "listener,song,when,what,ms\n"
        "ann,s1,2024-05-01T10:00:00Z,play,200000\n"
        "ann,s2,1714557840,SKIP,5000\n"
        "ann,s1,yesterday,play,1\n"
        "bob,s1,2024-05-01,dance,1\n"
        "bob,s2,2024-05-01,play,-1\n"
        "bob,s9,2024-05-01,play,1\n"
        ",s1,2024-05-01,play,1\n"
        "bob,s1,2024-05-01,play\n"
    )
    imported = bring(
        workspace, "events", path, user_id="listener", track_id="song", ts="when", action="what", ms_played="ms"
    )
    events = workspace.table("events").sort("ts").collect()
    assert events["user_id"].to_list() == ["ann", "ann"]
    assert events["action"].to_list() == ["play", "skip"]
    assert events["position"].to_list() == [0, 1]
    assert events["ts"][1] == datetime.fromtimestamp(1714557840, UTC)
    found = reasons(imported)
    assert imported.rows == 8
    assert {reason.split(" names ")[0].split(",")[0]: where for reason, where in found.items()} == {
        "ts is no time (ISO 8601 or epoch)": (1, 4),
        "action is none of play": (1, 5),
        "ms_played is negative": (1, 6),
        "track_id": (1, 7),
        "no user_id": (1, 8),
        "4 fields": (1, 9),
    }


def test_events_that_describe_their_tracks_need_no_other_file(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"user_id": "ann", "title": "Blue River", "artist_name": "The Tides"}] * 2
    imported = bring(workspace, "events", write(tmp_path / "scrobbles.jsonl", rows))
    assert (imported.rows, imported.quarantined, imported.counts["tracks"]) == (2, 0, 1)
    events = workspace.table("events").collect()
    assert events["track_id"].to_list() == ["shop:tides|blue river"] * 2
    assert events["position"].to_list() == [0, 1]


def test_positions_count_on_over_batches_within_a_playlist(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.importers.tabular.BATCH_ROWS", 2)
    lists = ["x", "y", "x", "x", "y"]
    rows = [{"playlist_id": p, "name": f"list {p}", "title": f"t{i}", "artist_name": "a"} for i, p in enumerate(lists)]
    imported = bring(workspace, "playlists", write(tmp_path / "lists.parquet", rows))
    assert (imported.rows, imported.quarantined) == (5, 0)
    assert workspace.table("playlist_tracks").collect()["position"].to_list() == [0, 0, 1, 2, 1]
    assert workspace.table("playlists").sort("playlist_id").collect()["name"].to_list() == ["list x", "list y"]


def test_tags_of_tracks_and_of_artists(workspace: Workspace, tmp_path: Path) -> None:
    bring(workspace, "tags", write(tmp_path / "a.csv", [{"tag": "sad", "artist_name": "The Tides"}]))
    bring(workspace, "tags", write(tmp_path / "t.csv", [{"tag": "slow", "artist_name": "The Tides", "title": "Ebb"}]))
    tags = workspace.table("tags").sort("subject_type").collect()
    assert tags["subject_id"].to_list() == ["artist:tides", "shop:tides|ebb"]
    assert tags["subject_type"].to_list() == ["artist", "track"]


def test_json_lines_reach_into_objects_and_broken_lines_are_quarantined(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "plays.jsonl"
    good = {"u": 7, "track": {"title": "Écho", "artists": "B\u00e9a"}, "at": 1714557840000}
    path.write_text(f'{json.dumps(good)}\n\n{{"u": 8, "track"\n[1]\n')
    imported = bring(workspace, "events", path, user_id="u", title="track.title", artist_name="track.artists", ts="at")
    assert reasons(imported) == {"no JSON object": (2, 3)}
    assert workspace.table("tracks").collect()["title"].to_list() == ["Écho"]
    assert workspace.table("events").collect()["user_id"].to_list() == ["7"]


def test_the_mapping_can_stand_in_the_settings_file(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "segue.toml"
    config.write_text('[columns.tracks]\ntrack_id = "song"\ntitle = "name"\nartist_name = "band"\n')
    monkeypatch.setenv("SEGUE_CONFIG", str(config))
    assert bring(workspace, "tracks", write(tmp_path / "songs.csv", SONGS)).counts["tracks"] == 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"singer": "band"}, "--map singer: tracks has no such field; it has album_id,"),
        ({"title": "nom", "artist_name": "band"}, r"--map title=nom names no column of it; it has song, name, band"),
        ({"title": "name"}, "tracks needs artist_name and title; name their columns"),
    ],
)
def test_a_wrong_mapping_is_refused_by_name(
    workspace: Workspace, tmp_path: Path, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        bring(workspace, "tracks", write(tmp_path / "songs.csv", SONGS), **columns)
    assert not workspace.import_folders()


def test_a_file_of_an_unknown_ending_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "songs.xlsx").touch()
    with pytest.raises(InputError, match=r"ends in \.csv, \.tsv"):
        bring(workspace, "tracks", tmp_path / "songs.xlsx")


@given(st.datetimes(datetime(1974, 1, 1), datetime(2100, 1, 1)))
def test_an_instant_is_the_same_in_all_its_spellings(moment: datetime) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    ms = round(moment.timestamp() * 1000)
    spellings = [moment.isoformat(), moment.replace(tzinfo=None).isoformat(" "), str(ms), str(ms * 1000)]
    read = pl.select(typed(pl.lit(pl.Series(spellings)), pl.String(), INSTANT)).to_series().to_list()
    assert read == [moment] * len(spellings)

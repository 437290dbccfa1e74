"""What single importers make of their publisher's peculiarities."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from publishers import PUBLISHERS, import_publisher

from recsys.workspace import Workspace

OF = {publisher.form: publisher for publisher in PUBLISHERS}


def _table(form: str, table: str, tmp_path: Path) -> pl.DataFrame:
    import_publisher(OF[form], tmp_path / form)
    return Workspace().table(table).collect()


def test_yes_takes_escapes_off_and_keeps_the_order(workspace: Path, tmp_path: Path) -> None:
    tracks = _table("yes", "tracks", tmp_path)
    assert tracks.select("track_id", "title", "artist_id").rows() == [
        ("yes:17430147", "Gucci Time (w/ Swizz Beatz)", "artist:gucci mane"),
        ("yes:17277121", "Halo", "artist:beyonce"),
        ("yes:17767569", "(untitled)", "artist:boney james"),
    ]
    plays = Workspace().table("playlist_tracks").collect()
    assert plays.select("playlist_id", "position", "track_id").rows() == [
        ("yes:0", 0, "yes:17430147"),
        ("yes:0", 1, "yes:17277121"),
        ("yes:0", 2, "yes:17430147"),
        ("yes:1", 0, "yes:17277121"),
        ("yes:1", 1, "yes:17430147"),
        ("yes:1", 2, "yes:17767569"),
    ]


def test_yes_complete_adds_its_tags_to_the_songs_of_yes(workspace: Path, tmp_path: Path) -> None:
    import_publisher(OF["yes"], tmp_path / "yes")
    tags = _table("yes-complete", "tags", tmp_path)
    assert tags.filter(subject_id="yes:17277121").select("tag", "source").rows() == [
        ("rock", "yes-complete"),
        ("pop", "yes-complete"),
    ]
    assert "Wisin & Yandel" in Workspace().table("tracks").collect()["artist_name"].to_list()


def test_wfmu_shows_and_titles(workspace: Path, tmp_path: Path) -> None:
    events = _table("wfmu", "events", tmp_path)
    assert events.row(1, named=True) == {
        "event_id": events["event_id"][1],
        "user_id": "wfmu:KF",
        "track_id": "wfmu:shabak samech|et ha kesh",
        "ts": datetime(2001, 9, 5, tzinfo=UTC),
        "position": 0,
        "action": "play",
        "ms_played": None,
        "session_id": "wfmu:KF:2001-09-05",
        "source": "wfmu",
        "context": None,
        "request_id": None,
    }
    assert events["event_id"][1].endswith(":wfmu_plays.tsv:3:0")
    assert "tipsy" in Workspace().table("tracks").collect()["artist_name"].to_list()


def test_triplej_clock_is_standard_time_first_and_sydney_time_later(workspace: Path, tmp_path: Path) -> None:
    events = _table("triplej", "events", tmp_path)
    assert events["ts"].to_list() == [
        datetime(2012, 2, 6, 22, 41, 57, tzinfo=UTC),  # 8:41:57 at UTC+10, in summer
        datetime(2014, 2, 16, 6, 11, 33, tzinfo=UTC),  # 17:11:33 Sydney summer time, UTC+11
    ]
    assert events["session_id"].to_list() == ["triplej:2012-02-07:Mornings with Zan", None]
    assert Workspace().table("tracks").collect()["name_key"].to_list() == [
        "goodnight tiger|jump down",
        "disclosure|latch",
    ]


def test_spotify_archive_keeps_sets_and_the_newest_name(workspace: Path, tmp_path: Path) -> None:
    tracks = _table("spotify-archive", "tracks", tmp_path)
    assert tracks.select("track_id", "title", "artist_name", "duration_ms").rows() == [
        ("spotify:15D", "17", "MK", 196_000),
        ("spotify:3jV", '2 On "(feat. Q)"', "Tinashe", None),
    ]
    playlist = Workspace().table("playlists").collect().row(0, named=True)
    assert (playlist["name"], playlist["description"]) == ("88 Keys (new)", "Let's go")
    rows = Workspace().table("playlist_tracks").collect()
    assert rows["position"].null_count() == len(rows)
    assert rows["added_at"][1] == datetime(2020, 10, 20, tzinfo=UTC)


def test_spotify_sources_share_ids(workspace: Path, tmp_path: Path) -> None:
    import_publisher(OF["spotify-songs"], tmp_path / "songs")
    hits = OF["spotify-hit-predictor"]
    same = {name: data.replace(b"spotify:track:5hj", b"spotify:track:7cv") for name, data in hits.files.items()}
    imported = import_publisher(type(hits)(hits.form, same, 0, {}, {}), tmp_path / "hits")
    assert imported.joined == {"id": 1, "new": 1}
    values = Workspace().table("audio_features").filter(track_id="spotify:7cv", name="tempo").collect()
    assert values["value"].to_list() == [120.5, 120.5]


def test_a_year_stands_for_its_first_day(workspace: Path, tmp_path: Path) -> None:
    tracks = _table("spotify-songs", "tracks", tmp_path)
    assert [str(day) for day in tracks["release_date"]] == ["2019-06-14", "1973-01-01"]


def test_hetrec_weighs_tags_by_listeners(workspace: Path, tmp_path: Path) -> None:
    tags = _table("hetrec", "tags", tmp_path)
    assert tags.select("subject_id", "subject_type", "tag", "weight").rows() == [
        ("artist:weird al yankovic", "artist", "chillout", 2.0),
        ("artist:weird al yankovic", "artist", "música", 1.0),
    ]


def test_s3rec_keeps_the_order_of_each_listener(workspace: Path, tmp_path: Path) -> None:
    events = _table("s3rec", "events", tmp_path)
    assert events["ts"].null_count() == len(events)
    assert events.select("user_id", "position", "track_id").rows()[:3] == [
        ("s3rec-lastfm:1", 0, "s3rec-lastfm:1"),
        ("s3rec-lastfm:1", 1, "s3rec-lastfm:2"),
        ("s3rec-lastfm:1", 2, "s3rec-lastfm:3"),
    ]


def test_jamendo_tags_lose_category_and_carriage_return(workspace: Path, tmp_path: Path) -> None:
    tags = _table("mtg-jamendo", "tags", tmp_path)
    assert sorted(tags["tag"]) == ["epic", "punkrock", "soundtrack"]


def test_deezer_tracks_are_million_songs_and_know_their_deezer_ids(workspace: Path, tmp_path: Path) -> None:
    aliases = _table("deezer-mood", "track_aliases", tmp_path).filter(source="deezer")
    assert dict(aliases.select("source_id", "track_id").iter_rows()) == {
        "213754": "msd:SORORTY",
        "216237": "msd:SOSMRCK",
    }


# What the sets hold by the count of their publishers, and what of it is quarantined.
REAL = {
    "yes": (
        "yes-radio",
        218_563,
        {"tracks": 9_775, "playlists": 18_139, "playlist_tracks": 190_649, "tags": 149_041},
        0,
    ),
    "wfmu": ("wfmu", 326_732, {"events": 322_419}, 4_313),
    "triplej": ("triplej", 134_950, {"events": 134_943}, 7),
    "spotify-archive": (
        "spotify-playlist-archive",
        335 + 116_672,
        {"playlists": 320, "playlist_tracks": 109_520},
        7_167,
    ),
    "spotify-songs": ("spotify-songs", 32_833, {"playlists": 471, "playlist_tracks": 32_246}, 587),
    "spotify-hit-predictor": ("spotify-hit-predictor", 41_106, {"audio_features": 40_560 * 12}, 546),
    "deezer-mood": ("deezer-mood", 15_130, {"audio_features": 30_258}, 1),
    "mtg-jamendo": ("mtg-jamendo", 55_525, {"tracks": 55_525}, 0),
    "hetrec": ("hetrec-lastfm", 92_834 + 186_479, {"interactions": 92_834}, 1_538),
    "s3rec": ("s3rec/LastFM.txt", 52_551, {"events": 52_551, "tracks": 3_646}, 0),
}


@pytest.mark.parametrize("form", REAL)
def test_real_files_give_the_rows_that_their_publishers_count(form: str, real_data: Path, workspace: Path) -> None:
    from features.importers.base import ImportSettings, Request
    from features.importers.formats import FORMATS
    from features.importers.run import run

    path, rows, counts, quarantined = REAL[form]
    imported = run(Workspace(), form, FORMATS[form].open(Request(real_data / path)), ImportSettings())

    assert imported.rows == rows
    assert {table: imported.counts[table] for table in counts} == counts
    assert imported.quarantined == quarantined

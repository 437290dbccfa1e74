"""What the importers of catalogue_publishers.py make of their publishers' peculiarities, and how their sets join."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from catalogue_publishers import AFTER_MILLION_SONG, CATALOGUE, import_folder, table
from publishers import PUBLISHERS, Publisher, import_publisher
from typer.testing import CliRunner

from features.importers.base import Request
from features.importers.formats import FORMATS
from features.importers.run import Imported
from recsys.cli import app
from recsys.errors import InputError

OF = {publisher.form: publisher for publisher in [*PUBLISHERS, *AFTER_MILLION_SONG, *CATALOGUE]}
after_million_song = pytest.mark.parametrize("publisher", AFTER_MILLION_SONG, ids=lambda publisher: publisher.form)


@pytest.fixture
def load(workspace: Path, tmp_path: Path) -> Callable[[str], Imported]:
    """Imports the rows of a publisher."""
    return lambda form: import_publisher(OF[form], tmp_path / form)


@after_million_song
def test_rows_that_only_name_tracks_land_on_those_of_million_song(publisher: Publisher, load: Callable) -> None:
    load("million-song")
    imported = load(publisher.form)

    assert imported.counts == publisher.counts
    assert {r.reason: r.rows for r in imported.reasons} == publisher.reasons
    assert imported.rows == publisher.rows
    assert load(publisher.form).already
    assert set(table("interactions")["item_id"]) | set(table("lyrics")["track_id"]) <= set(table("tracks")["track_id"])


@after_million_song
def test_without_million_song_it_is_named_and_nothing_is_left(
    publisher: Publisher, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "raw").mkdir()
    for name, data in publisher.files.items():
        (tmp_path / "raw" / name).write_bytes(data)
    result = CliRunner().invoke(app, ["import", publisher.form, str(tmp_path / "raw")])

    assert isinstance(result.exception, InputError)
    assert "first: segue import million-song" in str(result.exception)
    assert not workspace.exists()
    with pytest.raises(InputError, match=r"expects .*\.txt"):
        FORMATS[publisher.form].open(Request(tmp_path))
    with pytest.raises(InputError, match="no such"):
        FORMATS[publisher.form].open(Request(tmp_path / "nowhere"))


@pytest.mark.parametrize("first", ["deezer-mood", "million-song"])
def test_song_and_track_ids_name_one_track_whoever_brought_it(first: str, load: Callable, tmp_path: Path) -> None:
    """Moods and play counts have the id of the song, lyrics that of its recording."""
    moods = tmp_path / "moods"
    moods.mkdir()
    header = b"dzr_sng_id,MSD_sng_id,MSD_track_id,valence,arousal,artist_name,track_name\n"
    for name, row in {
        "train": b"1,SOQMMHC12AB0180CB8,TRMMMYQ128F932D901,-0.5,0.25,Faster Pussycat,Silent Night (2nd)\n",
        "validation": b"2,SOOTHER,TROTHER,1,1,A,B\n",
        "test": b"3,SOMORE,TRMORE,1,1,C,D\n",
    }.items():
        (moods / f"{name}.csv").write_bytes(header + row)
    imports = {"deezer-mood": lambda: import_folder("deezer-mood", moods), "million-song": lambda: load("million-song")}

    assert imports.pop(first)().joined == {"new": 3}
    assert imports.popitem()[1]().joined == {"id": 1, "new": 2}
    load("msd-taste-profile")
    load("musixmatch")

    song = "msd:SOQMMHC12AB0180CB8"
    assert table("audio_features").filter(track_id=song)["value"].to_list() == [-0.5, 0.25]
    counts = table("interactions").filter(item_id=song)
    assert counts.select("user_id", "item_type", "weight").rows() == [
        ("msd:b80344d063b5ccb3212f76538f3d9e43d87dca9e", "track", 1.0),
        ("msd:fd50c4007b68a3737fe052d5a4f78ce8aa117f3d", "track", 3.0),
    ]
    assert table("lyrics").filter(track_id=song).select("language", "name", "value").rows() == [
        ("und", "word:i", 10.0),
        ("und", "word:you", 2.0),
        ("und", "n_words", 12.0),
        ("und", "n_distinct", 2.0),
    ]
    recordings = table("track_aliases").filter(source="msd-track", track_id="msd:SOVFVAK12A8C1350D9")
    assert sorted(recordings["source_id"]) == ["TRAAAAA128F0000001", "TRMMMKD128F425225D"]


def _database(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(";".join(statements))
    connection.close()


def test_million_song_databases_have_more_than_names(workspace: Path, tmp_path: Path) -> None:
    _database(
        tmp_path / "subset_track_metadata.db",
        "CREATE TABLE songs (track_id text PRIMARY KEY, title text, song_id text, release text, artist_id text, "
        "artist_mbid text, artist_name text, duration real, artist_familiarity real, artist_hotttnesss real, year int)",
        "INSERT INTO songs VALUES ('TR1','Silent Night','SO1','Ballads','AR1','m','Faster Pussy cat',252.5,.6,.3,2003)",
        "INSERT INTO songs VALUES ('TR2','Tanssi vaan','SO2','Tie','AR2','m','Karkkiautomaatti',156.55,.4,.3,0)",
        "INSERT INTO songs VALUES ('TR3','Duet','SO3','','AR1','m','Baa & Faster Pussy cat',1,.4,.3,1999)",
        "INSERT INTO songs VALUES ('TR4','Solo','SO4','','AR1','m','Faster Pussy cat',1,.4,.3,1999)",
        "INSERT INTO songs VALUES ('TR5',NULL,'SO5','','AR1','m','Faster Pussy cat',1,.4,.3,1999)",
    )
    _database(
        tmp_path / "subset_artist_term.db",
        "CREATE TABLE artist_term (artist_id text, term text)",
        "CREATE TABLE artist_mbtag (artist_id text, mbtag text)",
        "INSERT INTO artist_term VALUES ('AR1','glam metal'), ('AR1','rock'), ('AR9','rock')",
        "INSERT INTO artist_mbtag VALUES ('AR1','rock'), ('AR2','finnish')",
    )
    _database(
        tmp_path / "lastfm_tags.db",
        "CREATE TABLE tids (tid TEXT)",
        "CREATE TABLE tags (tag TEXT)",
        "CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT)",
        "INSERT INTO tids VALUES ('TR2'), ('TR9')",
        "INSERT INTO tags VALUES ('suomi'), ('iskelmä')",
        "INSERT INTO tid_tag VALUES (1, 2, 100), (1, 1, 37.5), (2, 1, 5)",
    )
    imported = import_folder("million-song", tmp_path)

    tracks = table("tracks").select("track_id", "album_title", "release_date", "duration_ms").rows()
    assert tracks[:2] == [
        ("msd:SO1", "Ballads", date(2003, 1, 1), 252_500),
        ("msd:SO2", "Tie", None, 156_550),
    ]
    assert sorted(table("tags").select("subject_id", "subject_type", "tag", "weight").rows()) == [
        ("artist:faster pussy cat", "artist", "glam metal", 1.0),
        ("artist:faster pussy cat", "artist", "rock", 1.0),
        ("artist:karkkiautomaatti", "artist", "finnish", 1.0),
        ("msd:SO2", "track", "iskelmä", 100.0),
        ("msd:SO2", "track", "suomi", 37.5),
    ]
    assert {(r.reason, r.file, r.line) for r in imported.reasons} == {
        ("no title", "subset_track_metadata.db", 5),
        ("the artist has no song in the set", "subset_artist_term.db", 4),
        ("the track is not in the set", "lastfm_tags.db", 3),
    }


def test_million_song_says_what_is_wrong_with_a_database(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "unique_tracks.txt").write_bytes(CATALOGUE[0].files["unique_tracks.txt"])
    (tmp_path / "artist_term.db").touch()
    with pytest.raises(InputError, match=r"track_metadata\.db missing"):
        FORMATS["million-song"].open(Request(tmp_path))
    (tmp_path / "track_metadata.db").write_text("no database at all, but long enough to be read as the head of one" * 9)
    with pytest.raises(InputError, match=r"track_metadata\.db: cannot be read as the publisher's SQLite file"):
        import_folder("million-song", tmp_path)
    _database(tmp_path / "other.db", "CREATE TABLE albums (id)")
    with pytest.raises(InputError, match="no such table: songs"):
        import_folder("million-song", tmp_path / "other.db")
    (tmp_path / "other.db.gz").write_bytes(gzip.compress((tmp_path / "other.db").read_bytes()))
    with pytest.raises(InputError, match=r"other\.db\.gz: cannot be read as the publisher's SQLite file"):
        import_folder("million-song", tmp_path / "other.db.gz")


def test_musixmatch_without_its_words_is_refused(load: Callable, tmp_path: Path) -> None:
    load("million-song")
    for name in ("train", "test"):
        (tmp_path / f"mxm_dataset_{name}.txt").write_text("TRMMMYQ128F932D901,6477168,1:10\n")
    with pytest.raises(InputError, match="no line starts with %"):
        import_folder("musixmatch", tmp_path)


def test_taste_profile_reads_one_file_of_its_layout(load: Callable, tmp_path: Path) -> None:
    load("million-song")
    (tmp_path / "year1_test_triplets_hidden.txt").write_text("u1\tSOQMMHC12AB0180CB8\t2\n")
    assert import_folder("msd-taste-profile", tmp_path / "year1_test_triplets_hidden.txt").counts == {"interactions": 1}
    (tmp_path / "sid_mismatches.txt").write_text("<html>not found</html>\n")
    with pytest.raises(InputError, match=r"sid_mismatches\.txt:1: must hold lines"):
        import_folder("msd-taste-profile", tmp_path / "year1_test_triplets_hidden.txt")


def test_jamendo_takes_names_where_they_are_and_ids_where_not(load: Callable) -> None:
    load("mtg-jamendo")
    assert table("tracks").select("title", "artist_id", "album_title", "release_date").rows() == [
        ('Blue "moon', "artist:band", "First", date(2004, 12, 28)),
        ("Rise", "artist:ann", "Second", date(2017, 3, 11)),
        ("track_1418980", "jamendo:artist_496314", None, None),
    ]
    assert table("tags")["tag"].to_list() == ["punkrock", "dance", "movie", "dance", "piano"]


def test_jamendo_refuses_anothertable(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raw_30s.tsv").write_text("track,tags\n1,rock\n")
    with pytest.raises(InputError, match=r"raw_30s\.tsv:1: the first line must be 'TRACK_ID"):
        import_folder("mtg-jamendo", tmp_path)


def test_fma_reads_its_headers_of_three_and_four_lines(load: Callable) -> None:
    load("fma")
    tracks = table("tracks")
    assert tracks.row(0, named=True) == {
        "track_id": "fma:2",
        "title": "Food",
        "artist_id": "artist:awol",
        "artist_name": "AWOL",
        "album_id": "fma:1",
        "album_title": "AWOL - A Way Of Life",
        "release_date": date(2009, 1, 5),
        "duration_ms": 168_000,
        "explicit": None,
        "markets": None,
        "licence": "Attribution-NonCommercial-ShareAlike 3.0 International",
        "isrc": None,
        "name_key": "awol|food",
    }
    assert sorted(table("tags").select("subject_id", "tag").rows()) == [
        ("fma:134", "Pop"),
        ("fma:134", "Rock"),
        ("fma:134", "lo-fi"),
        ("fma:134", "rock'n'roll"),
        ("fma:2", "Hip-Hop"),
    ]
    assert table("audio_features").filter(name="tempo")["value"].to_list() == pytest.approx([165.9])


def test_fma_says_which_columns_are_missing(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "tracks.csv").write_text("track_id,title\n\n1,Food\n2,Rain\n3,Sun\n")
    (tmp_path / "genres.csv").write_bytes(OF["fma"].files["genres.csv"])
    with pytest.raises(InputError, match=r"tracks\.csv:1: no column track_id, track\.title, artist\.name"):
        import_folder("fma", tmp_path)


def test_music4all_plays_languages_and_spotify_ids(load: Callable) -> None:
    load("music4all")
    events = table("events")
    assert events.select("user_id", "track_id", "ts", "action").row(0) == (
        "music4all:user_007XIjOr",
        "music4all:0009fFIM1eYThaPg",
        datetime(2019, 2, 20, 12, 28, tzinfo=UTC),
        "play",
    )
    assert table("lyrics").select("language", "name", "value").rows() == [
        ("en", "has_lyrics", 1.0),
        ("zxx", "has_lyrics", 0.0),
    ]
    tracks = table("tracks").select("title", "release_date", "duration_ms").rows()
    assert tracks == [("Rain on Me", date(2009, 1, 1), 229_947), ('Underwater "Love"', date(2009, 1, 1), 219_000)]
    aliases = dict(table("track_aliases").filter(source="spotify").select("source_id", "track_id").iter_rows())
    assert aliases == {"0eFHYz8NmK75zSplL5qlfM": "music4all:0009fFIM1eYThaPg"}


WITHOUT_HEADER = {"unique_tracks.txt", "train_triplets.txt", "kaggle_visible_evaluation_triplets.txt"}


@pytest.mark.parametrize("publisher", [*CATALOGUE, *AFTER_MILLION_SONG], ids=lambda publisher: publisher.form)
@pytest.mark.parametrize("header", [False, True])
def test_files_without_rows_are_refused_in_words(
    publisher: Publisher, header: bool, workspace: Path, tmp_path: Path
) -> None:
    for name, data in publisher.files.items():
        (tmp_path / name).write_bytes(
            data.splitlines(keepends=True)[0] if header and name not in WITHOUT_HEADER else b""
        )
    with pytest.raises(InputError, match=r"no row|no column|must be|must hold|expects|no field:type"):
        import_folder(publisher.form, tmp_path)

"""What the importers of listening logs make of their publishers' peculiarities."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from log_publishers import EVENT, LISTEN, LISTENS, LOG_PUBLISHERS, MBID, PLAY, PLAY_HEADER, WATERLOO, listen, parquet
from publishers import import_publisher, text

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import Imported, run
from recsys.errors import InputError
from recsys.files import read_json
from recsys.workspace import Workspace

OF = {publisher.form: publisher for publisher in LOG_PUBLISHERS}


def table(form: str, name: str, tmp_path: Path) -> pl.DataFrame:
    import_publisher(OF[form], tmp_path / form)
    return Workspace().table(name).collect()


def bring(form: str, path: Path) -> Imported:
    return run(Workspace(), form, FORMATS[form].open(Request(path)), ImportSettings(max_quarantined_share=1.0))


def contexts(events: pl.DataFrame) -> list[dict[str, object]]:
    return [json.loads(context) for context in events["context"]]


def test_lastfm_tracks_are_names_and_their_musicbrainz_ids_aliases(workspace: Path, tmp_path: Path) -> None:
    events = table("lastfm-1k", "events", tmp_path)
    assert events.select("user_id", "track_id", "ts", "position", "action").row(0) == (
        "lastfm-1k:user_000001", "lastfm-1k:abba|waterloo", datetime(2009, 5, 4, 23, 8, 57, tzinfo=UTC), 0, "play",
    )  # fmt: skip
    assert events["track_id"].to_list()[1:3] == ["lastfm-1k:abba|waterloo", "lastfm-1k:beyonce|12 mix"]
    tracks = Workspace().table("tracks").collect()
    assert tracks["title"].to_list() == ["Waterloo", 'The 12" Mix "']
    aliases = Workspace().table("track_aliases").filter(pl.col("source") == "musicbrainz").collect()
    assert aliases.select("source_id", "track_id").rows() == [(WATERLOO, "lastfm-1k:abba|waterloo")]


@pytest.mark.parametrize(
    ("form", "file", "person"),
    [
        ("lastfm-1k", "userid-profile.tsv", "#id\tgender\tage\tcountry\nuser_000001\tm\t33\tNarnia"),
        (
            "kkbox",
            "members.csv",
            "msno,city,bd,gender,registered_via\nFGtllVqz=,1,33,Narnia,7",
        ),
    ],
)
def test_nobody_is_described(form: str, file: str, person: str, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / form).mkdir()
    (tmp_path / form / file).write_text(person)
    imported = import_publisher(OF[form], tmp_path / form)
    assert file not in read_json(imported.folder / "manifest.json")["files"]
    written = [pl.read_parquet(path) for path in imported.folder.rglob("*.parquet")]
    assert not any("Narnia" in str(frame.rows()) for frame in written)


def test_kkbox_rows_are_plays_in_order_with_their_outcome_apart(workspace: Path, tmp_path: Path) -> None:
    events = table("kkbox", "events", tmp_path)
    assert events.select("user_id", "track_id", "ts", "position", "action").rows() == [
        ("kkbox:FGtllVqz=", "kkbox:CXoT+Ddx=", None, 0, "play"),
        ("kkbox:FGtllVqz=", "kkbox:o0kF/gae=", None, 1, "play"),
    ]
    assert contexts(events) == [
        {"tab": "explore", "screen": "Explore", "type": "online-playlist", "again": True},
        {"tab": None, "screen": "Local playlist more", "type": "local-playlist", "again": False},
    ]
    tracks = Workspace().table("tracks").collect()
    assert tracks.select("title", "artist_name", "isrc", "duration_ms").rows() == [
        ("我們", "張信哲 (Jeff Chang)", "TWUM71200043", 247_640),
        ('Boombayah, "live"', "BLACKPINK", None, 197_328),
        ("DwVv=", "DwVv=", None, None),
    ]
    tags = Workspace().table("tags").collect()
    assert tags.filter(subject_id="kkbox:CXoT+Ddx=")["tag"].to_list() == ["genre 465", "genre 1259", "language 3"]


def test_kkbox_as_downloaded_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "train.csv.7z").touch()
    with pytest.raises(InputError, match=r"expects songs\.csv.*; unpack train\.csv\.7z"):
        FORMATS["kkbox"].open(Request(tmp_path))


def test_compressed_files_stand_for_the_plain_ones(workspace: Path, tmp_path: Path) -> None:
    for name, data in OF["kkbox"].files.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
    imported = bring("kkbox", tmp_path)
    assert imported.counts == OF["kkbox"].counts
    quarantine = pl.read_parquet(imported.folder / "quarantine").filter(pl.col("reason").str.starts_with("target"))
    assert quarantine.select("file", "line").rows() == [("train.csv.gz", 5)]


def test_yambda_times_actions_and_lengths(workspace: Path, tmp_path: Path) -> None:
    events = table("yambda", "events", tmp_path)
    start = datetime(1970, 1, 1, tzinfo=UTC)
    rows = events.with_columns(s=(pl.col("ts") - start).dt.total_seconds())
    assert rows.select("user_id", "s", "track_id", "action", "ms_played").rows() == [
        ("yambda:10", 0, "yambda:7", "play", 200_000),
        ("yambda:10", 200, "yambda:9", "skip", 88_200),
        ("yambda:10", 200, "yambda:7", "play", 100_000),
        ("yambda:20", 1_000_000, "yambda:8", "play", 120_000),
        ("yambda:10", 250, "yambda:7", "like", None),
        ("yambda:10", 300, "yambda:11", "like", None),
        ("yambda:20", 1_000_100, "yambda:8", "dislike", None),
        ("yambda:10", 400, "yambda:11", "remove", None),
    ]
    assert [c["organic"] for c in contexts(events)] == [True, False, False, True, False, True, True, True]
    assert events.filter(ts=start + timedelta(seconds=200))["position"].is_sorted()
    assert Workspace().table("tracks").collect().select("track_id", "artist_id", "album_id", "duration_ms").rows() == [
        ("yambda:7", "yambda:1", "yambda:5", 200_000),
        ("yambda:9", "yambda:of track 9", None, 180_000),
        ("yambda:8", "yambda:1", None, 100_000),
        ("yambda:11", "yambda:of track 11", None, None),
    ]
    vectors = Workspace().table("embeddings").collect()
    assert vectors["track_id"].to_list() == ["yambda:7"]
    assert vectors["vector"].to_list() == [pytest.approx([0.6, 0.8])]


def test_yambda_multi_event_says_the_same(workspace: Path, tmp_path: Path) -> None:
    kinds = {**LISTEN, "event_type": pl.Enum(["listen", "like", "dislike", "unlike", "undislike"])}
    rows = [(*row, "listen") for row in LISTENS]
    rows += [(10, 250, 7, 0, None, None, "like"), (20, 1_000_200, 8, 1, None, None, "undislike")]
    folder = tmp_path / "flat" / "50m"
    folder.mkdir(parents=True)
    (folder / "multi_event.parquet").write_bytes(parquet(kinds, *rows))
    imported = bring("yambda", folder)
    assert (imported.rows, imported.counts["events"]) == (len(rows), len(LISTENS))  # One listen is broken.
    assert Workspace().table("events").collect()["action"].to_list() == ["play", "skip", "play", "play", "like"]


def test_yambda_of_several_sizes_asks_which(tmp_path: Path) -> None:
    for name in ("flat/50m", "flat/500m", "sequential/50m"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "listens.parquet").write_bytes(parquet(LISTEN, *LISTENS))
    with pytest.raises(InputError, match=r"say which of flat/500m, flat/50m"):
        FORMATS["yambda"].open(Request(tmp_path))


def test_yambda_of_another_form_is_refused_by_its_columns(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "listens.parquet").write_bytes(parquet(EVENT, (1, 0, 7, 1)))
    with pytest.raises(InputError, match=r"listens\.parquet: no column played_ratio_pct, track_length_seconds; it has"):
        bring("yambda", tmp_path)
    assert not Workspace().import_folders()


def test_mssd_skips_by_level_in_the_order_of_the_session(workspace: Path, tmp_path: Path) -> None:
    events = table("mssd", "events", tmp_path)
    assert events.select("position", "track_id", "action").rows() == [
        (1, "mssd:t_a", "play"), (2, "mssd:t_c", "skip"), (3, "mssd:t_b", "play"), (4, "mssd:t_b", "skip"),
    ]  # fmt: skip
    assert events.select("user_id", "session_id", "ts").unique().rows() == [
        ("mssd:0_00006f66", "mssd:0_00006f66", datetime(2018, 7, 15, tzinfo=UTC))
    ]
    assert [c["heard"] for c in contexts(events)] == ["whole", "very briefly", "mostly", "briefly"]
    assert contexts(events)[0] == {
        "hour": 16, "type": "editorial_playlist", "start": "trackdone", "shuffle": True, "premium": True,
        "heard": "whole",
    }  # fmt: skip
    tracks = Workspace().table("tracks").collect()
    assert tracks.filter(track_id="mssd:t_a")["duration_ms"].to_list() == [180_067]
    sounds = Workspace().table("audio_features").filter(pl.col("track_id") == "mssd:t_b").collect()
    values = dict(sounds.select("name", "value").iter_rows())
    assert (values["mode"], values["acoustic_vector_6"]) == (0.0, pytest.approx(0.22))
    assert not {"us_popularity_estimate", "duration", "release_year"} & set(values)


def test_mssd_compressed_and_without_track_features(workspace: Path, tmp_path: Path) -> None:
    play = PLAY.format(n=1, of=20, track="t_a", levels="False,False,False,True", date="2018-07-15")
    (tmp_path / "log_0_20180715_000000000000.csv.gz").write_bytes(gzip.compress(text(PLAY_HEADER, play)))
    assert bring("mssd", tmp_path).counts == {"tracks": 1, "track_aliases": 1, "events": 1}


def test_mssd_log_of_another_form_names_the_columns(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "log_mini.csv").write_text("session_id,session_position,track_id_clean,not_skipped\na,1,t,true\n")
    with pytest.raises(InputError, match=r"log_mini\.csv:1: no column skip_1, skip_2, skip_3, "):
        bring("mssd", tmp_path)


def test_mssd_challenge_keeps_the_unknown_half_as_a_playlist(workspace: Path, tmp_path: Path) -> None:
    rows = table("mssd-challenge", "playlist_tracks", tmp_path)
    assert rows.select("playlist_id", "position", "track_id").rows() == [
        ("mssd:0_00006f66", 2, "mssd:t_b"),
        ("mssd:0_00006f66", 3, "mssd:t_a"),
    ]
    assert Workspace().table("events").collect()["session_id"].to_list() == ["mssd:0_00006f66"]


def test_listenbrainz_fields(workspace: Path, tmp_path: Path) -> None:
    events = table("listenbrainz", "events", tmp_path)
    assert events.select("user_id", "track_id", "ts", "position").row(1) == (
        "listenbrainz:1", "listenbrainz:abba|waterloo", datetime(2005, 12, 8, 0, 5, tzinfo=UTC), 0,
    )  # fmt: skip
    assert events["user_id"].to_list()[-1] == "listenbrainz:ann", "a dump that does not number its listeners"
    tracks = Workspace().table("tracks").collect()
    assert tracks.select("title", "album_title", "duration_ms", "isrc").rows() == [
        ("Waterloo", "Arrival", 164_000, "SEAYD7401020"),
        ("Halo", "Arrival", 261_000, None),
    ]
    aliases = Workspace().table("track_aliases").filter(pl.col("source") == "musicbrainz").collect()
    assert aliases.select("source_id", "track_id").rows() == [(MBID, "listenbrainz:abba|waterloo")]


def archive(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".tar", bytes),
        (".tar.xz", lzma.compress),
        (".tar.zst", lambda data: pa.compress(data, codec="zstd", asbytes=True)),
    ],
)
def test_listenbrainz_dump_is_read_inside_its_archive(
    ending: str, pack: Callable[[bytes], bytes], workspace: Path, tmp_path: Path
) -> None:
    name = "listenbrainz-listens-dump-2446-20260301-000003-full"
    months = {f"{name}/listens/{month}": data for month, data in OF["listenbrainz"].files.items()}
    packed = pack(archive({f"{name}/COPYING": b"CC0", f"{name}/TIMESTAMP": b"2026-03-01", **months}))
    (tmp_path / f"{name}{ending}").write_bytes(packed)
    (tmp_path / f"listenbrainz-listens-dump-2446-20260301-000003-spark-full{ending}").write_bytes(b"Parquet")

    imported = bring("listenbrainz", tmp_path)
    assert imported.counts == OF["listenbrainz"].counts
    assert {(r.file, r.line) for r in imported.reasons} == {("2006/1.listens", n) for n in (1, 2, 3, 4)}

    unpacked = import_publisher(OF["listenbrainz"], tmp_path / "unpacked")
    tables = [pl.read_parquet(one.folder / "events").drop("event_id") for one in (imported, unpacked)]
    assert tables[0].equals(tables[1])


def test_listenbrainz_archive_that_is_cut_off_is_refused(workspace: Path, tmp_path: Path) -> None:
    month = "\n".join(listen(1, 1134000000 + n, "ABBA", f"Song {n}") for n in range(5_000)).encode()
    packed = lzma.compress(archive({"listens/2005/12.listens": month}))
    (tmp_path / "dump.tar.xz").write_bytes(packed[:-2_000])
    with pytest.raises(InputError, match=r"dump\.tar\.xz: cannot be read to its end"):
        bring("listenbrainz", tmp_path)
    assert not Workspace().import_folders()


def test_listenbrainz_archive_of_another_dump_names_what_was_expected(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "listenbrainz-public-dump.tar").write_bytes(archive({"lbdump/user": b"1"}))
    with pytest.raises(InputError, match=r"holds no listens/YEAR/MONTH\.listens; listenbrainz expects"):
        bring("listenbrainz", tmp_path)


def test_a_file_of_something_else_is_refused_at_its_first_batch(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("user,song\nann,Halo\n")
    with pytest.raises(
        InputError, match=r"\.tsv: no line is a listen; lastfm-1k expects, with tabs, userid, timestamp"
    ):
        bring("lastfm-1k", tmp_path)
    (tmp_path / "3.listens").write_text("user,song\nann,Halo\n")
    with pytest.raises(InputError, match=r"3\.listens: no listen in JSON on any line; listenbrainz expects"):
        bring("listenbrainz", tmp_path / "3.listens")
